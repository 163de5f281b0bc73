"""The part of a picture that a widget shows: it fits the widget, or is zoomed and moved. Standard library only."""

from __future__ import annotations

import math

from plugin.engine.messages import Area, LayerView

LARGEST_SCALE = 8.0
ZOOM_STEP = 2**0.5


class Viewport:
    """Where a picture lies in a widget.

    Lengths in the widget are in the screen's own pixels; one of GTK's pixels may have several of them.

    Args:
        width: the picture's, in its own pixels.
        height: likewise.

    Attributes:
        smallest_scale: the least scale that the user may choose, or 0 if the picture may also fit the widget.
    """

    def __init__(self, width: int, height: int) -> None:
        self.smallest_scale = 0.0
        self._width, self._height = width, height
        self._widget = (1, 1)
        self._scale: float | None = None  # None: fit
        self._centre = (width / 2, height / 2)

    @property
    def fit_scale(self) -> float:
        """The scale at which the whole picture is seen; a small one is not enlarged."""
        return min(1.0, self._widget[0] / self._width, self._widget[1] / self._height)

    @property
    def scale(self) -> float:
        """The screen's pixels for one of the picture's."""
        scale = self.fit_scale if self._scale is None else self._scale
        return max(scale, self.smallest_scale)

    @property
    def movable(self) -> bool:
        """Whether part of the picture is out of sight."""
        width, height = self._size()
        return width > self._widget[0] or height > self._widget[1]

    def resize(self, width: int, height: int) -> bool:
        """Note the widget's size. Return whether it has changed."""
        changed = self._widget != (width, height)
        self._widget = (width, height)
        return changed

    def fit(self) -> None:
        """Show the whole picture."""
        self._scale = None

    def zoom(self, scale: float, point: tuple[float, float] | None = None) -> None:
        """Show the picture at a scale; what is at a point of the widget, or in its middle, stays there."""
        x, y = point or (self._widget[0] / 2, self._widget[1] / 2)
        left, top = self._origin()
        old, width, height = self.scale, *self._widget
        new = min(LARGEST_SCALE, max(scale, min(self.fit_scale, 1.0), self.smallest_scale))
        self._scale = None if new <= self.fit_scale < 1.0 else new
        self._centre = (x - left) / old + (width / 2 - x) / new, (y - top) / old + (height / 2 - y) / new

    def zoom_by(self, steps: float, point: tuple[float, float] | None = None) -> None:
        """Zoom in by a number of steps, or out if it is negative, with a stop at 100 %."""
        old, new = self.scale, self.scale * ZOOM_STEP**steps
        if (old - 1) * (new - 1) < 0:
            new = 1.0
        self.zoom(new, point)

    def move(self, across: float, down: float) -> None:
        """Move the picture by this many of the screen's pixels, but not out of sight."""
        (left, top), (width, height), room = self._origin(), self._size(), self._widget
        if width > room[0]:
            left = round(min(0.0, max(room[0] - width, left + across)))
        if height > room[1]:
            top = round(min(0.0, max(room[1] - height, top + down)))
        self._centre = (room[0] / 2 - left) / self.scale, (room[1] / 2 - top) / self.scale

    def visible_area(self) -> Area:
        """Return the picture's pixels that can be seen, whole ones."""
        (x, y), (width, height) = self._origin(), self._size()
        across, down = width / self._width, height / self._height
        left, top = max(0, math.floor(-x / across)), max(0, math.floor(-y / down))
        right = min(self._width, math.ceil((self._widget[0] - x) / across))
        bottom = min(self._height, math.ceil((self._widget[1] - y) / down))
        return Area(left, top, max(1, right - left), max(1, bottom - top))

    def view(self) -> LayerView:
        """Return what can be seen, at the size at which it is shown if that is not larger than its own."""
        if self.scale >= 1:
            area = self.visible_area()
            return LayerView(area, int(area.width), int(area.height))
        (x, y), (width, height) = self._origin(), self._size()
        left, top = max(0, -x), max(0, -y)
        right, bottom = min(width, self._widget[0] - x), min(height, self._widget[1] - y)
        right, bottom = max(left + 1, right), max(top + 1, bottom)
        across, down = self._width / width, self._height / height
        area = Area(left * across, top * down, (right - left) * across, (bottom - top) * down)
        return LayerView(area, right - left, bottom - top)

    def rectangle(self, area: Area) -> tuple[int, int, int, int]:
        """Return where an area of the picture lies in the widget: left, top, right, bottom."""
        (x, y), (width, height) = self._origin(), self._size()
        across, down = width / self._width, height / self._height
        return (
            x + round(area.left * across),
            y + round(area.top * down),
            x + round((area.left + area.width) * across),
            y + round((area.top + area.height) * down),
        )

    def picture_rectangle(self) -> tuple[int, int, int, int]:
        """Return where the visible part of the picture lies in the widget: left, top, right, bottom."""
        left, top, right, bottom = self.rectangle(Area(0, 0, self._width, self._height))
        return max(0, left), max(0, top), min(self._widget[0], right), min(self._widget[1], bottom)

    def _size(self) -> tuple[int, int]:
        return max(1, round(self._width * self.scale)), max(1, round(self._height * self.scale))

    def _origin(self) -> tuple[int, int]:
        """Return where the picture's corner lies in the widget."""
        scale, (width, height) = self.scale, self._size()
        return (
            _placed(self._widget[0], width, self._centre[0] * scale),
            _placed(self._widget[1], height, self._centre[1] * scale),
        )


def _placed(room: int, length: int, middle: float) -> int:
    """Return where a length begins in the room: in its middle if it fits, else where it leaves no room empty."""
    if length <= room:
        return (room - length) // 2
    return min(0, max(room - length, round(room / 2 - middle)))
