"""Text, control tokens, and messages assembled into a prompt.

The layout is that of the GLM-4.xV chat template. Knows no weights and no pixels: images are placeholders counted by arithmetic.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import fullmatch
from typing import Any

from PIL import Image
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from model.base import OMITTED, GenerationConfig, Grid, Message, ModelError, PromptError, ToolCall


class Control(str):
    """The name of a control token. In a prompt only our own code writes one; text that spells the same is text."""


PREFIX = (Control("[gMASK]"), Control("<sop>"))
END_OF_TEXT = Control("<|endoftext|>")
SYSTEM, USER, ASSISTANT, OBSERVATION = (Control(f"<|{role}|>") for role in ("system", "user", "assistant", "observation"))
IMAGE, IMAGE_START, IMAGE_END = Control("<|image|>"), Control("<|begin_of_image|>"), Control("<|end_of_image|>")
THINK, THINK_END, NO_THINK = Control("<think>"), Control("</think>"), Control("/nothink")
CALL, CALL_END = Control("<tool_call>"), Control("</tool_call>")
RESPONSE, RESPONSE_END = Control("<tool_response>"), Control("</tool_response>")
KEY, KEY_END, VALUE, VALUE_END = (Control(f"<{tag}>") for tag in ("arg_key", "/arg_key", "arg_value", "/arg_value"))
BOX, BOX_END = Control("<|begin_of_box|>"), Control("<|end_of_box|>")
CONTROLS = (
    *PREFIX, END_OF_TEXT, SYSTEM, USER, ASSISTANT, OBSERVATION, IMAGE, IMAGE_START, IMAGE_END, THINK, THINK_END, NO_THINK,
    CALL, CALL_END, RESPONSE, RESPONSE_END, KEY, KEY_END, VALUE, VALUE_END, BOX, BOX_END,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spelled:
    """Parts that a model wrote, and the tokens it wrote them in."""

    parts: tuple[str, ...]
    ids: tuple[int, ...]


Part = str | Image.Image | Spelled
"""What a prompt is written of: a Control, untrusted text (any other string), an image, or a model's own words."""


class ControlTokens(dict[str, int]):
    """Ids of the control tokens by name: the same names in every checkpoint, not the same ids."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> ControlTokens:
        """Raises ModelError naming the tokens that the tokenizer lacks."""
        found = {name: tokenizer.token_to_id(name) for name in CONTROLS}
        missing = [name for name, index in found.items() if index is None]
        if missing:
            raise ModelError(f"The tokenizer lacks GLM's control tokens {', '.join(missing)}: use the tokenizer of a GLM-4.5V or GLM-4.6V.")
        return cls({str(name): index for name, index in found.items() if index is not None})


class Tokens:
    """A checkpoint's tokenizer in two voices: text that nobody vouches for never becomes a control token, a trusted text may spell them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._trusted = Tokenizer.from_str(tokenizer.to_str())
        self._trusted.no_padding()
        self._trusted.no_truncation()
        self.control = ControlTokens.of(tokenizer)
        self._plain = _without_controls(tokenizer)

    @classmethod
    def load(cls, folder: Path) -> Tokens:
        """From a folder's tokenizer.json. Raises ModelError when there is none, or none that can be read."""
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise ModelError(f"{folder} has no tokenizer.json: copy it from the model's own repository.")
        try:
            return cls(Tokenizer.from_str(file.read_text(encoding="utf-8")))
        except ModelError as error:
            raise ModelError(f"{file}: {error}") from error
        except Exception as error:  # the Rust library raises bare Exception
            raise ModelError(f"{file} is damaged ({_first_line(error)}): copy it again from the model's own repository.") from error

    def to_json(self) -> str:
        """The tokenizer as the library writes tokenizer.json."""
        return self._trusted.to_str()

    def __len__(self) -> int:
        return self._trusted.get_vocab_size(with_added_tokens=True)

    def id(self, token: str) -> int | None:
        """The id of one token as the vocabulary spells it, or None."""
        return self._trusted.token_to_id(token)

    def encode(self, text: str) -> list[int]:
        """Ids of untrusted text: no control token is among them, whatever the text says."""
        return self._plain.encode(_sound(text), add_special_tokens=False).ids

    def encode_trusted(self, text: str) -> list[int]:
        """Ids of text of our own (a training target): control tokens it spells become control tokens."""
        return self._trusted.encode(_sound(text), add_special_tokens=False).ids

    def stream(self) -> Callable[[int], str]:
        """A function that is given one token after another and returns the text that is whole with each."""
        state = DecodeStream(skip_special_tokens=False)
        return lambda token: state.step(self._trusted, token) or ""

    def spelled(self) -> list[tuple[int, str]]:
        """The tokens that are letters or digits, by id, with their text."""
        texts = ((token, self.decode([token])) for token in range(len(self)))
        return [(token, text) for token, text in texts if text.isalnum()]

    def decode(self, ids: Sequence[int]) -> str:
        """The text, control tokens spelled out; bytes that are no UTF-8 (a character cut in two) become U+FFFD."""
        return self._trusted.decode(list(ids), skip_special_tokens=False)


def _without_controls(tokenizer: Tokenizer) -> Tokenizer:
    """A copy whose only added tokens are thousandths such as `[412`, and whose vocabulary spells no control token."""
    spec = json.loads(tokenizer.to_str())
    controls = {token["content"] for token in spec["added_tokens"] if not fullmatch(r"[\[,]\d{1,3}", token["content"])} | set(CONTROLS)
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] not in controls]
    spec["post_processor"] = None
    kept = {token["content"]: token["id"] for token in spec["added_tokens"]}  # in the vocabulary, or they would be numbered anew
    spec["model"]["vocab"] = {token: index for token, index in spec["model"]["vocab"].items() if token not in controls} | kept
    return Tokenizer.from_str(json.dumps(spec))


def _sound(text: str) -> str:
    """Unicode without lone surrogates, which JavaScript strings may hold and no encoder takes."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


@dataclass(frozen=True, slots=True)
class ImageSegment:
    """An image in a prompt: `length` placeholder tokens standing for `grid` patches."""

    image: Image.Image
    grid: Grid
    length: int


Segment = tuple[int, ...] | ImageSegment


@dataclass(frozen=True, slots=True)
class Prompt:
    """Segments in reading order; two images are never adjacent. evicted: so many of the first images are no longer read."""

    segments: tuple[Segment, ...]
    image_id: int
    evicted: int = 0

    @property
    def ids(self) -> list[int]:
        """Every token, images as repeated placeholders."""
        runs = ([self.image_id] * s.length if isinstance(s, ImageSegment) else s for s in self.segments)
        return [token for run in runs for token in run]

    @property
    def images(self) -> list[ImageSegment]:
        return [segment for segment in self.segments if isinstance(segment, ImageSegment)]

    def __len__(self) -> int:
        return sum(s.length if isinstance(s, ImageSegment) else len(s) for s in self.segments)


def assemble(
    messages: Sequence[Message], config: GenerationConfig, tokens: Tokens, grid: Callable[[Image.Image], Grid], merge: int = 2
) -> Prompt:
    """The prompt whose continuation is the next assistant turn.

    grid: the patches an image will become (`Preprocessor.grid`); merge × merge patches are one token. A pure function.
    Images that have left `config.window` are told of in words, unless they are to be evicted: then `evicted` counts them.
    Raises PromptError for no messages, an image in an assistant turn, or an image that `grid` refuses.
    """
    if not messages:
        raise PromptError("There is nothing to answer: the list of messages is empty.")
    gone = config.window.dropped(sum(isinstance(part, Image.Image) for m in messages for part in m.content)) if config.window else 0
    evict = config.window is not None and config.window.evict
    parts = render(messages, config) if evict else _without_images(render(messages, config), gone)
    segments = _segments(parts, tokens, lambda image: _image(image, grid(image), merge))
    return Prompt(tuple(segments), tokens.control[IMAGE], gone if evict else 0)


def _without_images(parts: Iterable[Part], count: int) -> Iterator[Part]:
    """The same with words instead of the first so many images."""
    for part in parts:
        if isinstance(part, Image.Image) and count:
            count -= 1
            yield OMITTED
        else:
            yield part


def render(messages: Sequence[Message], config: GenerationConfig) -> Iterator[Part]:
    """The parts of a prompt in order, before anything is counted or encoded."""
    yield from PREFIX
    if config.tools:
        yield from _tools(config.tools)
    last_user = max((i for i, message in enumerate(messages) if message.role == "user"), default=-1)
    before = ""
    for i, message in enumerate(messages):
        match message.role:
            case "system":
                yield from (SYSTEM, "\n", *message.content)
            case "user":
                yield from (USER, "\n", *message.content, *(() if config.thinking else (NO_THINK,)))
            case "assistant":
                yield from _assistant(message, thoughts=i > last_user)
            case "tool":
                yield from (() if before == "tool" else (OBSERVATION,))
                yield from _observation(message)
        before = message.role
    yield from (ASSISTANT, "\n")
    if not config.thinking:
        yield from (THINK, THINK_END, "\n")


def _assistant(message: Message, thoughts: bool) -> Iterator[Part]:
    texts = [part for part in message.content if isinstance(part, str)]
    if len(texts) != len(message.content):
        raise PromptError("An assistant turn holds an image, but the model writes only text: put the image in a user or tool turn.")
    thought = (THINK, message.reasoning.strip() if thoughts else "", THINK_END)
    said = "".join(texts).strip()
    answer = [*(("\n", said) if said else ()), *(part for call in message.calls for part in _call(call))]
    yield from (ASSISTANT, "\n")
    if not (message.token_ids and answer):
        yield from (*thought, *answer)
    elif message.reasoning:  # the model wrote the thought itself
        yield Spelled((*thought, *answer), message.token_ids)
    else:  # the prompt had closed it, and begun the line
        yield from (*thought, "\n")
        yield Spelled(tuple(answer[1:]), message.token_ids)


def _call(call: ToolCall) -> Iterator[str]:
    yield from ("\n", CALL, f"{call.name}\n")
    for key, value in call.arguments.items():
        yield from (KEY, key, KEY_END, "\n", VALUE, value if isinstance(value, str) else _json(value), VALUE_END, "\n")
    yield CALL_END


def _observation(message: Message) -> Iterator[Part]:
    yield from ("\n", RESPONSE, "\n", *message.content, "\n", RESPONSE_END)
    if all(isinstance(part, str) for part in message.content):
        yield "\n"  # the template ends a response of text alone, and only that one, with a line break


def _tools(tools: Sequence[Mapping[str, Any]]) -> Iterator[Part]:
    lines = "\n".join(_json({"type": "function", "function": dict(tool)}) for tool in tools)
    yield from (SYSTEM, "\n# Tools\n\nThese functions are yours to call, one JSON description a line:\n<tools>\n", lines, "\n</tools>\n\n")
    yield "A call names the function, then each argument with its value, in this form:\n"
    yield from (CALL, "{function}\n")
    for n in (1, 2):
        yield from (KEY, f"{{argument {n}}}", KEY_END, "\n", VALUE, f"{{value {n}}}", VALUE_END, "\n")
    yield from ("...\n", CALL_END)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _image(image: Image.Image, grid: Grid, merge: int) -> ImageSegment:
    frames, rows, columns = grid
    return ImageSegment(image, grid, frames * rows * columns // merge**2)


def _segments(parts: Iterable[Part], tokens: Tokens, segment: Callable[[Image.Image], ImageSegment]) -> Iterator[Segment]:
    """Neighbouring texts are encoded as one, so that the tokens do not depend on how the text was put together."""
    ids: list[int] = []
    text = ""
    for part in _respelled(parts, tokens):
        if isinstance(part, str) and not isinstance(part, Control):
            text += part
            continue
        ids += tokens.encode(text)
        text = ""
        if isinstance(part, Control):
            ids.append(tokens.control[part])
        elif isinstance(part, Spelled):
            ids += part.ids
        else:
            yield (*ids, tokens.control[IMAGE_START])
            yield segment(part)
            ids = [tokens.control[IMAGE_END]]
    yield (*ids, *tokens.encode(text))


def _respelled(parts: Iterable[Part], tokens: Tokens) -> Iterator[Part]:
    """The same, where a model's own tokens are taken only if they spell the parts, but for the token it ended with and the space around."""
    turns = {tokens.control[name] for name in (END_OF_TEXT, USER, OBSERVATION)}
    for part in parts:
        if isinstance(part, Spelled):
            ids = part.ids[:-1] if part.ids[-1] in turns else part.ids
            if tokens.decode(ids).strip() == "".join(part.parts).strip():
                yield Spelled(part.parts, ids)
            else:
                yield from part.parts
        else:
            yield part
