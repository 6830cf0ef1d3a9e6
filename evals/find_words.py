"""Finding words: pages full of words, made from seeds that nothing is trained on, and one question for each of some of their words.

Two kinds of words are told apart: those that training pages may hold (seen), and the twentieth that they never do (unseen). Made here,
once, into the cache: PNG files and find_words.json in ScreenSpot-Pro's layout. Synthetic, and no public benchmark.

With `documents`, files of HTML are rendered instead, and every word that stands on the first screen once is asked for.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from environments.browser import BrowserEnvironment
from evals.base import EvalError, Source
from evals.demonstrations import TEST_SEEDS
from evals.folder import write_text
from evals.grounding.hub import cache
from evals.grounding.items import Grounding, Item, grounding
from evals.grounding.records import Images, Record, find_files, folder_of, pro_item, read_records, sha256_of, version_of
from evals.word_pages import draw, open_browser
from evals.words import WORDS, bare, held_out

SOURCE = Source(
    data="pages made from seeds by this project, or HTML files of one's own", licence="Apache-2.0", ran="whole",
    get="nothing to get: made on first use", synthetic=True,
)  # fmt: skip
RECORDS = "find_words.json"
SEEN, UNSEEN = 3, 4
"""So many words of a page at most."""
SCREEN = (640, 480)
"""CSS pixels of a rendered document."""
EDITION = 3
"""Of how pages and words are chosen: another makes another set."""


def make(
    *,
    tasks: Sequence[str] = (),
    seeds: Sequence[int] = (),
    data: str | Path | None = None,
    pages: int = 300,
    documents: str = "",
    scale: float = 1.0,
    headless: bool = True,
) -> Grounding:
    """data: a folder made before; None makes one, or takes it from the cache. pages: of seeds 0 to pages - 1.

    documents: instead of pages, HTML files: a folder, or patterns with commas between them. scale: device pixels for a CSS pixel of theirs.
    Raises EvalError when there are none, EnvironmentFault when no browser can be started.
    """
    folder = folder_of(data, "find_words", "") if data is not None else _made(pages, documents, scale, headless)
    files = find_files(folder, (RECORDS,), "find_words")
    images, hashes = Images(files[0]), sha256_of(files)
    items = [_item(record, images) for record in read_records(files[0])]
    return grounding("find_words", version_of("synthetic", hashes), items, hashes, tasks=tasks, seeds=seeds, axes=("group", "type"))


def _item(record: Record, images: Images) -> Item:
    return pro_item(record, images, {"group": record.text("group"), "type": record.text("ui_type")})


def _made(pages: int, documents: str, scale: float, headless: bool) -> Path:
    if not 1 <= pages <= TEST_SEEDS:
        raise EvalError(f"find_words: {pages} pages cannot be made; seeds for testing are those below {TEST_SEEDS}.")
    found = _files(documents) if documents else []
    named = hashlib.sha256(b"".join(path.read_bytes() for path in found)).hexdigest()[:12] if found else str(pages)
    folder = cache() / f"find_words-{EDITION}-{named}{f'-{scale:g}' if found else ''}"
    if not (folder / RECORDS).exists():
        (folder / "images").mkdir(parents=True, exist_ok=True)
        records = list(_documents(found, scale, folder, headless) if found else _pages(pages, folder, headless))
        write_text(folder / RECORDS, json.dumps(records, ensure_ascii=False, indent=1) + "\n")
    return folder


def _pages(count: int, folder: Path, headless: bool) -> Iterator[dict[str, Any]]:
    with open_browser(headless=headless) as browser:
        for at in range(0, count, 32):
            for seed, image, words, _ in draw(browser, range(at, min(count, at + 32)), lambda _: True):
                image.save(folder / "images" / f"{seed}.png")
                asked, rng = unique(words), random.Random(seed)
                for kind, most in (("seen", SEEN), ("unseen", UNSEEN)):
                    some = [one for one in asked if held_out(one[0]) == (kind == "unseen")]
                    for word, box in rng.sample(some, min(most, len(some))):
                        yield _record(f"{seed}.png", image.size, word, box, kind, _script(word))


def _documents(files: Sequence[Path], scale: float, folder: Path, headless: bool) -> Iterator[dict[str, Any]]:
    for number, path in enumerate(files):
        with BrowserEnvironment(path.as_uri(), viewport=SCREEN, scale=scale, headless=headless) as browser:
            image = browser.reset().screenshot
            words = browser.evaluate(f"size => ({WORDS})(document.body, [0, 0, ...size], 2000)", list(SCREEN))
        image.save(folder / "images" / f"{number}.png")
        for word, box in unique([[text, [side * scale for side in box], columns] for text, box, columns in words]):
            yield _record(f"{number}.png", image.size, word, box, path.name, "unseen" if held_out(word) else "seen")


def _record(name: str, size: tuple[int, int], word: str, box: Sequence[float], group: str, kind: str) -> dict[str, Any]:
    return {
        "img_filename": name, "img_size": list(size), "bbox": [round(side, 2) for side in box], "instruction": word,
        "id": f"{Path(name).stem}-{word}", "ui_type": kind, "group": group,
    }  # fmt: skip


def unique(words: Sequence[Any]) -> list[tuple[str, list[float]]]:
    """Of words as `evals.words.WORDS` gives them, those of two letters or more that stand on the screen once and in no other word; without
    the signs around them."""
    bares = [bare(text) for text, _, _ in words]
    times = Counter(word.lower() for word in bares)
    whole = " ".join(bares).lower()
    return [
        (word, list(box))
        for word, (_, box, _) in zip(bares, words, strict=True)
        if len(word) > 1 and times[word.lower()] == 1 and whole.count(word.lower()) == 1
    ]


def _script(word: str) -> str:
    return "number" if word.isdigit() else "code" if re.search(r"\d", word) else "word"


def _files(documents: str) -> list[Path]:
    found = list[Path]()
    for pattern in documents.split(","):
        path = Path(pattern).expanduser()
        found += sorted(path.glob("**/*.html")) if path.is_dir() else sorted(Path(path.anchor or ".").glob(str(path).removeprefix("/")))
    if not found:
        raise EvalError(f"find_words: {documents} names no HTML file.")
    return found
