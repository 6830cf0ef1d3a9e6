"""One screenshot that never changes: for grounding benchmarks and tests. Knows nothing of a real screen."""

from __future__ import annotations

import builtins
import io
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from PIL import Image

from environments.base import Button, Observation, Point, check_inside, key_name


class StaticEnvironment:
    """Shows an image and records what is done to it.

    actions: tuples of the verb, its positional arguments, and its named ones as a dictionary, in order; emptied by reset.
    """

    def __init__(self, image: Image.Image) -> None:
        self._image = image.convert("RGB")
        encoded = io.BytesIO()
        self._image.save(encoded, "PNG")
        self._seen = Observation(self._image, png=encoded.getvalue())
        self.actions: list[tuple[Any, ...]] = []

    def reset(self) -> Observation:
        self.actions.clear()
        return self._seen

    def observe(self) -> Observation:
        return self._seen

    def move(self, point: Point) -> None:
        self.actions.append(("move", self._on(point)))

    def click(self, point: Point, *, button: Button = "left", count: int = 1, hold: Sequence[str] = ()) -> None:
        self.actions.append(("click", self._on(point), {"button": button, "count": count, "hold": _keys(hold)}))

    def drag(self, path: Sequence[Point], *, button: Button = "left", hold: Sequence[str] = ()) -> None:
        self.actions.append(("drag", tuple(self._on(point) for point in path), {"button": button, "hold": _keys(hold)}))

    def scroll(self, point: Point, *, dx: int = 0, dy: int = 0) -> None:
        self.actions.append(("scroll", self._on(point), {"dx": dx, "dy": dy}))

    def type(self, text: str) -> None:
        self.actions.append(("type", text))

    def press(self, *keys: str) -> None:
        self.actions.append(("press", *_keys(keys)))

    def close(self) -> None:
        """Nothing is held."""

    def _on(self, point: Point) -> Point:
        check_inside(point, self._image.size)
        return point

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: builtins.type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _keys(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(key_name(name) for name in names)
