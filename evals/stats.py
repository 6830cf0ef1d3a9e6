"""The arithmetic of success rates. Knows no benchmark and no files."""

from __future__ import annotations

from math import sqrt


def wilson(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval for a success rate: (low, high) in [0, 1]; z=1.96 is 95 %; (0, 1) when n is 0.

    With p = successes / n: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return 0.0, 1.0
    p, z2n = successes / n, z * z / n
    middle, half = p + z2n / 2, z * sqrt(p * (1 - p) / n + z2n / (4 * n))
    low = (middle - half) / (1 + z2n) if successes > 0 else 0.0  # exact at the ends, where rounding would leave 1e-17
    high = (middle + half) / (1 + z2n) if successes < n else 1.0
    return low, high
