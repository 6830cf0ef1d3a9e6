"""Answers of a whole (random) checkpoint."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import model as package
from model.base import GenerationConfig, Message, Model, ModelError
from model.pointing import Pointing
from tests.model import checkpoints
from tests.model.conftest import Noise

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoe

SHORT = GenerationConfig(max_tokens=6)


def ask(noise: Noise, seed: int = 0) -> list[Message]:
    return [Message("system", ("Be brief.",)), Message("user", (noise(seed), "What is this?"))]


def test_it_is_a_model_and_says_what_an_answer_cost(model: Glm4vMoe, checkpoint: Path, noise: Noise) -> None:
    model.engine.forget()
    completion = model.generate(ask(noise), SHORT)
    assert isinstance(model, Model)
    assert model.name == str(checkpoint)
    assert completion.prompt_tokens > model.preprocessor.tokens(120, 90)
    assert completion.completion_tokens == len(completion.token_ids) == 6
    assert (completion.cached_tokens, completion.stop_reason) == (0, "length")
    assert completion.content == model.tokens.decode(completion.token_ids).strip()


def test_the_same_question_gets_the_same_answer_and_another_screenshot_another(model: Glm4vMoe, noise: Noise) -> None:
    answers = [model.generate(ask(noise, seed), SHORT).token_ids for seed in (0, 0, 1)]
    assert answers[0] == answers[1] != answers[2]


def test_a_sampled_answer_depends_on_its_seed_alone(model: Glm4vMoe, noise: Noise) -> None:
    answers = [model.generate(ask(noise), replace(SHORT, temperature=1.5, seed=seed)).token_ids for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]


def test_threads_share_a_model_without_disturbing_each_other(model: Glm4vMoe, noise: Noise) -> None:
    alone = [model.generate(ask(noise, seed), SHORT).token_ids for seed in range(3)]
    together: dict[int, tuple[int, ...]] = {}

    def run(seed: int) -> None:
        together[seed] = model.generate(ask(noise, seed), SHORT).token_ids

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[seed] for seed in range(3)] == alone


def test_the_stop_token_ends_the_answer_and_is_not_part_of_its_text(checkpoint: Path, noise: Noise) -> None:
    from model.glm4v_moe import Glm4vMoe

    own = Glm4vMoe.load(checkpoint)
    free = own.generate(ask(noise), SHORT).token_ids
    stop = next(token for i, token in enumerate(free) if i and token not in free[:i])
    own.stops = frozenset([stop])
    completion = own.generate(ask(noise), SHORT)
    assert completion.stop_reason == "stop"
    assert completion.token_ids == free[: free.index(stop) + 1]
    assert completion.content == own.tokens.decode(completion.token_ids[:-1]).strip()


@pytest.mark.parametrize("ends", [{"eos_token_id": "endoftext"}, {"eos_token_id": ["endoftext"]}, {}])
def test_the_next_turn_s_role_ends_an_answer_whatever_a_checkpoint_lists(copied: Path, ends: dict[str, object]) -> None:
    from model.glm4v_moe import Glm4vMoe

    control = Glm4vMoe.load(copied).tokens.control
    last = control["<|endoftext|>"]
    listed = {key: [last] if isinstance(value, list) else last for key, value in ends.items()}
    (copied / "generation_config.json").write_text(json.dumps(listed))
    assert Glm4vMoe.load(copied).stops >= {last, control["<|user|>"], control["<|observation|>"]}


def test_an_answer_never_holds_an_image_placeholder_however_likely(checkpoint: Path, noise: Noise) -> None:
    from model.glm4v_moe import Glm4vMoe

    own = Glm4vMoe.load(checkpoint)
    placeholder = own.tokens.control["<|image|>"]
    own.model.lm_head.weight.data[placeholder] *= 100  # about every second token, were it allowed
    completion = own.generate(ask(noise), GenerationConfig(max_tokens=20))
    assert completion.token_ids
    assert placeholder not in completion.token_ids


def test_the_reasoning_is_what_stands_before_the_end_of_the_thought(model: Glm4vMoe) -> None:
    def split(text: str) -> tuple[str, str]:
        return model._split(model.tokens.encode_trusted(text))

    assert split("<think>\nwhy </think>\n<|begin_of_box|>ok<|end_of_box|>") == ("<|begin_of_box|>ok<|end_of_box|>", "why")
    assert split("<think></think>\nok") == ("ok", "")
    assert split("why</think>ok</think>") == ("ok</think>", "why")
    assert split("<think>why, and never an en") == ("", "why, and never an en")
    assert split("<think>so I <tool_call>done</tool_call>") == ("<tool_call>done</tool_call>", "so I")
    assert split("<think>not <tool_call>done</tool_call></think>\nok") == ("ok", "not <tool_call>done</tool_call>")
    assert split(" ok\n") == ("ok", "")
    assert split("") == ("", "")


def test_a_character_cut_in_two_does_not_break_the_answer(model: Glm4vMoe) -> None:
    ids = model.tokens.encode("a ü")
    assert model._split(ids[:-1]) == ("a \ufffd", "")


def test_time_that_is_up_ends_the_answer_after_a_token(model: Glm4vMoe, noise: Noise) -> None:
    completion = model.generate(ask(noise), GenerationConfig(max_seconds=0.0))
    assert (completion.stop_reason, completion.completion_tokens) == ("time", 1)


def test_a_prompt_longer_than_the_context_is_refused_with_both_lengths(model: Glm4vMoe, noise: Noise) -> None:
    with pytest.raises(ModelError, match=r"is 2\d\d\d tokens long and the context 2048"):
        model.generate([Message("user", (Image.new("RGB", (1920, 1080)),))], SHORT)
    assert model.generate(ask(noise), SHORT).completion_tokens == 6


def test_an_answer_ends_where_the_context_does(model: Glm4vMoe) -> None:
    messages = [Message("user", ("a" * 2000,))]
    room = model.context - model.generate(messages, GenerationConfig(max_tokens=1)).prompt_tokens
    completion = model.generate(messages, GenerationConfig(max_tokens=5000))
    assert completion.completion_tokens <= room < 100
    assert completion.stop_reason in ("length", "stop")


def test_an_image_of_no_use_is_one_line_for_that_request(model: Glm4vMoe, noise: Noise) -> None:
    with pytest.raises(ModelError, match="30000×20"):
        model.generate([Message("user", (Image.new("RGB", (30_000, 20)),))], SHORT)
    assert model.generate([Message("user", (Image.new("RGBA", (1, 1)),))], SHORT).completion_tokens == 6


def test_ctrl_c_stops_an_answer_and_the_model_goes_on(model: Glm4vMoe, noise: Noise) -> None:
    before = model.generate(ask(noise), SHORT)
    ever = replace(SHORT, temperature=1.0, max_tokens=1500)

    def answer_for_ever() -> None:
        timer.start()
        while True:
            model.generate(ask(noise), ever)

    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    try:
        with pytest.raises(KeyboardInterrupt):
            answer_for_ever()
    finally:
        timer.cancel()
    assert model.generate(ask(noise), SHORT).token_ids == before.token_ids


def test_points_are_smoothed_only_where_the_checkpoint_asks_for_it(model: Glm4vMoe, noise: Noise, tmp_path: Path) -> None:
    from model.glm4v_moe import Glm4vMoe

    assert model.settings == {}
    folder = checkpoints.build(tmp_path / "pointing", thousandths=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"glimpse": {"point_smoothing": 25}}))
    pointing = Glm4vMoe.load(folder)
    assert isinstance(pointing._greedy, Pointing)
    assert not isinstance(model._greedy, Pointing)
    assert pointing.settings == {"point_smoothing": 25}
    assert pointing.generate(ask(noise), SHORT).completion_tokens == 6


def test_load_model_opens_a_folder_and_knows_where_the_embedded_checkpoint_lies(checkpoint: Path, noise: Noise) -> None:
    half = package.load_model(checkpoint, dtype="bfloat16")
    assert half.model.dtype.itemsize == 2
    assert half.generate(ask(noise), SHORT).completion_tokens == 6
    assert package.embedded_path() == Path(package.__file__).parent / "tiny"
