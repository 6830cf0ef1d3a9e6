import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.base import EvalError, benchmarks, format_seeds, make_benchmark, parse_names, parse_seeds


def test_seeds_are_numbers_and_ranges_each_once_in_the_order_given() -> None:
    assert parse_seeds("3-5, 60,4,0") == (3, 4, 5, 60, 0)
    assert parse_seeds("") == ()
    assert len(parse_seeds("0-49")) == 50


@pytest.mark.parametrize("text", ["a", "1-", "-1", "5-3", "1.5", "0-9-12", "٣", "1 2"])
def test_what_is_no_seed_is_named(text: str) -> None:
    with pytest.raises(EvalError, match="is no seed: give numbers and ranges"):
        parse_seeds(text)


def test_names_are_separated_by_commas() -> None:
    assert parse_names("click-tab, click-test,,click-tab") == ("click-tab", "click-test")


def test_an_unknown_benchmark_is_told_with_those_there_are() -> None:
    assert "miniwob" in benchmarks()
    for name in ("minwob", "base", "runner", "../evals/miniwob", ""):
        with pytest.raises(EvalError, match=r"There is no benchmark .*miniwob"):
            make_benchmark(name)


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(EvalError, match="click-tset"):
        make_benchmark("miniwob", tasks=["click-tset"])


@given(st.sets(st.integers(0, 40)))
def test_seeds_written_are_read_back(seeds: set[int]) -> None:
    assert set(parse_seeds(format_seeds(list(seeds)))) == seeds
