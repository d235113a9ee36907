"""Pen: draws soft shapes in a motif's own coordinates. The only file of the studio that knows skia.

A motif draws in a square from -1 to 1, y downwards. Colour 0 is the palette's main colour, 1.. its accents.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import skia
from numpy.typing import NDArray

from generator.studio.palettes import RGB, Palette, mix

Point = tuple[float, float]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
Material = Literal["paper", "glass", "clay", "metal", "light"]
MATERIALS: tuple[Material, ...] = get_args(Material)
Look = Callable[[RGB, float], skia.Paint]
"""Paint of a colour and opacity: a look of its own, in place of a material's."""


def _colour(rgb: RGB, alpha: float = 1.0) -> int:
    return int(skia.Color(*rgb, round(alpha * 255)))


def smooth(points: Sequence[Point], closed: bool = False) -> skia.Path:
    """A path through `points` without corners (Catmull-Rom turned into cubic Béziers)."""
    path, count = skia.Path(), len(points)
    path.moveTo(*points[0])
    for index in range(count if closed else count - 1):
        before, start, end, after = (
            points[(index + offset) % count] if closed else points[min(max(index + offset, 0), count - 1)]
            for offset in (-1, 0, 1, 2))
        path.cubicTo(start[0] + (end[0] - before[0]) / 6, start[1] + (end[1] - before[1]) / 6,
                     end[0] - (after[0] - start[0]) / 6, end[1] - (after[1] - start[1]) / 6, *end)
    if closed:
        path.close()
    return path


def polygon(points: Sequence[Point]) -> skia.Path:
    """A closed path with straight sides."""
    path = skia.Path()
    path.addPoly([skia.Point(*point) for point in points], True)
    return path


class Pen:
    """Fills and strokes in one material: with a gradient from the light, and a shadow, a sheen or a glow."""

    def __init__(self, canvas: skia.Canvas, palette: Palette, light: Point, material: Material = "paper",
                 look: Look | None = None) -> None:
        self.canvas, self.palette, self.light, self.material, self.look = canvas, palette, light, material, look

    def colour(self, index: int, shade: float = 0.0) -> RGB:
        """Palette colour `index`; shade > 0 mixes in white, < 0 black."""
        inks = (self.palette.main, *self.palette.accents)
        base = inks[index % len(inks)]
        return mix(base, WHITE, min(shade, 1)) if shade >= 0 else mix(base, BLACK, min(-shade, 1))

    def _gradient(self, box: skia.Rect, stops: Sequence[tuple[RGB, float]]) -> skia.Shader:
        reach = max(box.width(), box.height(), 1e-3) / 2
        start = skia.Point(box.centerX() + self.light[0] * reach, box.centerY() + self.light[1] * reach)
        end = skia.Point(box.centerX() - self.light[0] * reach, box.centerY() - self.light[1] * reach)
        return skia.GradientShader.MakeLinear([start, end], [_colour(*stop) for stop in stops])

    def _drop(self, depth: float, blur: float, lift: float) -> skia.ImageFilter:
        shadow = mix(self.palette.background, BLACK, 0.75)
        return skia.ImageFilters.DropShadow(-self.light[0] * lift, -self.light[1] * lift + 0.4 * lift, lift * blur, lift * blur,
                                            _colour(shadow, depth))

    def _paint(self, box: skia.Rect, index: int, shade: float, lift: float, alpha: float, soft: float) -> skia.Paint:
        """What each material is: stops of the gradient, and what lies around the shape."""
        if self.look is not None:
            return self.look(self.colour(index, shade), alpha)
        paint = skia.Paint(AntiAlias=True)

        def tone(change: float, opacity: float = 1.0) -> tuple[RGB, float]:
            return self.colour(index, max(min(shade + change, 1), -1)), alpha * opacity

        depth = 0.42 if self.palette.is_dark else 0.26
        stops, around = [tone(soft), tone(-soft)], self._drop(depth, 0.8, lift) if lift > 0 else None
        if self.material == "clay":
            stops = [tone(0.3), tone(0.05), tone(-0.22)]
            around = self._drop(depth, 1.3, 1.3 * lift) if lift > 0 else None
        elif self.material == "metal":
            stops = [tone(-0.2), tone(0.42), tone(-0.05), tone(-0.34), tone(0.12)]
        elif self.material == "glass":
            stops = [tone(0.5, 0.88), tone(0.1, 0.66), tone(0.0, 0.84)]
            around = self._drop(0.7 * depth, 1.0, lift) if lift > 0 else None
        elif self.material == "light":
            stops = [tone(0.25), tone(0.1)]
            around = skia.ImageFilters.DropShadow(0, 0, 0.09, 0.09, _colour(self.colour(index), 0.8)) if lift > 0 else None
        paint.setShader(self._gradient(box, stops))
        if around is not None:
            paint.setImageFilter(around)
        return paint

    def fill(self, path: skia.Path, index: int = 0, *, shade: float = 0.0, lift: float = 0.08,
             alpha: float = 1.0, soft: float = 0.1) -> None:
        """Fill `path`. lift: height above the ground, in the motif's units. soft: strength of the gradient."""
        self.canvas.drawPath(path, self._paint(path.getBounds(), index, shade, lift, alpha, soft))

    def polygon(self, points: Sequence[Point], index: int = 0, **look: float) -> None:
        """Fill straight sides between `points`."""
        self.fill(polygon(points), index, **look)

    def circle(self, x: float, y: float, radius: float, index: int = 0, **look: float) -> None:
        """Fill a circle."""
        path = skia.Path()
        path.addCircle(x, y, radius)
        self.fill(path, index, **look)

    def box(self, left: float, top: float, right: float, bottom: float, index: int = 0, *, corner: float = 0.06,
            **look: float) -> None:
        """Fill a rectangle with rounded corners."""
        path = skia.Path()
        path.addRoundRect(skia.Rect.MakeLTRB(left, top, right, bottom), corner, corner)
        self.fill(path, index, **look)

    def stroke(self, path: skia.Path, width: float, index: int = 0, *, shade: float = 0.0, lift: float = 0.05,
               alpha: float = 1.0) -> None:
        """Draw along `path` with round ends."""
        paint = self._paint(path.getBounds(), index, shade, lift, alpha, 0.08)
        paint.setStyle(skia.Paint.kStroke_Style)
        paint.setStrokeWidth(width)
        paint.setStrokeCap(skia.Paint.kRound_Cap)
        paint.setStrokeJoin(skia.Paint.kRound_Join)
        self.canvas.drawPath(path, paint)

    def line(self, start: Point, end: Point, width: float, index: int = 0, **look: float) -> None:
        """A straight stroke."""
        path = skia.Path()
        path.moveTo(*start)
        path.lineTo(*end)
        self.stroke(path, width, index, **look)

    def ring(self, x: float, y: float, radius: float, width: float, index: int = 0, *, squash: float = 1.0,
             tilt: float = 0.0, **look: float) -> None:
        """A circle or ellipse as a stroke. squash: height over width. tilt: degrees."""
        path = skia.Path()
        path.addOval(skia.Rect.MakeLTRB(-radius, -radius * squash, radius, radius * squash))
        path.transform(skia.Matrix.RotateDeg(tilt).postTranslate(x, y))
        self.stroke(path, width, index, **look)

    def arc(self, x: float, y: float, radius: float, start: float, sweep: float, width: float, index: int = 0,
            **look: float) -> None:
        """Part of a circle as a stroke. start, sweep: degrees, clockwise from the right."""
        path = skia.Path()
        path.addArc(skia.Rect.MakeLTRB(x - radius, y - radius, x + radius, y + radius), start, sweep)
        self.stroke(path, width, index, **look)


def polar(x: float, y: float, radius: float, degrees: float) -> Point:
    """The point at `degrees` (clockwise from the right) on a circle."""
    angle = math.radians(degrees)
    return x + radius * math.cos(angle), y + radius * math.sin(angle)


def paint_ground(canvas: skia.Canvas, palette: Palette, width: int, height: int, light: Point) -> None:
    """The background: a slow gradient and a wide glow on the side of the light."""
    base = palette.background
    bright, deep = mix(base, WHITE, 0.10 if palette.is_dark else 0.35), mix(base, BLACK, 0.16 if palette.is_dark else 0.06)
    centre = skia.Point(width / 2, height / 2)
    reach = max(width, height) / 2
    start = skia.Point(centre.x() + light[0] * reach, centre.y() + light[1] * reach)
    end = skia.Point(centre.x() - light[0] * reach, centre.y() - light[1] * reach)
    shader = skia.GradientShader.MakeLinear([start, end], [_colour(bright), _colour(base), _colour(deep)], [0, 0.5, 1])
    canvas.drawPaint(skia.Paint(Shader=shader))


def read_pixels(surface: skia.Surface) -> NDArray[np.uint8]:
    """[H, W, 3] 8-bit RGB of a finished surface."""
    pixels = surface.toarray(colorType=skia.kRGBA_8888_ColorType)
    return np.ascontiguousarray(pixels[..., :3])
