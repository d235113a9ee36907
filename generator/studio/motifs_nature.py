"""Motifs from nature, and flowing forms. Each draws one visual metaphor in the square from -1 to 1."""

import math

import skia

from generator.studio.pen import Pen, Point, polar, smooth


def draw_hills(pen: Pen) -> None:
    """Layered hills under a sun: outlook, long time, nature."""
    pen.circle(0.45, -0.5, 0.3, 1, lift=0.04)
    for layer, (shade, peak) in enumerate(((0.45, -0.4), (0.22, 0.35), (0.0, -0.15), (-0.25, 0.45))):
        base, top = 0.95, -0.42 + layer * 0.33
        width = 0.98 - layer * 0.02
        points = [(-width, base), (-width * 0.75, base - (base - top) * 0.35), (peak - 0.3, top + 0.18), (peak, top),
                  (peak + 0.3, top + 0.16), (width * 0.75, base - (base - top) * 0.3), (width, base)]
        path = smooth(points)
        path.close()
        pen.fill(path, 0, shade=shade, lift=0.05)


def draw_waves(pen: Pen) -> None:
    """Bands of waves: flow, rhythm, change."""
    for layer in range(4):
        top, swing = -0.55 + layer * 0.36, 0.16
        points = [(-0.98 + step * 0.14, top + swing * math.sin(layer * 1.1 + step * 0.55)) for step in range(15)]
        path = smooth(points)
        path.lineTo(0.98, top + 0.55)
        path.lineTo(-0.98, top + 0.55)
        path.close()
        pen.fill(path, (0, 1, 0, 2)[layer], shade=(0.3, 0.05, -0.05, 0.0)[layer], lift=0.06)


def draw_leaf(pen: Pen) -> None:
    """Leaves on a stem: ecology, calm, growth."""
    pen.stroke(smooth([(0.0, 1.0), (0.05, 0.4), (0.0, -0.3)]), 0.06, 0, shade=-0.25, lift=0.03)

    def leaf(root: Point, degrees: float, length: float, index: int, shade: float) -> None:
        side = length * 0.36
        path = skia.Path()
        path.moveTo(0, 0)
        path.cubicTo(length * 0.25, -side, length * 0.75, -side, length, 0)
        path.cubicTo(length * 0.75, side, length * 0.25, side, 0, 0)
        path.transform(skia.Matrix.RotateDeg(degrees).postTranslate(*root))
        pen.fill(path, index, shade=shade)
        end = polar(*root, length * 0.82, degrees)
        pen.line(root, end, 0.025, index, shade=shade - 0.25, lift=0)

    leaf((0.0, 0.55), -90 - 62, 0.8, 0, -0.1)
    leaf((0.0, 0.5), -90 + 62, 0.8, 1, 0.0)
    leaf((0.0, 0.1), -90 - 42, 0.85, 2, 0.0)
    leaf((0.0, -0.05), -90 + 22, 0.95, 0, 0.12)


def draw_cloud(pen: Pen) -> None:
    """A cloud above falling threads: the cloud, platforms, weather."""
    for index, (x, bottom) in enumerate(((-0.45, 0.7), (-0.15, 0.92), (0.15, 0.76), (0.45, 0.88))):
        pen.line((x, 0.3), (x, bottom), 0.045, 1 + index % 2, lift=0.02)
        pen.circle(x, bottom, 0.075, 1 + index % 2, lift=0.03)
    shape = skia.Path()
    for x, y, radius in ((-0.52, 0.02, 0.34), (-0.1, -0.28, 0.46), (0.38, -0.12, 0.38), (0.62, 0.1, 0.26)):
        blob = skia.Path()
        blob.addCircle(x, y, radius)
        shape = skia.Op(shape, blob, skia.kUnion_PathOp)
    floor = skia.Path()
    floor.addRoundRect(skia.Rect.MakeLTRB(-0.84, -0.08, 0.86, 0.36), 0.22, 0.22)
    pen.fill(skia.Op(shape, floor, skia.kUnion_PathOp), 0, shade=0.12, lift=0.1)


def draw_sprout(pen: Pen) -> None:
    """A seed's first two leaves on a mound: beginnings, learning, start-ups."""
    pen.stroke(smooth([(0.0, 0.62), (0.03, 0.2), (0.0, -0.18)]), 0.075, 1, shade=-0.1, lift=0.03)
    for side, size in ((-1, 0.72), (1, 0.86)):
        path = skia.Path()
        path.moveTo(0, -0.15)
        path.cubicTo(side * size * 0.15, -0.15 - size * 0.62, side * size * 0.7, -0.15 - size * 0.8,
                     side * size, -0.15 - size * 0.62)
        path.cubicTo(side * size * 0.98, -0.15 - size * 0.1, side * size * 0.5, -0.05, 0, -0.15)
        path.close()
        pen.fill(path, 0, shade=0.12 if side > 0 else -0.06)
    mound = smooth([(-0.9, 0.95), (-0.5, 0.66), (0.0, 0.55), (0.5, 0.66), (0.9, 0.95)])
    mound.close()
    pen.fill(mound, 2, shade=-0.1, lift=0.08)


def draw_path(pen: Pen) -> None:
    """A winding road to a horizon: journeys, careers, choices."""
    side = 1
    pen.circle(-side * 0.05, -0.55, 0.28, 1, lift=0.04)
    field = smooth([(-0.98, -0.2), (-0.4, -0.34), (0.1, -0.3), (0.6, -0.36), (0.98, -0.25)])
    field.lineTo(0.98, 0.95)
    field.lineTo(-0.98, 0.95)
    field.close()
    pen.fill(field, 0, shade=-0.05, lift=0.05)
    left = [(-0.42 * side - 0.34, 0.95), (0.3 * side - 0.24, 0.5), (-0.3 * side - 0.13, 0.12), (-0.03, -0.3)]
    right = [(0.03, -0.3), (-0.3 * side + 0.13, 0.12), (0.3 * side + 0.26, 0.5), (-0.42 * side + 0.38, 0.95)]
    road = smooth(left)
    road.addPath(smooth(right), skia.Path.kExtend_AddPathMode)
    road.close()
    pen.fill(road, 2, shade=0.25, lift=0.02)


def draw_ribbon(pen: Pen) -> None:
    """Flowing ribbons: creativity, music, data streams."""
    for index in range(4):
        offset = -0.42 + index * 0.26
        points = [(-0.95, offset + 0.35), (-0.45, offset - 0.3), (0.05, offset + 0.05),
                  (0.5, offset + 0.35), (0.95, offset - 0.25)]
        pen.stroke(smooth(points), 0.17, index, shade=(0.0, 0.1, 0.0, 0.25)[index], lift=0.07)


def draw_bubbles(pen: Pen) -> None:
    """Two speech bubbles: conversation, community, questions."""
    def bubble(left: float, top: float, right: float, bottom: float, tail: float, index: int, shade: float) -> None:
        shape, spike = skia.Path(), skia.Path()
        shape.addRoundRect(skia.Rect.MakeLTRB(left, top, right, bottom), 0.24, 0.24)
        middle = (left + right) / 2 + tail * (right - left) * 0.22
        spike.addPoly([skia.Point(middle - 0.13, bottom - 0.05), skia.Point(middle + 0.13, bottom - 0.05),
                       skia.Point(middle + tail * 0.2, bottom + 0.24)], True)
        pen.fill(skia.Op(shape, spike, skia.kUnion_PathOp), index, shade=shade, lift=0.09)

    bubble(-0.25, -0.9, 0.85, -0.1, 1, 1, 0.1)
    bubble(-0.9, -0.35, 0.5, 0.6, -1, 0, 0.0)
    for x in (-0.5, -0.2, 0.1):
        pen.circle(x, 0.12, 0.085, 2, shade=0.3, lift=0)
