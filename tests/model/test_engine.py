"""The engine reads nothing twice, answers many at once as it would each alone, and survives what goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from model.base import CacheFull, Cancelled, Completion, GenerationConfig, Message, ModelError, OutOfMemory, PromptError, ScreenshotWindow
from model.engine import Engine
from model.forward import Forward, Row
from model.kv import KVShape
from model.prefix import AT_REST
from tests.model.conftest import Noise
from tests.model.test_forward import library_inputs, prompt_of

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoe

CONFIG = GenerationConfig(max_tokens=8, logprobs=True)
Trajectory = list[Message]


@pytest.fixture
def own(checkpoint: Path) -> Glm4vMoe:
    """A model whose engine has read nothing yet."""
    from model.glm4v_moe import Glm4vMoe

    return Glm4vMoe.load(checkpoint)


def begin(noise: Noise, seed: int = 0) -> Trajectory:
    return [Message("system", ("Be brief.",)), Message("user", ("Press OK.", noise(seed)))]


def after(messages: Trajectory, said: Completion, picture: Any) -> Trajectory:
    """The next step of an append-only loop."""
    return [*messages, Message("assistant", (said.content,), token_ids=said.token_ids), Message("tool", ("clicked", picture))]


def fresh(model: Glm4vMoe) -> Glm4vMoe:
    """The same with nothing in its memory."""
    model.engine.forget()
    return model


def same(found: Completion, expected: Completion) -> None:
    assert found.token_ids == expected.token_ids
    assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-4)


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """Results, or what was raised."""
    found: list[Any] = [None] * len(calls)

    def run(i: int) -> None:
        try:
            found[i] = calls[i]()
        except Exception as error:
            found[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_greedy_answers_equal_the_library_s_generate(model: Glm4vMoe, noise: Noise) -> None:
    messages = begin(noise)
    prompt = prompt_of(model, messages)
    library: Any = model.model
    theirs = library.generate(**library_inputs(model, prompt, prompt.ids), max_new_tokens=8, do_sample=False)
    model.model.model.rope_deltas = None
    assert model.generate(messages, CONFIG).token_ids == tuple(theirs[0, len(prompt) :].tolist())


def test_each_step_of_a_loop_reads_only_what_is_new_and_answers_as_if_it_read_all(model: Glm4vMoe, own: Glm4vMoe, noise: Noise) -> None:
    messages = begin(noise)
    said = own.generate(messages, CONFIG)
    for step in range(1, 5):
        read = said.prompt_tokens + len(said.token_ids) - 1
        messages = after(messages, said, noise(step, 90 + 20 * step, 60))
        said = own.generate(messages, CONFIG)
        assert said.cached_tokens == read
        same(said, fresh(model).generate(messages, CONFIG))


def test_a_reply_told_again_is_told_in_the_tokens_it_was_written_in_if_they_spell_it(own: Glm4vMoe, noise: Noise) -> None:
    messages = begin(noise)
    said = own.generate(messages, CONFIG)
    spelled = prompt_of(own, after(messages, said, noise(1)))
    assert tuple(spelled.ids)[len(prompt_of(own, messages)) :][: len(said.token_ids)] == said.token_ids
    other = replace(said, content="something else")
    assert (
        prompt_of(own, after(messages, other, noise(1))).ids
        == prompt_of(own, [*messages, Message("assistant", ("something else",)), Message("tool", ("clicked", noise(1)))]).ids
    )


def test_the_same_screenshot_is_encoded_once(own: Glm4vMoe, noise: Noise) -> None:
    messages = begin(noise)
    said = own.generate(messages, CONFIG)
    held = own.engine.stats.feature_bytes
    own.engine.forget()
    own.generate(after(messages, said, noise(0)), CONFIG)
    assert own.engine.stats.feature_bytes == held > 0


def test_conversations_that_take_turns_do_not_disturb_each_other(model: Glm4vMoe, own: Glm4vMoe, noise: Noise) -> None:
    two = [begin(noise, 1), begin(noise, 2)]
    for step in range(3):
        for i in (0, 1):
            said = own.generate(two[i], CONFIG)
            same(said, fresh(model).generate(two[i], CONFIG))
            assert step == 0 or said.cached_tokens > len(prompt_of(model, two[i])) // 2
            two[i] = after(two[i], said, noise(10 * i + step))


def test_a_prompt_that_shares_only_its_beginning_leaves_the_rest_to_the_other(own: Glm4vMoe, noise: Noise) -> None:
    messages = after(begin(noise, 1), own.generate(begin(noise, 1), CONFIG), noise(2))
    own.generate(messages, CONFIG)
    other = own.generate(begin(noise, 3), CONFIG)
    assert 0 < other.cached_tokens < 30
    assert own.generate(messages, CONFIG).cached_tokens == len(prompt_of(own, messages)) - 1


def test_a_rolled_back_conversation_is_read_on_from_where_it_differs(model: Glm4vMoe, own: Glm4vMoe, noise: Noise) -> None:
    messages = begin(noise)
    said = own.generate(messages, CONFIG)
    one = own.generate(after(messages, said, noise(1)), CONFIG)
    two = own.generate(after(messages, said, noise(2)), CONFIG)
    assert one.prompt_tokens == two.prompt_tokens
    assert two.cached_tokens > len(prompt_of(own, messages))
    same(two, fresh(model).generate(after(messages, said, noise(2)), CONFIG))


@pytest.mark.parametrize("evict", [False, True])
def test_old_screenshots_leave_in_blocks(model: Glm4vMoe, own: Glm4vMoe, noise: Noise, evict: bool) -> None:
    config = replace(CONFIG, window=ScreenshotWindow(keep=2, drop=2, evict=evict))
    messages, lengths, picture = begin(noise), [], model.preprocessor.tokens(200, 200)
    for step in range(1, 7):
        said = own.generate(messages, config)
        lengths.append(said.prompt_tokens)
        if not evict:
            same(said, fresh(model).generate(messages, config))
        elif step > 1:
            assert said.prompt_tokens - said.cached_tokens < picture + 25  # what is gone was taken out, nothing was read again
        messages = after(messages, said, noise(step, 200, 200))
    assert lengths[3] < lengths[2] + picture  # the fourth screenshot came, and two were gone
    assert lengths[5] - lengths[3] < 2 * picture


def test_together_each_is_answered_as_alone(model: Glm4vMoe, own: Glm4vMoe, noise: Noise) -> None:
    asked = [[Message("user", (noise(i, 60 + 50 * i, 300), f"What is {i}?"))] for i in range(5)]
    configs = [replace(CONFIG, max_tokens=4 + 5 * i, temperature=float(i % 2), seed=i) for i in range(5)]
    alone = [fresh(model).generate(messages, config) for messages, config in zip(asked, configs, strict=True)]
    before = own.engine.stats.rounds
    together = in_threads(*(lambda i=i: own.generate(asked[i], configs[i]) for i in range(5)))
    for found, expected in zip(together, alone, strict=True):
        same(found, expected)
    assert own.engine.stats.rounds - before < sum(len(found.token_ids) for found in alone)  # fewer forwards than tokens: they were shared


def test_many_samples_of_one_prompt_read_it_once(own: Glm4vMoe, noise: Noise) -> None:
    messages = [Message("user", (noise(0, 500, 400), "What is this?"))]
    best_of = in_threads(*(lambda i=i: own.generate(messages, replace(CONFIG, temperature=1.0, seed=i)) for i in range(4)))
    assert sorted(said.cached_tokens for said in best_of)[1:] == [len(prompt_of(own, messages)) - 1] * 3
    assert len({said.token_ids for said in best_of}) > 1


def test_memory_stays_within_its_budget_and_the_least_recently_used_goes_first(checkpoint: Path, noise: Noise) -> None:
    from model.glm4v_moe import Glm4vMoe

    own = Glm4vMoe.load(checkpoint)
    own.cache_bytes = 3 * 256 * KVShape.of(own.model).bytes_per_token
    for seed in (1, 2, 3, 1, 4):
        said = own.generate(begin(noise, seed), CONFIG)
        assert own.engine.stats.kv_bytes <= own.cache_bytes
    assert own.generate(begin(noise, 1), CONFIG).cached_tokens == said.prompt_tokens - 1
    assert own.generate(begin(noise, 2), CONFIG).cached_tokens < 30


def test_a_budget_smaller_than_one_prompt_is_named_and_smaller_prompts_are_answered(checkpoint: Path, noise: Noise) -> None:
    from model.glm4v_moe import Glm4vMoe

    own = Glm4vMoe.load(checkpoint)
    own.cache_bytes = 256 * KVShape.of(own.model).bytes_per_token
    with pytest.raises(CacheFull, match="MiB are allowed"):
        own.generate([Message("user", (noise(0, 600, 600),))], CONFIG)
    assert len(own.generate(begin(noise), CONFIG).token_ids) == 8
    stops, own.stops = own.stops, frozenset()
    with pytest.raises(CacheFull, match="outgrew"):
        own.generate(begin(noise), replace(CONFIG, max_tokens=400, temperature=1.0))
    own.stops = stops
    same(own.generate(begin(noise), CONFIG), Glm4vMoe.load(checkpoint).generate(begin(noise), CONFIG))


def test_a_prompt_that_fits_into_the_budget_is_answered_though_nothing_is_to_spare(checkpoint: Path, model: Glm4vMoe, noise: Noise) -> None:
    from model.glm4v_moe import Glm4vMoe

    own = Glm4vMoe.load(checkpoint)
    own.cache_bytes = 5 * 256 * KVShape.of(own.model).bytes_per_token
    messages, width = [Message("user", (noise(0, 560, 560),))], 280
    while (tokens := len(prompt_of(own, messages))) + 8 <= 5 * 256:
        said = own.generate(messages, CONFIG)
        assert own.engine.stats.kv_bytes <= own.cache_bytes
        same(said, fresh(model).generate(messages, CONFIG))
        messages = after(messages, said, noise(tokens, width, 280))
    assert tokens > 5 * 256 * 4 / 5 + 64, "a quarter more would have been too much"
    with pytest.raises(CacheFull, match="prompt needs"):
        own.generate(messages, CONFIG)


def test_a_prompt_that_shares_little_takes_over_what_is_at_rest_where_there_is_no_room_for_two(own: Glm4vMoe, noise: Noise) -> None:
    own.cache_bytes = 256 * KVShape.of(own.model).bytes_per_token
    own.generate(begin(noise, 1), CONFIG)
    said = own.generate(begin(noise, 2), CONFIG)
    assert said.cached_tokens > 0
    assert own.engine.stats.sequences == 1
    assert own.engine.stats.kv_bytes <= own.cache_bytes


def test_a_cancelled_request_ends_alone_and_what_it_read_stays_right(model: Glm4vMoe, own: Glm4vMoe, noise: Noise) -> None:
    pieces: list[str] = []
    config = replace(CONFIG, max_tokens=500, temperature=1.0, seed=0, on_text=pieces.append, cancelled=lambda: len(pieces) > 5)
    stops, own.stops = own.stops, frozenset()  # it would go on for 500 tokens
    found = in_threads(lambda: own.generate(begin(noise, 1), config), lambda: own.generate(begin(noise, 2), CONFIG))
    own.stops = stops
    assert isinstance(found[0], Cancelled)
    same(found[1], fresh(model).generate(begin(noise, 2), CONFIG))
    again = own.generate(begin(noise, 1), CONFIG)
    assert again.cached_tokens == again.prompt_tokens - 1
    same(again, fresh(model).generate(begin(noise, 1), CONFIG))
    with pytest.raises(Cancelled, match="before it began"):
        own.generate(begin(noise), replace(CONFIG, cancelled=lambda: True))


def test_the_text_that_is_streamed_is_the_answer(own: Glm4vMoe, noise: Noise) -> None:
    pieces: list[str] = []
    said = own.generate(begin(noise), replace(CONFIG, temperature=1.0, seed=3, max_tokens=30, on_text=pieces.append))
    assert own.tokens.decode(said.token_ids).startswith("".join(pieces).rstrip("\ufffd"))
    assert len(pieces) > 5


@pytest.mark.parametrize("grammar", ['start: /[a-z]{3,9}/ "!"', 'start: "DONE()"'])
def test_neither_the_stop_token_is_streamed_nor_anything_that_is_forced_left_out(own: Glm4vMoe, noise: Noise, grammar: str) -> None:
    pieces: list[str] = []
    said = own.generate(begin(noise), replace(CONFIG, grammar=grammar, max_tokens=30, on_text=pieces.append))
    assert said.content
    assert "".join(pieces) == said.content


@pytest.mark.parametrize("which", ["on_text", "cancelled"])
def test_a_caller_s_function_that_fails_ends_its_own_request(own: Glm4vMoe, noise: Noise, which: str) -> None:
    def failing(*_: str) -> bool:
        raise KeyError(which)

    config = replace(CONFIG, on_text=failing) if which == "on_text" else replace(CONFIG, cancelled=failing)
    found = in_threads(lambda: own.generate(begin(noise), config), lambda: own.generate(begin(noise, 1), CONFIG))
    assert isinstance(found[0], KeyError)
    assert len(found[1].token_ids) == 8


class Cramped:
    """A forward without the memory for more than so many tokens at once."""

    def __init__(self, forward: Forward, tokens: int) -> None:
        self.forward, self.tokens = forward, tokens

    def logits(self, rows: Sequence[Row]) -> torch.Tensor:
        if sum(len(row) for row in rows) > self.tokens:
            raise torch.OutOfMemoryError("no memory")
        return self.forward.logits(rows)

    def features(self, patches: torch.Tensor, grid: tuple[int, int, int]) -> torch.Tensor:
        return self.forward.features(patches, grid)


def test_a_request_for_which_memory_does_not_suffice_fails_alone(model: Glm4vMoe, own: Glm4vMoe, noise: Noise) -> None:
    def encode(image: Any, grid: Any) -> torch.Tensor:
        return own.forward.features(own.preprocessor.frame(image), grid)

    own.engine.forget()
    shape = KVShape.of(own.model)
    own._engine = Engine(Cramped(own.forward, 60), shape, own.model.get_input_embeddings(), encode, 10**9, 10**9)
    large = [Message("user", (noise(0, 600, 600),))]
    found = in_threads(*(lambda asked=asked: own.generate(asked, CONFIG) for asked in (large, begin(noise, 1), begin(noise, 2))))
    assert isinstance(found[0], OutOfMemory)
    for i in (1, 2):
        same(found[i], fresh(model).generate(begin(noise, i), CONFIG))


@pytest.mark.parametrize("where", ["embed", "encode", "logits"])
def test_what_is_at_rest_is_let_go_before_a_request_fails_for_lack_of_memory(
    model: Glm4vMoe, own: Glm4vMoe, noise: Noise, where: str
) -> None:
    def cramped(name: str, work: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """Has the memory while nothing is at rest."""

        def tried(*given: Any) -> torch.Tensor:
            if name == where and own.engine.stats.sequences:
                raise torch.OutOfMemoryError("no memory")
            return work(*given)

        return tried

    def encode(image: Any, grid: Any) -> torch.Tensor:
        return own.forward.features(own.preprocessor.frame(image), grid)

    class Beside:
        logits = staticmethod(cramped("logits", own.engine._forward.logits))
        features = staticmethod(own.engine._forward.features)

    embed = cramped("embed", own.model.get_input_embeddings())
    own._engine = Engine(Beside(), KVShape.of(own.model), embed, cramped("encode", encode), 10**9, 10**9)
    for seed in (1, 2, 3):
        same(own.generate(begin(noise, seed), CONFIG), fresh(model).generate(begin(noise, seed), CONFIG))
        assert own.engine.stats.sequences == 1


def test_a_caller_s_function_that_fails_before_anything_is_read_ends_its_own_request(own: Glm4vMoe, noise: Noise) -> None:
    def failing(text: str) -> None:
        raise KeyError(text)

    with pytest.raises(KeyError, match="DONE"):
        own.generate(begin(noise), replace(CONFIG, grammar='start: "DONE()"', on_text=failing))
    assert len(own.generate(begin(noise), CONFIG).token_ids) == 8


def test_a_prompt_that_cannot_be_read_is_named_and_the_engine_goes_on(own: Glm4vMoe, noise: Noise) -> None:
    for messages in ([], [Message("user", (noise(0, 30_000, 20),))], [Message("user", ("a " * 4000,))]):
        with pytest.raises(PromptError):
            own.generate(messages, CONFIG)
    with pytest.raises(ModelError, match="no control token"):
        own.generate(begin(noise), replace(CONFIG, stop=("<nothing>",)))
    assert len(own.generate(begin(noise), CONFIG).token_ids) == 8


def test_an_extra_stop_ends_the_answer_and_stays_in_it(own: Glm4vMoe, noise: Noise) -> None:
    free = own.generate(begin(noise), replace(CONFIG, temperature=1.0, seed=0, max_tokens=300))
    controls = {index: name for name, index in own.tokens.control.items() if index not in own.stops}
    name = next(controls[token] for token in free.token_ids if token in controls)
    said = own.generate(begin(noise), replace(CONFIG, temperature=1.0, seed=0, max_tokens=300, stop=(name,)))
    assert said.stop_reason == "stop"
    assert said.token_ids == free.token_ids[: free.token_ids.index(own.tokens.control[name]) + 1]
    assert own.tokens.decode(said.token_ids).endswith(name)


def test_a_thought_is_closed_when_its_budget_is_spent(own: Glm4vMoe, noise: Noise) -> None:
    config = replace(CONFIG, max_tokens=20, thinking=True, thinking_budget=5)
    said = own.generate(begin(noise), config)
    assert said.token_ids[5] == own.tokens.control["</think>"]
    assert (said.forced_tokens, len(said.token_ids)) == (1, 20)
    assert said.reasoning == own.tokens.decode(said.token_ids[:5]).strip()


def test_log_probabilities_are_those_of_the_whole_vocabulary(model: Glm4vMoe, noise: Noise) -> None:
    said = fresh(model).generate(begin(noise), CONFIG)
    assert len(said.logprobs) == len(said.token_ids)
    assert all(-20 < value < 0 for value in said.logprobs)
    assert model.generate(begin(noise), replace(CONFIG, logprobs=False)).logprobs == ()


def test_the_engine_s_thread_ends_when_nobody_asks(own: Glm4vMoe, noise: Noise) -> None:
    own.generate(begin(noise), CONFIG)
    thread = own.engine._thread
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()
    assert len(own.generate(begin(noise, 1), CONFIG).token_ids) == 8


def test_of_many_conversations_the_latest_are_kept_so_that_a_prompt_is_compared_with_few(own: Glm4vMoe, noise: Noise) -> None:
    asked = [own.generate(begin(noise, seed), CONFIG).prompt_tokens for seed in range(AT_REST + 2)]
    assert len(own.engine._prefixes.idle) == AT_REST
    assert own.generate(begin(noise, AT_REST + 1), CONFIG).cached_tokens == asked[-1] - 1
    assert own.generate(begin(noise, 0), CONFIG).cached_tokens < asked[0] - 1, "of the first only what all begin with"
