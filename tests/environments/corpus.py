"""Two hundred strings of every kind a person may want typed: words of many languages, code, symbols, emoji, characters of each block."""

from __future__ import annotations

import random
import unicodedata

WORDS = """Hello, world!|Grüß Gott, schöne Straße|Où est l'hôtel? Ça va là-bas|¿Qué tal, señor? ¡Olé!|Não há pão em São Paulo|Perché così già più|
Zażółć gęślą jaźń|Příliš žluťoučký kůň úpěl|Árvíztűrő tükörfúrógép|Întâlnire în țară și oraș|Iğdır'da çiğ köfte, şöyle böyle|Mąż i żona źle śpią|
Blåbærsyltetøy på brød|Þú ert góður við öll|Sõber, täna on külm öö|Ķīvītis ēd ābolu ūdenī|Ąžuolas žydi šįryt|Ellinikí γλώσσα: Καλημέρα κόσμε|
Съешь ещё этих мягких французских булок|Їжак їсть ґрунт і є щасливий|Ђаци и Џон у Љубљани њишу|Ўсё добра, сябры|Қазақ тілі үшін ән|Монгол хэл өвөл үү|
Հայերեն լեզու բարև|ქართული ენა გამარჯობა|שלום, מה שלומך היום?|مرحبا بك في العالم|سلام، حال شما چطور است؟|آپ کیسے ہیں؟ شکریہ|
नमस्ते दुनिया, कैसे हो|আমার সোনার বাংলা|ਸਤ ਸ੍ਰੀ ਅਕਾਲ ਜੀ|નમસ્તે કેમ છો|வணக்கம் உலகம்|నమస్కారం ప్రపంచం|ನಮಸ್ಕಾರ ಜಗತ್ತು|നമസ്കാരം ലോകം|
සුභ උදෑසනක්|สวัสดีชาวโลก|ສະບາຍດີຊາວໂລກ|မင်္ဂလာပါ ကမ္ဘာ|សួស្តីពិភពលោក|བཀྲ་ཤིས་བདེ་ལེགས།|
你好,世界。今天天气很好!|繁體中文:龍龜鬱灣|こんにちは、世界。カタカナ|ｱｲｳｴｵ ＡＢＣ １２３|안녕하세요 세계 여러분|Tiếng Việt: Đường về nhà ướt|
Yorùbá: ẹ kú àárọ̀|Hawaiʻi: ʻōlelo|ᓄᓇᕗᑦ ᐃᓄᒃᑎᑐᑦ|ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ|አማርኛ ሰላም ለዓለም|ⵜⴰⵎⴰⵣⵉⵖⵜ ⴰⵣⵓⵍ|Esperanto: ĉiuĵaŭde eĥoŝanĝo|ᚠᚢᚦᚬᚱᚴ runes"""
CODE = r"""if (a < b && c > d) { return a[0] | b ^ ~c; }|print(f"{x!r:>10}")  # 100%|SELECT * FROM t WHERE a = 'it''s';|C:\Users\me\file.txt|
<a href="x?y=1&amp;z=2">link</a>|$HOME/.config/*.{json,yml}|`backticks` and 'quotes' and "doubles"|a+b-c*d/e=f; g@h.com #tag|^\d{3}-\d{4}$|~/_private_|
1,234.56 € £7 ¥8 ¢9 ₹10 ₽11|x² + y³ ≤ √z ± ∞|½ ¼ ¾ ⅓ ⅔|∀x∈ℝ: ∃y ≠ x ⇒ y² ≥ 0|∫₀^∞ e^(−x²) dx = √π⁄2|α β γ δ ε ζ η θ|→ ← ↑ ↓ ↔ ⇒ ⇔|■ □ ▲ △ ● ○ ★ ☆|
“curly” ‘single’ „low“ «guillemets»|dash – dash — dash ― …|no-break space|e\u0301 a\u0308 o\u0302 n\u0303 c\u0327|ẹ́ ọ̀ ṣ́|Z͑ͫ̓ a̐éö̲|
©®™ §¶†‡ •·|♠♣♥♦ ♪♫ ☀☁☂|①②③ ⓐⓑⓒ ㊀㊁|№ ℃ ℉ Å Ω ℧|﷼ ﷽|[](){}<>|!@#$%^&*()_+|;:'",./?\|`~""".replace("\\u0301", "\u0301")
EMOJI = """😀 😃 😄 😁|👍🏽 👋🏿 🤝🏻|👩‍💻 👨‍👩‍👧‍👦 🏳️‍🌈|🇩🇪 🇯🇵 🇧🇷 🇺🇳|1️⃣ 2️⃣ #️⃣ *️⃣|❤️ ✂️ ☎️ ✈️|𝒳 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝕊|𐍈 𐌰𐌱 𐎀 𐤀|𠀀 𠮷 𡃁 㐀|🀄 🂡 🎲 𝄞 𝅘𝅥𝅮"""
COUNT = 200


def strings() -> list[str]:
    """The same at every call, each of one line."""
    written = [part.strip("\n") for text in (WORDS, CODE, EMOJI) for part in text.split("|") if part.strip("\n")]
    source = random.Random(0)
    assigned = [
        chr(code)
        for code in range(0x20, 0x1FB00)
        if unicodedata.category(chr(code))[0] in "LNPSM" and not 0xFDD0 <= code < 0xFDF0 and code not in (0xFFFC, 0xFFFD)
    ]
    while len(written) < COUNT:
        start = source.randrange(len(assigned) - 40)
        written.append("".join(source.choice(assigned[start : start + 40]) for _ in range(12)))
    return written[:COUNT]
