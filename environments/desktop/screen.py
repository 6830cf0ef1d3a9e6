"""Which part of the desktop is seen, and where a pixel of the screenshot lies on it. The one place that knows of monitors and scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from environments.base import Box, EnvironmentFault, Point, check_inside


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of the desktop in the units the mouse is moved in: pixels on X11, points on macOS. It may lie left of or above (0, 0)."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, monitors: Sequence[Mapping[str, int]], monitor: int, region: Box | None) -> Area:
        """monitors: as mss lists them, the first being all of them together. region: a part of that monitor, from its top-left corner.

        Raises EnvironmentFault for a monitor or a region that is not there.
        """
        if len(monitors) == 1:  # a display that does not tell them apart
            monitors = [*monitors, *monitors]
        if not 0 <= monitor < len(monitors):
            raise EnvironmentFault(f"There is no monitor {monitor}: name one from 1 to {len(monitors) - 1}, or 0 for all together.")
        whole = cls(*(int(monitors[monitor][side]) for side in ("left", "top", "width", "height")))
        if region is None:
            return whole
        part = cls(whole.left + round(region.left), whole.top + round(region.top), *(round(side) + 1 for side in _sides(region)))
        if not (0 <= region.left < region.right < whole.width and 0 <= region.top < region.bottom < whole.height):
            raise EnvironmentFault(
                f"The region {tuple(region)} does not lie on monitor {monitor}, which is {whole.width} by {whole.height}."
            )
        return part


@dataclass(frozen=True, slots=True)
class Screen:
    """What a screenshot of `size` pixels shows: an area. On HiDPI screens of macOS it has more pixels than the area has units."""

    area: Area
    size: tuple[int, int]

    def place(self, point: Point) -> tuple[int, int]:
        """Where the mouse goes for a pixel of the screenshot. Raises ActionError for one outside."""
        check_inside(point, self.size)
        across, down = (pixels / units for pixels, units in zip(self.size, (self.area.width, self.area.height), strict=True))
        return self.area.left + int((point.x + 0.5) / across), self.area.top + int((point.y + 0.5) / down)

    def part(self, box: Box) -> Area:
        """The area that a box of the screenshot covers. Raises ActionError when a corner lies outside."""
        (left, top), (right, bottom) = (self.place(Point(int(x), int(y))) for x, y in ((box.left, box.top), (box.right, box.bottom)))
        return Area(left, top, right - left + 1, bottom - top + 1)


def _sides(box: Box) -> tuple[float, float]:
    return box.right - box.left, box.bottom - box.top
