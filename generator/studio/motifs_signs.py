"""Motifs that are signs and tools: key, lens, clock, shield. Each draws in the square from -1 to 1."""

import skia

from generator.studio.pen import Pen, polar


def draw_orbits(pen: Pen) -> None:
    """Planets around a centre: systems, science, platforms."""
    tilt = -25.0
    for index, radius in enumerate((0.92, 0.66)):
        pen.ring(0, 0, radius, 0.045, index, squash=0.42, tilt=tilt, shade=0.15, lift=0.02)
    pen.circle(0, 0, 0.36, 0)
    for index, (radius, size, turn) in enumerate(((0.92, 0.16, 30), (0.66, 0.13, 200), (0.92, 0.12, 150))):
        matrix = skia.Matrix.RotateDeg(tilt)
        x, y = polar(0, 0, radius, turn)
        point = matrix.mapXY(x, y * 0.42)
        pen.circle(point.x(), point.y(), size, 1 + index, lift=0.05)


def draw_rings(pen: Pen) -> None:
    """Concentric rings with gaps: focus, cycles, layers."""
    turn = 40
    for index, (radius, sweep) in enumerate(((0.84, 280), (0.58, 300), (0.32, 260))):
        pen.arc(0, 0, radius, turn + 100 * index, sweep, 0.17, index, shade=0.08)
    pen.circle(0, 0, 0.12, 1)


def draw_shield(pen: Pen) -> None:
    """A shield in two halves with a tick or a lock: security, privacy, trust."""
    def outline(scale: float) -> skia.Path:
        path = skia.Path()
        path.moveTo(0, -0.95 * scale)
        path.cubicTo(0.3 * scale, -0.78 * scale, 0.55 * scale, -0.72 * scale, 0.8 * scale, -0.7 * scale)
        path.cubicTo(0.86 * scale, 0.1 * scale, 0.55 * scale, 0.65 * scale, 0, 0.97 * scale)
        path.cubicTo(-0.55 * scale, 0.65 * scale, -0.86 * scale, 0.1 * scale, -0.8 * scale, -0.7 * scale)
        path.cubicTo(-0.55 * scale, -0.72 * scale, -0.3 * scale, -0.78 * scale, 0, -0.95 * scale)
        path.close()
        return path
    pen.fill(outline(1.0), 0, shade=-0.1)
    pen.fill(outline(0.78), 0, shade=0.18, lift=0.02)
    tick = skia.Path()
    tick.moveTo(-0.32, 0.0)
    tick.lineTo(-0.06, 0.27)
    tick.lineTo(0.36, -0.27)
    pen.stroke(tick, 0.16, 1)


def draw_lens(pen: Pen) -> None:
    """A magnifying glass: search, analysis, insight."""
    side = 1
    pen.line((side * 0.3, 0.3), (side * 0.86, 0.86), 0.2, 0, shade=-0.25)
    pen.circle(-side * 0.16, -0.16, 0.66, 0)
    pen.circle(-side * 0.16, -0.16, 0.5, 2, shade=0.4, lift=0)
    pen.arc(-side * 0.16, -0.16, 0.36, 180, 70, 0.07, 2, shade=0.8, lift=0)
    for index, height in enumerate((0.18, 0.34, 0.26)):
        left = -side * 0.16 - 0.23 + index * 0.17
        pen.box(left, 0.1 - height, left + 0.11, 0.1, 1, corner=0.03, lift=0)


def draw_key(pen: Pen) -> None:
    """A key: access, solutions, secrets."""
    side = 1
    hole, head = skia.Path(), skia.Path()
    head.addCircle(-0.52 * side, 0, 0.42)
    hole.addCircle(-0.52 * side, 0, 0.19)
    shaft = skia.Path()
    left, right = sorted((-0.2 * side, 0.95 * side))
    shaft.addRoundRect(skia.Rect.MakeLTRB(left, -0.1, right, 0.1), 0.06, 0.06)
    key = skia.Op(skia.Op(head, hole, skia.kDifference_PathOp), shaft, skia.kUnion_PathOp)
    for x, depth in ((0.5, 0.36), (0.76, 0.44)):
        tooth = skia.Path()
        tooth.addRoundRect(skia.Rect.MakeLTRB(x * side - 0.08, 0.0, x * side + 0.08, depth), 0.04, 0.04)
        key = skia.Op(key, tooth, skia.kUnion_PathOp)
    key.transform(skia.Matrix.RotateDeg(-30))
    pen.circle(0, 0, 0.95, 2, shade=0.35, lift=0.02, alpha=0.6)
    pen.fill(key, 0, lift=0.1)
    pen.circle(0.62 * side, -0.62, 0.12, 1)


def draw_compass(pen: Pen) -> None:
    """A compass needle in its ring: direction, strategy, values."""
    turn = -50
    pen.circle(0, 0, 0.92, 0)
    pen.circle(0, 0, 0.74, 2, shade=0.5, lift=0.02)
    for mark in range(0, 360, 90):
        pen.line(polar(0, 0, 0.58, mark), polar(0, 0, 0.66, mark), 0.05, 0, lift=0)
    left, right = polar(0, 0, 0.16, turn + 90), polar(0, 0, 0.16, turn - 90)
    pen.polygon([polar(0, 0, 0.56, turn), left, right], 1, lift=0.04)
    pen.polygon([polar(0, 0, 0.56, turn + 180), left, right], 0, shade=-0.2, lift=0.02)
    pen.circle(0, 0, 0.08, 2, shade=0.6, lift=0.02)


def draw_clock(pen: Pen) -> None:
    """A clock face: time, deadlines, efficiency, history."""
    pen.circle(0, 0, 0.92, 0, shade=-0.05)
    pen.circle(0, 0, 0.78, 2, shade=0.55, lift=0)
    for mark in range(0, 360, 30):
        inner = 0.6 if mark % 90 == 0 else 0.66
        pen.line(polar(0, 0, inner, mark), polar(0, 0, 0.7, mark), 0.045, 0, lift=0)
    pen.line((0, 0), polar(0, 0, 0.36, -150), 0.1, 0, shade=-0.2, lift=0.03)
    pen.line((0, 0), polar(0, 0, 0.56, -30), 0.07, 1, lift=0.04)
    pen.circle(0, 0, 0.09, 1, lift=0.02)
