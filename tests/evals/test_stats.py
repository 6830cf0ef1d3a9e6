import pytest

from evals.stats import wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.27754),  # z²/n = 0.38416; high = 0.38416 / 1.38416
        (10, 10, 0.72246, 1.0),  # low = 1 / 1.38416
        (5, 10, 0.23659, 0.76341),  # half = 1.96 √(0.025 + 0.009604) / 1.38416 = 0.26341 around 0.5
        (47, 50, 0.83785, 0.97937),  # middle 0.97842, half 1.96 √(0.001128 + 0.00038416) = 0.07622; both / 1.076832
    ],
)
def test_the_interval_is_the_one_computed_by_hand(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=1e-4)


def test_the_interval_holds_the_rate_lies_in_0_to_1_and_shrinks_with_n() -> None:
    for n in range(1, 60):
        for successes in range(n + 1):
            low, high = wilson(successes, n)
            assert 0 <= low <= successes / n <= high <= 1
            wider = wilson(successes * 2, n * 2)
            assert wider[1] - wider[0] < high - low


def test_nothing_tried_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_more_successes_than_tries_are_refused() -> None:
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson(3, 2)
