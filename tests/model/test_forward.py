"""Both forwards equal the library's own pass over the whole sequence, however the reading is cut up, and leave no trace on the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from model.base import GenerationConfig, Message, ScreenshotWindow
from model.forward import Forward, LibraryForward, Row
from model.kv import KV, KVShape
from model.layout import Layout, lay_out, mrope_positions
from model.lean import LeanForward, self_check
from model.prefix import Sequence as Read
from model.tokens import Prompt, assemble
from tests.model.conftest import Noise

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoe

PLAIN = GenerationConfig(max_tokens=12)
SIZES = [(120, 90), (90, 200), (56, 56)]


def conversation(noise: Noise, images: int) -> list[Message]:
    return [Message("user", ("Look: ", *(noise(i, *SIZES[i]) for i in range(images)), " and press OK."))]


def prompt_of(model: Glm4vMoe, messages: list[Message], config: GenerationConfig = PLAIN) -> Prompt:
    return assemble(messages, config, model.tokens, model.preprocessor.grid)


def library_inputs(model: Glm4vMoe, prompt: Prompt, ids: list[int]) -> dict[str, torch.Tensor]:
    tokens = torch.tensor([ids])
    return {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "mm_token_type_ids": (tokens == prompt.image_id).int(),
        "pixel_values": torch.cat([model.preprocessor.patches(image.image) for image in prompt.images]),
        "image_grid_thw": torch.tensor([image.grid for image in prompt.images]),
    }


@torch.inference_mode()
def library_logits(model: Glm4vMoe, prompt: Prompt, ids: list[int], mask: torch.Tensor | None = None) -> torch.Tensor:
    """One forward of the library over everything, positions by its own get_rope_index. mask (n, n): true where a row may look."""
    inputs = library_inputs(model, prompt, ids)
    positions, _ = model.model.model.get_rope_index(inputs["input_ids"], inputs["mm_token_type_ids"], inputs["image_grid_thw"])
    if mask is not None:
        inputs["attention_mask"] = mask[None, None]
    logits: torch.Tensor = model.model(**inputs, position_ids=positions).logits[0]
    return logits


@pytest.fixture(params=["lean", "library"])
def forward(model: Glm4vMoe, request: pytest.FixtureRequest) -> Forward:
    return LeanForward(model.model) if request.param == "lean" else LibraryForward(model.model)


class Reader:
    """A prompt read piece by piece, then tokens of one's own."""

    def __init__(self, model: Glm4vMoe, forward: Forward, layout: Layout) -> None:
        self.forward, self.layout, self.kv, self.at = forward, layout, KV(KVShape.of(model.model)), 0
        with torch.inference_mode():
            self.embed = model.model.get_input_embeddings()
            self.embeddings = self.embed(torch.from_numpy(layout.ids)).clone()
            for image in layout.images:
                features = forward.features(model.preprocessor.frame(image.segment.image), image.segment.grid)
                self.embeddings[image.start : image.start + image.segment.length] = features
        self.following = layout.following

    def row(self, end: int) -> Row:
        """The tokens up to `end` that are kept."""
        chosen = torch.from_numpy(np.flatnonzero(self.layout.kept[self.at : end]) + self.at)
        self.at = end
        self.kv.reserve(len(chosen))
        return Row(self.kv, self.embeddings[chosen], torch.from_numpy(self.layout.positions)[:, chosen])

    def new(self, token: int) -> Row:
        self.kv.reserve(1)
        self.following += 1
        return Row(self.kv, self.embed(torch.tensor([token])), torch.full((3, 1), self.following - 1))

    @torch.inference_mode()
    def read(self, *ends: int) -> torch.Tensor:
        return torch.stack([self.forward.logits([self.row(end)])[0] for end in ends])

    @torch.inference_mode()
    def write(self, tokens: Sequence[int]) -> torch.Tensor:
        return torch.stack([self.forward.logits([self.new(token)])[0] for token in tokens])


def equal(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.std() > 0.3  # wide enough for an error to show
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("images", [1, 3])
def test_positions_equal_the_library_s(model: Glm4vMoe, noise: Noise, images: int) -> None:
    prompt = prompt_of(model, conversation(noise, images))
    inputs = library_inputs(model, prompt, prompt.ids)
    expected, deltas = model.model.model.get_rope_index(inputs["input_ids"], inputs["mm_token_type_ids"], inputs["image_grid_thw"])
    positions, following = mrope_positions(prompt.ids, [image.grid for image in prompt.images], 0, prompt.image_id)
    assert torch.equal(positions, expected)
    assert following == len(prompt) + int(deltas)


def test_positions_of_a_sequence_cut_in_two_go_on_where_the_first_part_ends() -> None:
    whole, end = mrope_positions([7, 9, 9, 9, 9, 7, 7], [(1, 4, 4)], 0, image_id=9)
    first, middle = mrope_positions([7, 9, 9, 9, 9], [(1, 4, 4)], 0, image_id=9)
    second, last = mrope_positions([7, 7], [], middle, image_id=9)
    assert torch.equal(torch.cat([first, second], 2), whole)
    assert last == end == 5


@pytest.mark.parametrize(("ids", "grids"), [([9, 9, 9], [(1, 4, 4)]), ([9, 9, 9, 9], []), ([7], [(1, 4, 4)])])
def test_placeholders_that_do_not_fit_their_grids_are_refused(ids: list[int], grids: list[tuple[int, int, int]]) -> None:
    with pytest.raises(ValueError, match="grids"):
        mrope_positions(ids, grids, 0, image_id=9)


def test_prefill_in_chunks_and_decode_equal_one_pass_over_everything(model: Glm4vMoe, noise: Noise, forward: Forward) -> None:
    prompt = prompt_of(model, conversation(noise, 3))
    reader, new = Reader(model, forward, lay_out(prompt)), [5, 70, 300, 12]
    ends = [9, 30, 31, len(prompt)]  # within an image, a single token
    found = torch.cat([reader.read(*ends), reader.write(new)])
    equal(found, library_logits(model, prompt, prompt.ids + new)[[*(end - 1 for end in ends), *range(len(prompt), len(prompt) + 4)]])
    assert model.model.model.rope_deltas is None


def test_a_batch_of_sequences_of_any_lengths_equals_each_alone(model: Glm4vMoe, noise: Noise, forward: Forward) -> None:
    layouts = [lay_out(prompt_of(model, conversation(noise, n))) for n in (1, 3, 2)]
    alone = [Reader(model, forward, layout) for layout in layouts]
    together = [Reader(model, forward, layout) for layout in layouts]
    ends = [[len(layouts[0]) - 1, 20, len(layouts[2])], [len(layouts[0]), len(layouts[1]), len(layouts[2])]]
    for step, some in enumerate(ends):
        rows = [reader.row(end) for reader, end in zip(together, some, strict=True) if end > reader.at]
        with torch.inference_mode():
            found = forward.logits(rows)
        expected = torch.cat([reader.read(end) for reader, end in zip(alone, some, strict=True) if end > reader.at])
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0, msg=f"round {step}")
    for token in (4, 44, 144):
        with torch.inference_mode():
            found = forward.logits([reader.new(token) for reader in together])
        torch.testing.assert_close(found, torch.cat([reader.write([token]) for reader in alone]), atol=2e-5, rtol=0)


@torch.inference_mode()
def test_eviction_equals_a_pass_in_which_later_tokens_do_not_see_the_screenshot(model: Glm4vMoe, noise: Noise, forward: Forward) -> None:
    prompt = prompt_of(model, conversation(noise, 3))
    whole, tail = lay_out(prompt), 6
    reader = Reader(model, forward, whole)
    cut = len(prompt) - tail
    reader.read(cut)
    read = Read(reader.kv, whole.keys[:cut], whole.kept[:cut])
    read.fit(lay_out(prompt, evicted=2), cut)
    assert reader.kv.length == cut - sum(image.segment.length for image in whole.images[:2])
    mask = torch.ones(len(prompt), len(prompt), dtype=torch.bool).tril()
    for image in whole.images[:2]:
        mask[cut:, image.start : image.start + image.segment.length] = False
    equal(reader.read(*range(cut + 1, len(prompt) + 1)), library_logits(model, prompt, prompt.ids, mask)[cut:])


def test_a_sequence_that_was_cropped_or_forked_goes_on_as_if_nothing_had_been(model: Glm4vMoe, noise: Noise, forward: Forward) -> None:
    prompt = prompt_of(model, conversation(noise, 2))
    reader = Reader(model, forward, lay_out(prompt))
    first = reader.read(len(prompt))
    fork, at = reader.kv.copy(reader.kv.length), reader.kv.length
    before = reader.write([3, 30, 300])
    reader.kv.crop(at)
    reader.following -= 3
    torch.testing.assert_close(reader.write([3, 30, 300]), before, atol=0, rtol=0)
    reader.kv, reader.following = fork, reader.following - 3
    torch.testing.assert_close(reader.write([3, 30, 300]), before, atol=0, rtol=0)
    assert first.shape == (1, len(model.tokens))


def test_a_window_drops_in_blocks_and_tells_of_what_is_gone_in_words(model: Glm4vMoe, noise: Noise) -> None:
    window = ScreenshotWindow(keep=2, drop=3)
    assert [window.dropped(n) for n in (0, 2, 4, 5, 7, 8, 10, 11)] == [0, 0, 0, 3, 3, 6, 6, 9]
    messages = [Message("user", (f"{i} ", noise(i))) for i in range(5)]
    told = prompt_of(model, messages, GenerationConfig(window=window))
    assert len(told.images) == 2
    assert model.tokens.decode(told.ids).count("(Omitted in context.)") == 3
    evicting = prompt_of(model, messages, GenerationConfig(window=ScreenshotWindow(2, 3, evict=True)))
    assert (len(evicting.images), evicting.evicted) == (5, 3)
    assert "Omitted" not in model.tokens.decode(evicting.ids)
    with pytest.raises(ValueError, match="at least one"):
        ScreenshotWindow(0)


def test_the_lean_forward_is_taken_only_if_it_agrees_with_the_library(model: Glm4vMoe) -> None:
    lean, library = LeanForward(model.model), LibraryForward(model.model)
    with torch.inference_mode():
        assert self_check(model.model, lean, library)
        lean._scaling *= 1.5
        assert not self_check(model.model, lean, library)


def test_the_lean_forward_keeps_away_from_what_it_does_not_compute(checkpoint: Any) -> None:
    from model.glm4v_moe import Glm4vMoe

    own = Glm4vMoe.load(checkpoint)
    assert LeanForward.fits(own.model)
    own.model.config.get_text_config(decoder=True).n_group = 2
    assert not LeanForward.fits(own.model)
    assert not LeanForward.fits(Glm4vMoe.load(checkpoint, dtype="bfloat16").model)


def test_weights_laid_side_by_side_are_saved_as_they_were(model: Glm4vMoe, checkpoint: Any, tmp_path: Any) -> None:
    from safetensors.torch import load_file

    LeanForward(model.model)
    model.model.save_pretrained(tmp_path)
    saved, original = load_file(tmp_path / "model.safetensors"), load_file(checkpoint / "model.safetensors")
    assert saved.keys() == original.keys()
    assert all(torch.equal(saved[name], original[name]) for name in saved)
