"""Choosing the next token, and when to stop."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

import pytest
import torch

from model.base import GenerationConfig, ModelError
from model.decode import Reply, Sampler, Stop, Thinking, greedy
from model.pointing import Coordinates, Pointing, smooth
from tests.model import checkpoints

LOGITS = torch.tensor([0.0, 3.0, 1.0, 2.0])
LATE = time.monotonic() + 1000


def counts(config: GenerationConfig, draws: int = 400) -> Counter[int]:
    sampler = Sampler(config)
    return Counter(sampler(LOGITS) for _ in range(draws))


def test_greedy_takes_the_likeliest_token_and_the_first_of_equals() -> None:
    assert greedy(LOGITS) == 1
    assert greedy(torch.tensor([1.0, 2.0, 2.0])) == 1


def test_a_barred_token_is_never_chosen_and_the_logits_stay_as_they_were() -> None:
    logits = LOGITS.clone()
    assert decode(lambda ids: logits, Reply(greedy, Stop((), 1, LATE), (1,))) == [3]
    drawn = decode(lambda ids: logits, Reply(Sampler(GenerationConfig(temperature=1.0, seed=0)), Stop((), 200, LATE), (1,)))
    assert set(drawn) == {0, 2, 3}
    assert torch.equal(logits, LOGITS)


def test_the_same_seed_draws_the_same_tokens() -> None:
    first, second, other = (Sampler(GenerationConfig(temperature=1.0, seed=seed)) for seed in (1, 1, 2))
    draws = [[sampler(LOGITS) for _ in range(40)] for sampler in (first, second, other)]
    assert draws[0] == draws[1] != draws[2]


def test_tokens_are_drawn_as_often_as_their_probability_says() -> None:
    drawn, expected = counts(GenerationConfig(temperature=1.0, seed=0), 4000), LOGITS.softmax(-1)
    assert [drawn[token] / 4000 for token in range(4)] == pytest.approx(expected.tolist(), abs=0.03)


def test_a_low_temperature_draws_the_likeliest_token() -> None:
    assert set(counts(GenerationConfig(temperature=0.05, seed=0))) == {1}
    assert set(counts(GenerationConfig(temperature=1e-8, seed=0))) == {1}


@pytest.mark.parametrize(("top_p", "kept"), [(0.6, {1}), (0.7, {1, 3}), (0.95, {1, 2, 3}), (1.0, {0, 1, 2, 3})])
def test_top_p_keeps_the_smallest_set_that_holds_so_much(top_p: float, kept: set[int]) -> None:
    assert set(counts(GenerationConfig(temperature=1.0, top_p=top_p, seed=0))) == kept


@pytest.mark.parametrize(("temperature", "top_p"), [(-1.0, 1.0), (1.0, 0.0), (1.0, 1.5)])
def test_settings_out_of_range_are_refused(temperature: float, top_p: float) -> None:
    with pytest.raises(ModelError, match="temperature"):
        Sampler(GenerationConfig(temperature=temperature, top_p=top_p))


def decode(model: Callable[[list[int]], torch.Tensor], reply: Reply) -> list[int]:
    """The tokens of a reply by a model that gives logits for the tokens so far."""
    reply.begin()
    while not reply.reason:
        reply.next(model(reply.ids))
    return reply.ids


def count_up(ids: list[int]) -> torch.Tensor:
    """A model that always follows n with n + 1, and begins with 1."""
    return torch.eye(10)[ids[-1] + 1 if ids else 1]


def counted(stop: Stop) -> tuple[list[int], str | None]:
    reply = Reply(greedy, stop)
    return decode(count_up, reply), reply.reason


def test_a_reply_ends_with_its_stop_token_or_its_length_or_its_time() -> None:
    assert counted(Stop({4}, 9, LATE)) == ([1, 2, 3, 4], "stop")
    assert counted(Stop({4}, 2, LATE)) == ([1, 2], "length")
    assert counted(Stop({4}, 4, LATE)) == ([1, 2, 3, 4], "stop")
    assert counted(Stop({4}, 9, 0.0)) == ([1], "time")
    assert counted(Stop({4}, 0, LATE)) == ([], "length")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_an_error_not_an_answer(value: float) -> None:
    with pytest.raises(ModelError, match="not finite"):
        Reply(greedy, Stop((), 3, LATE)).next(torch.tensor([0.0, value]))


def test_a_thought_ends_by_itself_or_with_its_budget_and_what_follows_is_free() -> None:
    by_itself = Reply(greedy, Stop({9}, 20, LATE), thinking=Thinking(3))
    assert (decode(count_up, by_itself), by_itself.forced) == ([1, 2, 3, 4, 5, 6, 7, 8, 9], 0)
    closed = Reply(greedy, Stop({9}, 20, LATE), thinking=Thinking(7, budget=2), logprobs_wanted=True)
    assert (decode(count_up, closed), closed.forced) == ([1, 2, 7, 8, 9], 1)
    assert [value == 0.0 for value in closed.logprobs] == [False, False, True, False, False]


def test_forced_tokens_never_make_a_reply_longer_than_allowed() -> None:
    reply = Reply(greedy, Stop({9}, 3, LATE), thinking=Thinking(7, budget=3))
    assert (decode(count_up, reply), reply.reason) == ([1, 2, 3], "length")


TOKENIZER = checkpoints.tokenizer(thousandths=True)


def coordinate(text: str) -> int:
    found = TOKENIZER.token_to_id(text)
    assert found is not None
    return found


@pytest.mark.parametrize("first", ["[", ","])
def test_a_point_is_the_middle_of_the_likely_region_not_a_lonely_peak(first: str) -> None:
    logits = torch.full((TOKENIZER.get_vocab_size(),), -9.0)
    logits[coordinate(f"{first}700")] = 2.0
    for n in range(300, 325):
        logits[coordinate(f"{first}{n}")] = 1.5
    assert greedy(logits) == coordinate(f"{first}700")
    assert Pointing(TOKENIZER.token_to_id, 25)(logits) == coordinate(f"{first}312")


def test_other_tokens_are_chosen_greedily() -> None:
    logits = torch.full((TOKENIZER.get_vocab_size(),), -9.0)
    logits[[coordinate("[5"), 65]] = torch.tensor([1.0, 2.0])
    assert Pointing(TOKENIZER.token_to_id, 25)(logits) == 65


def test_smoothing_averages_neighbours_and_counts_zeros_beyond_the_ends() -> None:
    assert smooth(torch.tensor([3.0, 0.0, 0.0, 6.0]), 3).tolist() == [1.0, 1.0, 2.0, 2.0]
    assert smooth(torch.ones(2, 5), 3)[1].tolist() == pytest.approx([2 / 3, 1, 1, 1, 2 / 3])


def test_smoothing_needs_an_odd_width_and_single_tokens() -> None:
    with pytest.raises(ModelError, match="odd"):
        Pointing(TOKENIZER.token_to_id, 24)
    with pytest.raises(ModelError, match=r"'\[0'"):
        Pointing(checkpoints.tokenizer().token_to_id, 25)


def test_a_coordinate_is_as_sure_as_the_model_was_of_its_place() -> None:
    coordinates = Coordinates(TOKENIZER.token_to_id, TOKENIZER.decode)
    logits = torch.full((TOKENIZER.get_vocab_size(),), -30.0)
    for n, probability in ((400, 0.5), (405, 0.25), (700, 0.25)):
        logits[coordinate(f",{n}")] = math.log(probability)
    found = coordinates([7, coordinate(",400")], logits)
    assert found is not None
    assert (found.index, found.value) == (1, 400)
    assert found.probability == pytest.approx(0.75)
    assert coordinates([7, 8], logits) is None


def test_a_number_is_a_coordinate_only_behind_a_bracket_or_a_comma() -> None:
    numbers = {str(n): n for n in range(1000)}
    coordinates = Coordinates(numbers.get, lambda ids: "".join("[" if i == 1000 else "x" for i in ids))
    logits = torch.zeros(1001)
    assert coordinates([1001, 5], logits) is None
    assert coordinates([5], logits) is None
    found = coordinates([1000, 5], logits)
    assert found is not None
    assert found.value == 5
    assert found.probability == pytest.approx(18 / 1000)
