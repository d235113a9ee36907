"""Masks: which part of a picture is painted anew. Shapes in pixels, free of torch; drawn when the picture's size is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from generator.request import CoverImage

Alpha = NDArray[np.float32]
"""[H, W], 1 where the picture is painted anew, 0 where it stays."""
MAX_POINTS = 1000
MAX_FEATHER_PX = 256


class Shape(Protocol):
    """A region of a picture."""

    def draw(self, width: int, height: int) -> Alpha:
        """Its alpha in a picture of this size. Raises ValueError where it does not lie within it."""
        ...


@dataclass(frozen=True)
class Rectangle:
    """Pixels x0 to x0 + width - 1 and y0 to y0 + height - 1."""

    x0: int
    y0: int
    width: int
    height: int

    def draw(self, width: int, height: int) -> Alpha:
        """Its alpha."""
        _check_box("rectangle", (self.x0, self.y0, self.width, self.height), width, height)
        alpha = np.zeros((height, width), np.float32)
        alpha[self.y0:self.y0 + self.height, self.x0:self.x0 + self.width] = 1
        return alpha


@dataclass(frozen=True)
class Ellipse:
    """The ellipse in the rectangle of these pixels."""

    x0: int
    y0: int
    width: int
    height: int

    def draw(self, width: int, height: int) -> Alpha:
        """Its alpha: a pixel belongs to it if its centre does."""
        _check_box("ellipse", (self.x0, self.y0, self.width, self.height), width, height)
        rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width) + 0.5
        across = (columns - self.x0 - self.width / 2) / (self.width / 2)
        down = (rows - self.y0 - self.height / 2) / (self.height / 2)
        return np.asarray(across**2 + down**2 <= 1, np.float32)


@dataclass(frozen=True)
class Polygon:
    """The inside of a closed line through (x, y) points, by the even-odd rule."""

    points: tuple[tuple[float, float], ...]

    def draw(self, width: int, height: int) -> Alpha:
        """Its alpha: a pixel belongs to it if its centre does."""
        if not 3 <= len(self.points) <= MAX_POINTS:
            raise ValueError(f"polygon: it has {len(self.points)} points; it must have 3 to {MAX_POINTS}")
        for x, y in self.points:
            if not (0 <= x <= width and 0 <= y <= height):
                raise ValueError(f"polygon: point {x:g},{y:g} is not within the picture of {width}x{height} px")
        rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
        inside = np.zeros((height, width), bool)
        for (x0, y0), (x1, y1) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            beside = np.flatnonzero((y0 > rows) != (y1 > rows))
            if len(beside):
                crossing = (x1 - x0) * (rows[beside] - y0) / (y1 - y0) + x0
                inside[beside] ^= columns < crossing[:, None]
        return inside.astype(np.float32)


@dataclass(frozen=True)
class Drawn:
    """A mask drawn as a picture: white is painted anew, black stays, grey is between."""

    picture: CoverImage
    name: str = "mask"

    def draw(self, width: int, height: int) -> Alpha:
        """Its alpha."""
        if (self.picture.width, self.picture.height) != (width, height):
            raise ValueError(f"{self.name}: it is {self.picture.width}x{self.picture.height} px; the picture is "
                             f"{width}x{height} px, and both must be alike")
        rgb = np.frombuffer(self.picture.rgb, np.uint8).reshape(height, width, 3)
        return np.asarray(rgb @ np.array([0.299, 0.587, 0.114], np.float32) / 255, np.float32).round(4)


@dataclass(frozen=True, kw_only=True)
class Mask:
    """One or more shapes together. feather_px: how far inside its edge it takes to be fully painted. Hashable."""

    shapes: tuple[Shape, ...]
    feather_px: int = 0
    is_inverted: bool = False

    def __post_init__(self) -> None:
        if not self.shapes:
            raise ValueError("mask: it has no shape; give at least one")
        if not 0 <= self.feather_px <= MAX_FEATHER_PX:
            raise ValueError(f"feather: {self.feather_px} px is not from 0 to {MAX_FEATHER_PX}")

    def __or__(self, other: "Mask") -> "Mask":
        """Both regions. Raises ValueError where one of them is inverted or they differ in feather."""
        if self.is_inverted or other.is_inverted or self.feather_px != other.feather_px:
            raise ValueError("mask: only masks of one feather, not inverted, can be joined")
        return replace(self, shapes=self.shapes + other.shapes)

    def __invert__(self) -> "Mask":
        """Everything else."""
        return replace(self, is_inverted=not self.is_inverted)

    def draw(self, width: int, height: int) -> Alpha:
        """Its alpha before feathering, in a picture of this size. Raises ValueError if no pixel is in it."""
        alpha = np.max([shape.draw(width, height) for shape in self.shapes], axis=0)
        alpha = 1 - alpha if self.is_inverted else alpha
        if not alpha.any():
            raise ValueError(f"mask: it is empty: no pixel of the {width}x{height} picture is in it")
        return np.asarray(alpha, np.float32)


def create_rectangular_mask(x0: int, y0: int, width: int, height: int, feather_px: int = 0) -> Mask:
    """The rectangle whose upper left pixel is (x0, y0)."""
    return Mask(shapes=(Rectangle(x0, y0, width, height),), feather_px=feather_px)


def create_elliptical_mask(x0: int, y0: int, width: int, height: int, feather_px: int = 0) -> Mask:
    """The ellipse in that rectangle."""
    return Mask(shapes=(Ellipse(x0, y0, width, height),), feather_px=feather_px)


def create_polygonal_mask(points: Sequence[tuple[float, float]], feather_px: int = 0) -> Mask:
    """The inside of a closed line through (x, y) points."""
    return Mask(shapes=(Polygon(tuple(points)),), feather_px=feather_px)


def create_drawn_mask(picture: CoverImage, name: str = "mask", feather_px: int = 0) -> Mask:
    """A mask drawn as a picture of the same size: white is painted anew."""
    return Mask(shapes=(Drawn(picture, name),), feather_px=feather_px)


def _check_box(what: str, box: tuple[int, int, int, int], width: int, height: int) -> None:
    x0, y0, box_width, box_height = box
    told = f"{what}: {x0},{y0},{box_width},{box_height}"
    if box_width < 1 or box_height < 1:
        raise ValueError(f"{told} (x, y, width, height) is empty: width and height must be at least 1")
    if x0 < 0 or y0 < 0 or x0 + box_width > width or y0 + box_height > height:
        raise ValueError(f"{told} (x, y, width, height) is not within the picture of {width}x{height} px")
