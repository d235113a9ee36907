"""Motifs that are built: steps, cities, bridges, charts. Each draws in the square from -1 to 1."""

import skia

from generator.studio.pen import Pen, Point, polar, smooth


def draw_stairs(pen: Pen) -> None:
    """Steps up to a sphere: progress, goals, growth."""
    side, count = 1, 4
    width = 1.8 / count
    for step in range(count):
        left, top = -0.9 + step * width, 0.62 - step * 1.05 / (count - 1)
        box = (left, left + width) if side > 0 else (-left - width, -left)
        pen.box(box[0], top, box[1], 0.92, 0, corner=0.02, shade=0.28 - step * 0.11, lift=0.05)
    x = side * (0.9 - width / 2)
    pen.circle(x, -0.66, 0.2, 1)


def draw_blocks(pen: Pen) -> None:
    """Isometric cubes: modules, structure, engineering."""
    def cube(x: float, y: float, size: float, index: int) -> None:
        wide, high = size * 0.866, size * 0.5
        pen.polygon([(x, y - size), (x + wide, y - high), (x, y), (x - wide, y - high)], index, shade=0.32, lift=0, soft=0.04)
        pen.polygon([(x - wide, y - high), (x, y), (x, y + size), (x - wide, y + high)], index, shade=0.0, lift=0, soft=0.04)
        pen.polygon([(x, y), (x + wide, y - high), (x + wide, y + high), (x, y + size)], index, shade=-0.3, lift=0, soft=0.04)
    size = 0.42
    wide = size * 0.866
    cube(0.0, -0.12, size, 0)
    cube(-wide, 0.51, size, 1)
    cube(wide, 0.51, size, 2)


def draw_arch(pen: Pen) -> None:
    """Nested arches with a sphere in the doorway: entrances, culture, trust."""
    def arch(half: float, top: float, index: int, shade: float) -> None:
        path = skia.Path()
        path.moveTo(-half, 0.92)
        path.lineTo(-half, top + half)
        path.arcTo(skia.Rect.MakeLTRB(-half, top, half, top + 2 * half), 180, 180, False)
        path.lineTo(half, 0.92)
        path.close()
        pen.fill(path, index, shade=shade, lift=0.06)
    for half, top, index, shade in ((0.85, -0.9, 0, 0.0), (0.62, -0.6, 1, 0.15), (0.4, -0.3, 2, 0.1)):
        arch(half, top, index, shade)
    pen.circle(0.0, 0.62, 0.24, 0, shade=-0.2)


def draw_bars(pen: Pen) -> None:
    """Rising bars: figures, markets, growth."""
    heights = (0.45, 0.8, 0.62, 1.15, 1.6)
    for index, height in enumerate(heights):
        left = -0.92 + index * 0.38
        pen.box(left, 0.9 - height, left + 0.28, 0.9, 1 if index == 4 else 0, corner=0.1, shade=0.3 - index * 0.09, lift=0.06)


def draw_bridge(pen: Pen) -> None:
    """A bridge on two arches of cable: connection, cooperation, transition."""
    deck = 0.38
    for x in (-0.5, 0.5):
        pen.box(x - 0.07, -0.75, x + 0.07, 0.9, 0, corner=0.04, shade=-0.12)
        for sign in (-1, 1):
            for reach in (0.16, 0.3, 0.44):
                pen.line((x, -0.62 + reach * 0.5), (x + sign * reach, deck), 0.022, 1, lift=0)
    pen.box(-1.0, deck - 0.07, 1.0, deck + 0.09, 0, corner=0.04, shade=0.12)
    water = smooth([(-0.98, 0.82), (-0.5, 0.74), (0.0, 0.82), (0.5, 0.74), (0.98, 0.82)])
    pen.stroke(water, 0.08, 2, lift=0.02)


def draw_city(pen: Pen) -> None:
    """A skyline with lit windows: cities, business, industry."""
    left = -0.95
    for index, height in enumerate((0.8, 1.35, 1.75, 1.1, 0.95)):
        width = 0.37
        pen.box(left, 0.92 - height, left + width, 0.92, index % 3 if index % 2 else 0, corner=0.03,
                shade=(0.15, -0.15, 0.0, -0.25, 0.1)[index], lift=0.05)
        rows = int(height / 0.3)
        for row in range(rows):
            y = 0.92 - height + 0.12 + row * 0.27
            for x in (left + 0.09, left + 0.22):
                pen.box(x, y, x + 0.08, y + 0.13, 1, corner=0.01, shade=0.5, lift=0)
        left += 0.385


def draw_beacon(pen: Pen) -> None:
    """A lighthouse and its beams: guidance, warning, insight."""
    for side in (-1, 1):
        pen.polygon([(0.0, -0.62), (side * 0.98, -0.98), (side * 0.98, -0.3)], 1, shade=0.3, lift=0, alpha=0.75)
    pen.polygon([(-0.17, -0.42), (0.17, -0.42), (0.3, 0.72), (-0.3, 0.72)], 0)
    pen.polygon([(-0.203, -0.1), (0.203, -0.1), (0.243, 0.24), (-0.243, 0.24)], 2, shade=0.2, lift=0)
    pen.box(-0.24, -0.5, 0.24, -0.4, 0, corner=0.03, shade=-0.2, lift=0.03)
    pen.box(-0.14, -0.76, 0.14, -0.5, 1, corner=0.04, shade=0.25, lift=0.03)
    pen.polygon([(-0.2, -0.74), (0.2, -0.74), (0.0, -0.96)], 0, shade=-0.2, lift=0.03)
    ground = smooth([(-0.85, 0.95), (-0.4, 0.72), (0.0, 0.66), (0.4, 0.72), (0.85, 0.95)])
    ground.close()
    pen.fill(ground, 0, shade=-0.3)


def draw_puzzle(pen: Pen) -> None:
    """Four jigsaw pieces, one apart: problems, fitting together, plug-ins."""
    odd = 1

    def piece(x: float, y: float, index: int, knob: Point, hole: Point, shade: float) -> None:
        shape, bump, notch = skia.Path(), skia.Path(), skia.Path()
        shape.addRoundRect(skia.Rect.MakeLTRB(x - 0.4, y - 0.4, x + 0.4, y + 0.4), 0.06, 0.06)
        bump.addCircle(x + knob[0] * 0.43, y + knob[1] * 0.43, 0.15)
        notch.addCircle(x + hole[0] * 0.37, y + hole[1] * 0.37, 0.165)
        shape = skia.Op(skia.Op(shape, notch, skia.kDifference_PathOp), bump, skia.kUnion_PathOp)
        pen.fill(shape, index, shade=shade, lift=0.06)
    places: tuple[Point, ...] = ((-0.43, -0.43), (0.43, -0.43), (0.43, 0.43), (-0.43, 0.43))
    knobs: tuple[Point, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))
    for number, (place, knob) in enumerate(zip(places, knobs, strict=True)):
        push = 0.16 if number == odd else 0.0
        hole = (knob[1], -knob[0])
        hole = {0: (0, 1), 1: (-1, 0), 2: (0, -1), 3: (1, 0)}[number] if hole == knob else hole
        piece(place[0] + (push if place[0] > 0 else -push), place[1] + (push if place[1] > 0 else -push),
              1 if number == odd else (0, 2, 0, 2)[number], knob, (-knob[1], knob[0]), 0.05)


def draw_network(pen: Pen) -> None:
    """Linked nodes: networks, distributed systems, teams."""
    outer = [polar(0, 0, 0.76, 30 + 60 * index) for index in range(6)]
    for index, point in enumerate(outer):
        pen.line((0, 0), point, 0.05, 0, shade=0.2, lift=0)
        if index % 2 == 0:
            pen.line(point, outer[(index + 1) % 6], 0.04, 0, shade=0.3, lift=0)
    for index, point in enumerate(outer):
        pen.circle(*point, 0.15 if index % 2 else 0.19, 1 + index % 2, lift=0.06)
    pen.circle(0, 0, 0.33, 0)
