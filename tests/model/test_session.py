"""Positions and incremental reading equal the library's own on the whole sequence, and sessions leave no trace on the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from model.base import GenerationConfig, Message
from model.session import Session, mrope_positions
from model.tokens import Prompt, assemble
from tests.model.conftest import Noise

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoe

PLAIN = GenerationConfig(max_tokens=12)


def conversation(noise: Noise, images: int) -> list[Message]:
    sizes = [(120, 90), (90, 200), (56, 56)]
    return [Message("user", ("Look: ", *(noise(i, *sizes[i]) for i in range(images)), " and press OK."))]


def prompt_of(model: Glm4vMoe, messages: list[Message]) -> Prompt:
    return assemble(messages, PLAIN, model.tokens, model.preprocessor.grid)


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
def library_logits(model: Glm4vMoe, prompt: Prompt, ids: list[int]) -> torch.Tensor:
    """One forward of the library over everything, positions by its own get_rope_index."""
    inputs = library_inputs(model, prompt, ids)
    positions, _ = model.model.model.get_rope_index(inputs["input_ids"], inputs["mm_token_type_ids"], inputs["image_grid_thw"])
    logits: torch.Tensor = model.model(**inputs, position_ids=positions).logits[0]
    return logits


def read(model: Glm4vMoe, session: Session, prompt: Prompt) -> torch.Tensor:
    features = [session.encode(model.preprocessor.patches(image.image), image.grid) for image in prompt.images]
    return session.feed(prompt.ids, features, [image.grid for image in prompt.images])


@pytest.mark.parametrize("images", [1, 3])
def test_positions_equal_the_library_s(model: Glm4vMoe, noise: Noise, images: int) -> None:
    prompt = prompt_of(model, conversation(noise, images))
    inputs = library_inputs(model, prompt, prompt.ids)
    expected, deltas = model.model.model.get_rope_index(inputs["input_ids"], inputs["mm_token_type_ids"], inputs["image_grid_thw"])
    positions, following = mrope_positions(prompt.ids, [image.grid for image in prompt.images], 0, prompt.image_id)
    assert torch.equal(positions, expected)
    assert following == len(prompt) + int(deltas)


def test_positions_of_a_later_chunk_go_on_where_the_first_ended() -> None:
    whole, end = mrope_positions([7, 9, 9, 9, 9, 7, 7], [(1, 4, 4)], 0, image_id=9)
    first, middle = mrope_positions([7, 9, 9, 9, 9], [(1, 4, 4)], 0, image_id=9)
    second, last = mrope_positions([7, 7], [], middle, image_id=9)
    assert torch.equal(torch.cat([first, second], 2), whole)
    assert last == end == 5


@pytest.mark.parametrize(("ids", "grids"), [([1, 9, 9], [(1, 4, 4)]), ([1, 9], []), ([1, 2], [(1, 2, 2)]), ([9, 9, 9], [(1, 2, 2)])])
def test_placeholders_that_do_not_fit_the_grids_are_refused(ids: list[int], grids: list[tuple[int, int, int]]) -> None:
    with pytest.raises(ValueError, match="grids"):
        mrope_positions(ids, grids, 0, image_id=9)


@pytest.mark.parametrize("images", [2, 3])
@torch.inference_mode()
def test_prefill_and_decode_equal_one_forward_over_everything(model: Glm4vMoe, noise: Noise, images: int) -> None:
    prompt, session = prompt_of(model, conversation(noise, images)), Session(model.model)
    rows = [read(model, session, prompt)]
    new = [int(rows[-1].argmax())]
    for _ in range(6):
        rows.append(session.feed(new[-1:]))
        new.append(int(rows[-1].argmax()))
    expected = library_logits(model, prompt, prompt.ids + new[:-1])[len(prompt) - 1 :]
    assert expected.std() > 0.3  # wide enough for an error to show
    torch.testing.assert_close(torch.stack(rows), expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_a_second_turn_with_a_new_screenshot_equals_one_forward_over_everything(model: Glm4vMoe, noise: Noise) -> None:
    messages = conversation(noise, 2)
    first = prompt_of(model, messages)
    whole = prompt_of(model, [*messages, Message("assistant", ("done",)), Message("tool", (noise(5, 60, 150),))])
    cut = len(first)
    assert whole.ids[:cut] == first.ids
    session, images = Session(model.model), whole.images
    features = [session.encode(model.preprocessor.patches(image.image), image.grid) for image in images]
    session.feed(whole.ids[:cut], features[:2], [image.grid for image in images[:2]])
    logits = session.feed(whole.ids[cut:], features[2:], [images[2].grid])
    torch.testing.assert_close(logits, library_logits(model, whole, whole.ids)[-1], atol=1e-4, rtol=0)


@torch.inference_mode()
def test_interleaved_sessions_do_not_disturb_each_other_nor_the_model(model: Glm4vMoe, noise: Noise) -> None:
    prompts = [prompt_of(model, conversation(noise, n)) for n in (1, 3)]
    sessions = [Session(model.model) for _ in prompts]
    logits = [read(model, session, prompt) for session, prompt in zip(sessions, prompts, strict=True)]
    new: list[list[int]] = [[], []]
    for _ in range(4):
        for which, session in enumerate(sessions):
            new[which].append(int(logits[which].argmax()))
            logits[which] = session.feed(new[which][-1:])
    for which, prompt in enumerate(prompts):
        torch.testing.assert_close(logits[which], library_logits(model, prompt, prompt.ids + new[which])[-1], atol=1e-4, rtol=0)
    assert model.model.model.rope_deltas is None


@torch.inference_mode()
def test_greedy_answers_equal_the_library_s_generate(model: Glm4vMoe, noise: Noise) -> None:
    messages = conversation(noise, 1)
    prompt = prompt_of(model, messages)
    library: Any = model.model
    theirs = library.generate(**library_inputs(model, prompt, prompt.ids), max_new_tokens=12, do_sample=False)
    model.model.model.rope_deltas = None
    assert model.generate(messages, PLAIN).token_ids == tuple(theirs[0, len(prompt) :].tolist())
