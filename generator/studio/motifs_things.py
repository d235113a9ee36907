"""Motifs that are things: a book, a cup, a house, a rocket. Each draws in the square from -1 to 1."""

import skia

from generator.studio.pen import Pen, Point, polar, polygon, smooth


def join(*paths: skia.Path) -> skia.Path:
    """The union of `paths`."""
    whole = paths[0]
    for path in paths[1:]:
        whole = skia.Op(whole, path, skia.kUnion_PathOp)
    return whole


def disc(x: float, y: float, radius: float) -> skia.Path:
    """A circle as a path."""
    path = skia.Path()
    path.addCircle(x, y, radius)
    return path


def slab(left: float, top: float, right: float, bottom: float, corner: float) -> skia.Path:
    """A rectangle with rounded corners as a path."""
    path = skia.Path()
    path.addRoundRect(skia.Rect.MakeLTRB(left, top, right, bottom), corner, corner)
    return path


def trace(start: Point, *curves: tuple[float, float, float, float, float, float]) -> skia.Path:
    """A closed path of cubic Béziers."""
    path = skia.Path()
    path.moveTo(*start)
    for curve in curves:
        path.cubicTo(*curve)
    path.close()
    return path


def draw_book(pen: Pen) -> None:
    """An open book: reading, education, documentation."""
    pen.polygon([(-0.98, -0.42), (0.0, -0.24), (0.98, -0.42), (0.98, 0.68), (0.0, 0.86), (-0.98, 0.68)], 0, shade=-0.15)
    for side in (-1, 1):
        page = trace((0.0, -0.3), (side * 0.25, -0.6, side * 0.62, -0.66, side * 0.88, -0.54),
                     (side * 0.88, -0.2, side * 0.88, 0.3, side * 0.88, 0.56),
                     (side * 0.62, 0.44, side * 0.25, 0.5, 0.0, 0.76), (0.0, 0.4, 0.0, 0.0, 0.0, -0.3))
        pen.fill(page, 2, shade=0.55 if side < 0 else 0.4, lift=0.03)
        for y in (-0.22, 0.06):
            pen.line((side * 0.24, y), (side * 0.68, y - 0.1), 0.07, 0, lift=0)
    pen.polygon([(0.48, -0.56), (0.7, -0.57), (0.7, -0.02), (0.59, -0.14), (0.48, -0.02)], 1, lift=0.03)


def draw_bulb(pen: Pen) -> None:
    """A light bulb: ideas, innovation, tips."""
    for degrees in (-150, -120, -90, -60, -30):
        pen.line(polar(0, -0.28, 0.68, degrees), polar(0, -0.28, 0.72 + 0.12, degrees), 0.07, 1, lift=0)
    glass = join(disc(0, -0.26, 0.5), polygon([(-0.36, 0.05), (0.36, 0.05), (0.25, 0.48), (-0.25, 0.48)]))
    pen.fill(glass, 1, shade=0.15)
    pen.stroke(smooth([(-0.16, 0.4), (-0.2, -0.12), (0.0, 0.06), (0.2, -0.12), (0.16, 0.4)]), 0.065, 0, lift=0)
    for y in (0.48, 0.64):
        pen.box(-0.27, y, 0.27, y + 0.14, 0, corner=0.06, shade=-0.1, lift=0.03)
    pen.box(-0.15, 0.8, 0.15, 0.93, 0, corner=0.06, shade=-0.3, lift=0.02)


def draw_rocket(pen: Pen) -> None:
    """A rocket: launches, releases, speed."""
    pen.canvas.save()
    pen.canvas.rotate(32)
    pen.fill(trace((0.0, 0.98), (-0.3, 0.7, -0.24, 0.5, -0.16, 0.4), (0.0, 0.42, 0.0, 0.42, 0.16, 0.4),
                   (0.24, 0.5, 0.3, 0.7, 0.0, 0.98)), 1, shade=0.1, lift=0.03)
    for side in (-1, 1):
        pen.polygon([(side * 0.24, 0.02), (side * 0.62, 0.42), (side * 0.58, 0.66), (side * 0.2, 0.44)], 1)
    pen.fill(trace((0.0, -0.98), (0.34, -0.7, 0.44, -0.1, 0.24, 0.46), (0.1, 0.5, -0.1, 0.5, -0.24, 0.46),
                   (-0.44, -0.1, -0.34, -0.7, 0.0, -0.98)), 0, shade=0.12)
    pen.circle(0, -0.26, 0.17, 2, shade=0.45, lift=0.02)
    pen.circle(0, -0.26, 0.1, 0, shade=-0.35, lift=0)
    pen.canvas.restore()


def draw_heart(pen: Pen) -> None:
    """A heart with a pulse: health, care, family."""
    pen.fill(trace((0.0, 0.88), (-0.3, 0.6, -0.96, 0.2, -0.96, -0.3), (-0.96, -0.9, -0.24, -0.98, 0.0, -0.46),
                   (0.24, -0.98, 0.96, -0.9, 0.96, -0.3), (0.96, 0.2, 0.3, 0.6, 0.0, 0.88)), 0, soft=0.16)
    pulse = skia.Path()
    pulse.addPoly([skia.Point(*point) for point in
                   ((-0.66, -0.1), (-0.32, -0.1), (-0.14, -0.42), (0.08, 0.3), (0.24, -0.1), (0.64, -0.1))], False)
    pen.stroke(pulse, 0.12, 2, shade=0.5, lift=0.02)


def draw_coins(pen: Pen) -> None:
    """Stacks of coins: money, prices, investment."""
    for x, count, index in ((-0.6, 2, 0), (0.0, 3, 0), (0.6, 5, 1)):
        for level in range(count):
            y = 0.78 - level * 0.3
            pen.fill(slab(x - 0.3, y - 0.17, x + 0.3, y + 0.13, 0.13), index, shade=-0.18 if level % 2 else 0.02, lift=0.03)
            if level == count - 1:
                lid = skia.Path()
                lid.addOval(skia.Rect.MakeLTRB(x - 0.3, y - 0.28, x + 0.3, y - 0.04))
                pen.fill(lid, index, shade=0.3, lift=0)
    pen.circle(-0.42, -0.5, 0.34, 1, shade=0.1)
    pen.circle(-0.42, -0.5, 0.22, 1, shade=0.4, lift=0)


def draw_cup(pen: Pen) -> None:
    """A steaming cup on its saucer: coffee, food, breaks."""
    for x in (-0.3, 0.0, 0.3):
        pen.stroke(smooth([(x, -0.42), (x + 0.1, -0.58), (x - 0.06, -0.74), (x + 0.04, -0.9)]), 0.09, 1, shade=0.2, lift=0)
    saucer = skia.Path()
    saucer.addOval(skia.Rect.MakeLTRB(-0.9, 0.62, 0.9, 0.92))
    pen.fill(saucer, 2, shade=0.2)
    pen.ring(0.62, 0.12, 0.26, 0.13, 0, shade=-0.1)
    bowl = trace((-0.66, -0.26), (-0.62, 0.4, -0.44, 0.76, 0.0, 0.76), (0.44, 0.76, 0.62, 0.4, 0.66, -0.26),
                 (0.3, -0.26, -0.3, -0.26, -0.66, -0.26))
    pen.fill(bowl, 0, shade=0.08)
    rim = skia.Path()
    rim.addOval(skia.Rect.MakeLTRB(-0.66, -0.38, 0.66, -0.12))
    pen.fill(rim, 1, shade=-0.25, lift=0)


def draw_house(pen: Pen) -> None:
    """A house: home, interior, remote work."""
    pen.box(0.36, -0.82, 0.58, -0.2, 0, corner=0.03, shade=-0.25, lift=0.03)
    pen.box(-0.68, -0.2, 0.68, 0.9, 2, corner=0.05, shade=0.35)
    pen.polygon([(-0.96, -0.08), (0.0, -0.92), (0.96, -0.08)], 0)
    pen.box(-0.16, 0.34, 0.2, 0.9, 0, corner=0.05, shade=-0.2, lift=0)
    for x in (-0.5, 0.34):
        pen.box(x, 0.1, x + 0.22, 0.36, 1, corner=0.04, shade=0.1, lift=0)
    pen.circle(0.1, 0.64, 0.05, 1, lift=0)


def draw_flag(pen: Pen) -> None:
    """A flag on a summit: milestones, policy, arrival."""
    pen.line((-0.34, -0.9), (-0.34, 0.62), 0.09, 0, shade=-0.3)
    pen.fill(trace((-0.28, -0.88), (0.1, -1.06, 0.4, -0.66, 0.86, -0.82), (0.8, -0.58, 0.8, -0.3, 0.86, -0.1),
                   (0.4, 0.06, 0.1, -0.34, -0.28, -0.16), (-0.28, -0.4, -0.28, -0.6, -0.28, -0.88)), 1)
    pen.polygon([(-0.96, 0.92), (-0.34, 0.22), (0.06, 0.66), (0.34, 0.42), (0.96, 0.92)], 0)
    pen.polygon([(-0.34, 0.22), (-0.56, 0.47), (-0.34, 0.56), (-0.14, 0.44)], 2, shade=0.5, lift=0)


def draw_camera(pen: Pen) -> None:
    """A camera: photography, film, video."""
    pen.box(-0.36, -0.72, 0.28, -0.3, 0, corner=0.1, shade=-0.2, lift=0.03)
    pen.box(-0.94, -0.52, 0.94, 0.72, 0, corner=0.18)
    pen.box(-0.94, -0.08, 0.94, 0.3, 0, corner=0.0, shade=-0.25, lift=0)
    pen.circle(-0.02, 0.1, 0.5, 2, shade=0.45)
    pen.circle(-0.02, 0.1, 0.38, 0, shade=-0.45, lift=0)
    pen.circle(-0.02, 0.1, 0.22, 1, shade=-0.05, lift=0)
    pen.circle(-0.12, -0.02, 0.09, 2, shade=0.75, lift=0)
    pen.box(0.54, -0.4, 0.8, -0.22, 1, corner=0.05, shade=0.15, lift=0)


def draw_envelope(pen: Pen) -> None:
    """An envelope with a letter: mail, newsletters, notifications."""
    pen.box(-0.94, -0.4, 0.94, 0.82, 0, corner=0.1, shade=-0.2)
    pen.box(-0.72, -0.86, 0.72, 0.5, 2, corner=0.06, shade=0.55, lift=0.03)
    for y, right in ((-0.62, 0.48), (-0.38, 0.48), (-0.14, 0.1)):
        pen.line((-0.48, y), (right, y), 0.085, 1, shade=0.1, lift=0)
    pen.polygon([(-0.94, -0.24), (0.0, 0.36), (-0.94, 0.8)], 0, shade=0.05, lift=0.03)
    pen.polygon([(0.94, -0.24), (0.0, 0.36), (0.94, 0.8)], 0, shade=-0.05, lift=0.03)
    pen.polygon([(-0.92, 0.82), (0.0, 0.24), (0.92, 0.82)], 0, shade=0.2, lift=0.04)


def draw_gift(pen: Pen) -> None:
    """A present with a bow: festivals, shopping, offers."""
    for side in (-1, 1):
        pen.fill(trace((0.0, -0.36), (side * 0.1, -0.9, side * 0.72, -1.0, side * 0.66, -0.62),
                       (side * 0.6, -0.36, side * 0.3, -0.36, 0.0, -0.36)), 1, shade=0.0 if side < 0 else -0.15, lift=0.04)
    pen.box(-0.74, 0.0, 0.74, 0.92, 0, corner=0.06, shade=-0.08)
    pen.box(-0.86, -0.38, 0.86, 0.06, 0, corner=0.08, shade=0.15, lift=0.05)
    pen.box(-0.16, -0.38, 0.16, 0.92, 1, corner=0.0, shade=0.05, lift=0)
    pen.circle(0, -0.4, 0.13, 1, shade=0.25, lift=0.02)


def draw_note(pen: Pen) -> None:
    """Two joined notes: music, songs, concerts."""
    pen.polygon([(-0.5, -0.74), (0.74, -0.96), (0.74, -0.58), (-0.5, -0.36)], 0)
    pen.line((-0.42, -0.5), (-0.42, 0.56), 0.16, 0)
    pen.line((0.66, -0.72), (0.66, 0.34), 0.16, 0)
    for x, y in ((-0.62, 0.6), (0.46, 0.38)):
        head = skia.Path()
        head.addOval(skia.Rect.MakeLTRB(x - 0.32, y - 0.25, x + 0.32, y + 0.25))
        head.transform(skia.Matrix.RotateDeg(-18, skia.Point(x, y)))
        pen.fill(head, 1)


def draw_plane(pen: Pen) -> None:
    """A paper plane and its trail: sending, travel, sharing."""
    for x, y in ((-0.9, 0.86), (-0.72, 0.7), (-0.55, 0.53)):
        pen.circle(x, y, 0.075, 1, lift=0)
    pen.polygon([(0.94, -0.9), (-0.96, -0.14), (-0.3, 0.12)], 0, shade=0.22)
    pen.polygon([(0.94, -0.9), (-0.3, 0.12), (-0.22, 0.72)], 0, shade=-0.38, lift=0.02)
    pen.polygon([(0.94, -0.9), (-0.08, 0.26), (-0.22, 0.72)], 1, shade=-0.15, lift=0)
    pen.polygon([(0.94, -0.9), (-0.08, 0.26), (0.56, 0.66)], 0, shade=0.0, lift=0.04)


def draw_moon(pen: Pen) -> None:
    """A crescent with stars over clouds: night, sleep, dreams."""
    crescent = skia.Op(disc(-0.06, -0.1, 0.76), disc(0.3, -0.3, 0.64), skia.kDifference_PathOp)
    pen.fill(crescent, 1, shade=0.1, soft=0.14)
    for x, y, size in ((0.36, -0.5, 0.26), (0.72, -0.02, 0.17), (0.12, 0.02, 0.13)):
        star = [polar(x, y, size if spike % 2 == 0 else size * 0.38, spike * 45 - 90) for spike in range(8)]
        pen.polygon(star, 2, shade=0.3, lift=0.02)
    pen.fill(join(disc(-0.38, 0.68, 0.22), disc(-0.02, 0.58, 0.3), disc(0.36, 0.68, 0.24), slab(-0.62, 0.62, 0.64, 0.92, 0.15)),
             0, shade=0.05)


def draw_flame(pen: Pen) -> None:
    """A flame: energy, passion, what everybody talks about."""
    pen.fill(trace((0.02, -0.98), (0.2, -0.5, 0.8, -0.24, 0.72, 0.34), (0.66, 0.74, 0.34, 0.95, 0.0, 0.95),
                   (-0.36, 0.95, -0.7, 0.7, -0.72, 0.3), (-0.74, -0.04, -0.52, -0.24, -0.4, -0.46),
                   (-0.34, -0.26, -0.28, -0.16, -0.16, -0.1), (-0.2, -0.44, -0.14, -0.74, 0.02, -0.98)), 0, soft=0.16)
    pen.fill(trace((0.06, -0.3), (0.2, 0.02, 0.5, 0.18, 0.44, 0.5), (0.4, 0.76, 0.22, 0.9, 0.0, 0.9),
                   (-0.24, 0.9, -0.42, 0.74, -0.42, 0.48), (-0.42, 0.26, -0.28, 0.2, -0.2, 0.06),
                   (-0.14, 0.16, -0.1, 0.2, -0.02, 0.2), (-0.06, 0.02, -0.02, -0.16, 0.06, -0.3)), 1, shade=0.1, lift=0.03)
    pen.fill(trace((0.02, 0.3), (0.1, 0.46, 0.24, 0.5, 0.2, 0.68), (0.17, 0.82, 0.1, 0.86, 0.0, 0.86),
                   (-0.12, 0.86, -0.2, 0.8, -0.2, 0.66), (-0.2, 0.5, -0.04, 0.46, 0.02, 0.3)), 2, shade=0.45, lift=0)


def draw_pencil(pen: Pen) -> None:
    """A pencil drawing a line: writing, drawing, notes."""
    pen.stroke(smooth([(-0.86, 0.84), (-0.5, 0.74), (-0.2, 0.9), (0.2, 0.78), (0.56, 0.88)]), 0.08, 1, lift=0)
    pen.canvas.save()
    pen.canvas.rotate(45)
    pen.box(-0.21, -0.98, 0.21, -0.68, 1, corner=0.1, shade=0.05, lift=0.04)
    pen.box(-0.21, -0.74, 0.21, 0.42, 0, corner=0.0)
    pen.box(-0.07, -0.74, 0.07, 0.42, 0, corner=0.0, shade=0.25, lift=0)
    pen.box(-0.21, -0.78, 0.21, -0.64, 2, corner=0.0, shade=0.3, lift=0)
    pen.polygon([(-0.21, 0.42), (0.21, 0.42), (0.0, 0.86)], 2, shade=0.5, lift=0.03)
    pen.polygon([(-0.09, 0.68), (0.09, 0.68), (0.0, 0.88)], 0, shade=-0.45, lift=0)
    pen.canvas.restore()


def draw_target(pen: Pen) -> None:
    """An arrow in the middle of a target: goals, marketing, precision."""
    for radius, index, shade in ((0.86, 0, 0.0), (0.64, 2, 0.55), (0.43, 0, 0.0), (0.2, 1, 0.0)):
        pen.circle(-0.08, 0.08, radius, index, shade=shade, lift=0.08 if radius > 0.8 else 0)
    pen.line((-0.06, 0.06), (0.74, -0.74), 0.1, 0, shade=-0.45)
    pen.polygon([(0.6, -0.6), (0.62, -0.88), (0.88, -1.0), (0.86, -0.74)], 1, lift=0.03)
    pen.polygon([(0.6, -0.6), (0.88, -0.62), (1.0, -0.88), (0.74, -0.86)], 1, shade=-0.2, lift=0.03)


def draw_trophy(pen: Pen) -> None:
    """A cup for the winner: awards, sport, rankings."""
    for side in (-1, 1):
        pen.ring(side * 0.56, -0.44, 0.28, 0.12, 0, shade=-0.2)
    pen.fill(trace((-0.58, -0.88), (-0.56, -0.1, -0.36, 0.24, 0.0, 0.28), (0.36, 0.24, 0.56, -0.1, 0.58, -0.88),
                   (0.2, -0.88, -0.2, -0.88, -0.58, -0.88)), 0, shade=0.05, soft=0.16)
    star = [polar(0, -0.42, 0.27 if spike % 2 == 0 else 0.12, spike * 36 - 90) for spike in range(10)]
    pen.polygon(star, 1, shade=0.2, lift=0.02)
    pen.box(-0.12, 0.24, 0.12, 0.58, 0, corner=0.02, shade=-0.2, lift=0.03)
    pen.box(-0.36, 0.52, 0.36, 0.7, 0, corner=0.05, shade=0.0, lift=0.03)
    pen.box(-0.54, 0.68, 0.54, 0.92, 1, corner=0.05, shade=-0.1, lift=0.05)


def draw_car(pen: Pen) -> None:
    """A car: traffic, electric vehicles, logistics."""
    cabin = trace((-0.62, -0.06), (-0.5, -0.4, -0.42, -0.56, -0.2, -0.56), (0.0, -0.56, 0.1, -0.56, 0.2, -0.56),
                  (0.42, -0.56, 0.52, -0.3, 0.64, -0.06), (0.2, -0.06, -0.2, -0.06, -0.62, -0.06))
    pen.fill(cabin, 0, shade=-0.12)
    for left, right, slant in ((-0.46, -0.04, 0.1), (0.06, 0.46, -0.12)):
        pen.polygon([(left + max(slant, 0), -0.44), (right + min(slant, 0), -0.44), (right, -0.08), (left, -0.08)], 2, shade=0.5,
                    lift=0)
    pen.box(-0.98, -0.1, 0.98, 0.42, 0, corner=0.2, shade=0.08)
    pen.box(-0.98, 0.2, 0.98, 0.32, 0, corner=0.0, shade=-0.2, lift=0)
    for x in (-0.54, 0.54):
        pen.circle(x, 0.42, 0.27, 0, shade=-0.5, lift=0.04)
        pen.circle(x, 0.42, 0.13, 2, shade=0.45, lift=0)
    pen.box(0.8, 0.0, 0.96, 0.14, 1, corner=0.05, shade=0.25, lift=0)
    pen.line((-0.96, 0.78), (0.96, 0.78), 0.07, 1, lift=0)


def draw_shapes(pen: Pen) -> None:
    """Overlapping discs, a square and a triangle: what an unknown topic gets."""
    pen.box(-0.9, -0.62, 0.14, 0.42, 0, corner=0.12)
    pen.circle(0.38, -0.3, 0.52, 1, alpha=0.92)
    pen.polygon([(-0.42, 0.92), (0.16, -0.02), (0.78, 0.92)], 2, alpha=0.95)
    pen.ring(-0.36, -0.12, 0.24, 0.1, 2, shade=0.4, lift=0)


def gear_path(x: float, y: float, radius: float, teeth: int, turn: float = 0.0) -> skia.Path:
    """A cogwheel with a hole."""
    body = disc(x, y, radius * 0.78)
    for tooth in range(teeth):
        path = slab(-radius * 0.17, -radius, radius * 0.17, -radius * 0.6, radius * 0.06)
        path.transform(skia.Matrix.RotateDeg(turn + 360 * tooth / teeth).postTranslate(x, y))
        body = join(body, path)
    return skia.Op(body, disc(x, y, radius * 0.34), skia.kDifference_PathOp)


def draw_gear(pen: Pen) -> None:
    """Two cogwheels: automation, operations, manufacturing."""
    pen.fill(gear_path(-0.26, -0.2, 0.7, 8), 0)
    pen.fill(gear_path(0.56, 0.54, 0.42, 7, 12), 1)


def draw_chip(pen: Pen) -> None:
    """A processor with its pins: hardware, semiconductors."""
    for step in (-0.44, -0.15, 0.15, 0.44):
        for side in (-1, 1):
            ends = sorted((side * 0.6, side * 0.94))
            pen.box(ends[0], step - 0.065, ends[1], step + 0.065, 1, corner=0.04, lift=0.02)
            pen.box(step - 0.065, ends[0], step + 0.065, ends[1], 1, corner=0.04, lift=0.02)
    pen.box(-0.68, -0.68, 0.68, 0.68, 0, corner=0.12)
    pen.box(-0.4, -0.4, 0.4, 0.4, 0, corner=0.08, shade=-0.3, lift=0)
    pen.box(-0.24, -0.24, 0.24, 0.24, 1, corner=0.06, shade=0.15, lift=0.02)
    pen.circle(-0.54, -0.54, 0.06, 2, shade=0.5, lift=0)


def draw_laptop(pen: Pen) -> None:
    """A laptop with lines of code: programming, apps, websites."""
    pen.box(-0.74, -0.72, 0.74, 0.44, 0, corner=0.1)
    pen.box(-0.64, -0.62, 0.64, 0.34, 0, corner=0.04, shade=-0.5, lift=0)
    for y, left, right, index in ((-0.42, -0.48, 0.0, 1), (-0.19, -0.3, 0.36, 2), (0.04, -0.3, 0.14, 1)):
        pen.line((left, y), (right, y), 0.1, index, shade=0.25, lift=0)
    pen.polygon([(-0.76, 0.44), (0.76, 0.44), (0.98, 0.72), (-0.98, 0.72)], 0, shade=0.25, lift=0.05)
    pen.box(-0.22, 0.5, 0.22, 0.6, 0, corner=0.02, shade=-0.1, lift=0)


def draw_robot(pen: Pen) -> None:
    """A friendly robot's head: artificial intelligence, agents."""
    pen.line((0, -0.9), (0, -0.5), 0.09, 0, shade=-0.2)
    pen.circle(0, -0.84, 0.13, 1)
    for side in (-1, 1):
        ends = sorted((side * 0.66, side * 0.92))
        pen.box(ends[0], -0.2, ends[1], 0.28, 1, corner=0.08, shade=-0.1)
    pen.box(-0.74, -0.56, 0.74, 0.62, 0, corner=0.24)
    pen.box(-0.54, -0.34, 0.54, 0.16, 0, corner=0.2, shade=-0.5, lift=0)
    for side in (-1, 1):
        pen.circle(side * 0.26, -0.09, 0.14, 1, shade=0.3, lift=0)
    pen.line((-0.2, 0.38), (0.2, 0.38), 0.09, 2, shade=0.5, lift=0)
    pen.box(-0.42, 0.7, 0.42, 0.94, 0, corner=0.1, shade=-0.2)


