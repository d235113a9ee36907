"""Scene: everything that decides one studio picture; and how a scene is painted.

The studio composes on the model's own grid of 64-pixel tokens: a motif in its box looks the same to the autoencoder wherever
the box stands, so there is far less to learn (DECISIONS.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import skia
from numpy.typing import NDArray

from generator.layout import (
    COUNTS,
    DENSITIES,
    LIGHT_FROM,
    LIGHTS,
    PLACES,
    RELATIONS,
    STAGES,
    Arrangement,
    Density,
    Light,
    Place,
    bounds,
)
from generator.layout import lay_out as place_subjects
from generator.native import TOKEN_PX, fit_canvas
from generator.studio import motifs_built, motifs_nature, motifs_signs, motifs_things
from generator.studio.palettes import Palette, sample_palette
from generator.studio.pen import MATERIALS, Material, Pen, paint_ground, read_pixels

MOTIFS: dict[str, Callable[[Pen], None]] = {
    name.removeprefix("draw_"): getattr(module, name)
    for module in (motifs_nature, motifs_built, motifs_signs, motifs_things)
    for name in sorted(vars(module))
    if name.startswith("draw_")
}
"""Every motif by name, in a fixed order: the order is the numbering of classes in training."""
DOTS = ((-1.0, 0.86, 0.11), (0.98, -0.86, 0.14), (1.06, 0.7, 0.08), (-1.06, -0.62, 0.09), (-0.7, -1.02, 0.07), (0.72, 1.0, 0.08))
"""Beside a dense subject: x and y in its box from -1 to 1, and radius."""
FILL = 0.9
"""How much of its box a motif fills; the rest is for shadows."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One picture to be painted. arrangement: how often the motif is there, or how it stands to `second` (a motif, in
    relations only). seed decides the stage behind the subject.
    """

    motif: str
    palette: Palette
    place: Place
    density: Density
    seed: int
    arrangement: Arrangement = "one"
    second: str | None = None
    material: Material = "paper"
    light: Light = "left"


@dataclass(frozen=True)
class Box:
    """A motif's square on the grid, in tokens from the upper left."""

    motif: str
    column: int
    row: int
    size: int

    @property
    def centre(self) -> tuple[float, float]:
        """In pixels of the canvas."""
        return (self.column + self.size / 2) * TOKEN_PX, (self.row + self.size / 2) * TOKEN_PX


def sample_scene(rng: Random, motifs: Sequence[str] = tuple(MOTIFS)) -> Scene:
    """A scene for training: six in ten of one subject, two of several, two of a pair."""
    pick = rng.random()
    arrangement = "one" if pick < 0.6 else rng.choice(COUNTS[1:]) if pick < 0.8 else rng.choice(RELATIONS)
    motif = rng.choice(motifs)
    second = rng.choice([name for name in motifs if name != motif]) if arrangement in RELATIONS else None
    return Scene(motif=motif, palette=sample_palette(rng), place=rng.choice(PLACES), density=rng.choice(DENSITIES),
                 seed=rng.randrange(2**31), arrangement=arrangement, second=second,
                 material="paper" if rng.random() < 0.5 else rng.choice(MATERIALS), light=rng.choice(LIGHTS))


def lay_out(scene: Scene, columns: int, rows: int) -> list[Box]:
    """The boxes of the scene's subjects on a canvas of tokens, those behind first."""
    return [Box(scene.second or scene.motif if spot.is_second else scene.motif, spot.column, spot.row, spot.size)
            for spot in place_subjects(scene.arrangement, scene.place, columns, rows)]


def paint(scene: Scene, width: int, height: int) -> NDArray[np.uint8]:
    """[height, width, 3] 8-bit RGB. The same scene and size give the same bytes on one machine."""
    columns, rows = fit_canvas(width, height)
    wide, high = columns * TOKEN_PX, rows * TOKEN_PX
    surface = skia.Surface(width, height)
    canvas = surface.getCanvas()
    scale = max(width / wide, height / high)
    canvas.translate((width - scale * wide) / 2, (height - scale * high) / 2)
    canvas.scale(scale, scale)
    _draw(canvas, scene, columns, rows)
    return read_pixels(surface)


def paint_part(scene: Scene, columns: int, rows: int, area: skia.IRect, scale: float = 1) -> NDArray[np.uint8]:
    """The pixels inside `area` of the scene on a canvas of tokens, [scale x area height, scale x area width, 3]."""
    surface = skia.Surface(round(scale * area.width()), round(scale * area.height()))
    canvas = surface.getCanvas()
    canvas.scale(scale, scale)
    canvas.translate(-area.left(), -area.top())
    _draw(canvas, scene, columns, rows)
    return read_pixels(surface)


def _draw(canvas: skia.Canvas, scene: Scene, columns: int, rows: int) -> None:
    light = LIGHT_FROM[LIGHTS.index(scene.light)]
    palette = scene.palette.ordered
    paint_ground(canvas, palette, columns * TOKEN_PX, rows * TOKEN_PX, light)
    boxes = lay_out(scene, columns, rows)
    _set_stage(Pen(canvas, palette, light), scene, bounds(place_subjects(scene.arrangement, scene.place, columns, rows)))
    pen = Pen(canvas, palette, light, scene.material)
    for box in boxes:
        canvas.save()
        canvas.translate(*box.centre)
        reach = FILL * box.size * TOKEN_PX / 2
        canvas.scale(reach, reach)
        MOTIFS[box.motif](pen)
        canvas.restore()


def _set_stage(pen: Pen, scene: Scene, group: tuple[int, int, int, int]) -> None:
    """What density adds behind the subject: nothing, one of three large pale shapes with a few dots, or two with more dots."""
    if scene.density == "sparse":
        return
    left, top, right, bottom = group
    canvas = pen.canvas
    canvas.save()
    canvas.translate((left + right) / 2 * TOKEN_PX, (top + bottom) / 2 * TOKEN_PX)
    canvas.scale((right - left) / 2 * TOKEN_PX, (bottom - top) / 2 * TOKEN_PX)
    kind = scene.seed % STAGES
    for reach, alpha in ((1.12, 0.15), (0.84, 0.15))[:1 if scene.density == "balanced" else 2]:
        if kind == 0:
            pen.circle(0, 0, reach, 0, alpha=alpha, lift=0, shade=0.3, soft=0)
        elif kind == 1:
            pen.box(-reach * 0.95, -reach * 0.88, reach * 0.95, reach * 0.88, 1, corner=0.2, alpha=alpha, lift=0, shade=0.3,
                    soft=0)
        else:
            pen.box(-reach * 0.9, -reach * 0.9, reach * 0.9, reach * 0.98, 0, corner=reach * 0.85, alpha=alpha, lift=0, soft=0)
    canvas.restore()
    canvas.save()
    canvas.translate((left + right) / 2 * TOKEN_PX, (top + bottom) / 2 * TOKEN_PX)
    for number, (x, y, radius) in enumerate(DOTS[:3 if scene.density == "balanced" else 6]):
        pen.circle(x * (right - left) / 2 * TOKEN_PX, y * (bottom - top) / 2 * TOKEN_PX, radius * 3 * TOKEN_PX, 1 + number % 2,
                   lift=0, soft=0)
    canvas.restore()
