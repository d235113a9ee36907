"""Scene: everything that decides one studio picture; and how a scene is painted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

import numpy as np
import skia
from numpy.typing import NDArray

from generator.studio import motifs_built, motifs_nature, motifs_signs
from generator.studio.palettes import Palette, luminance, sample_palette
from generator.studio.pen import Pen, paint_ground, read_pixels

Place = Literal["left", "right", "centre", "top", "bottom"]
Density = Literal["sparse", "balanced", "dense"]
PLACES: tuple[Place, ...] = get_args(Place)
DENSITIES: tuple[Density, ...] = get_args(Density)

MOTIFS: dict[str, Callable[[Pen, Random], None]] = {
    name.removeprefix("draw_"): getattr(module, name)
    for module in (motifs_nature, motifs_built, motifs_signs)
    for name in sorted(vars(module))
    if name.startswith("draw_")
}
"""Every motif by name, in a fixed order: the order is the numbering of classes in training."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One picture to be painted. seed decides what is left open (poses, offsets, small variations)."""

    motif: str
    palette: Palette
    place: Place
    density: Density
    seed: int


def sample_scene(rng: Random, motifs: Sequence[str] = tuple(MOTIFS)) -> Scene:
    """A scene for training: every choice even."""
    return Scene(motif=rng.choice(motifs), palette=sample_palette(rng), place=rng.choice(PLACES),
                 density=rng.choice(DENSITIES), seed=rng.randrange(2**31))


def locate(place: Place, width: int, height: int) -> tuple[float, float, float]:
    """(x, y, radius) in pixels of the subject's circle in a picture of this size."""
    room = {"left": 0.265 * width, "right": 0.265 * width, "top": 0.28 * height, "bottom": 0.28 * height}
    radius = min(0.36 * min(width, height), room.get(place, width))
    side = max(radius * 1.15 / width, 0.26)
    rim = radius * 1.15 / height
    x, y = {"left": (side, 0.5), "right": (1 - side, 0.5), "centre": (0.5, 0.5),
            "top": (0.5, rim), "bottom": (0.5, 1 - rim)}[place]
    return x * width, y * height, radius


def paint(scene: Scene, width: int, height: int) -> NDArray[np.uint8]:
    """[height, width, 3] 8-bit RGB. The same scene and size give the same bytes on one machine."""
    rng = Random(scene.seed)
    light = (rng.choice((-0.7, -0.5, 0.5, 0.7)), -0.75)
    surface = skia.Surface(width, height)
    canvas = surface.getCanvas()
    paint_ground(canvas, scene.palette, width, height, light)
    x, y, radius = locate(scene.place, width, height)
    wobble = 0.06 * radius
    x, y = x + rng.uniform(-wobble, wobble), y + rng.uniform(-wobble, wobble)
    radius *= rng.uniform(0.94, 1.06)
    _decorate(canvas, scene, light, (x, y, radius, width, height), rng)
    canvas.save()
    canvas.translate(x, y)
    canvas.scale(radius, radius)
    MOTIFS[scene.motif](Pen(canvas, _ordered(scene.palette), radius, light), rng)
    canvas.restore()
    return read_pixels(surface)


def _ordered(palette: Palette) -> Palette:
    """The palette with at least two accents, the one furthest from the ground first."""
    ground = luminance(palette.background)
    accents = sorted(palette.accents, key=lambda colour: -abs(luminance(colour) - ground))
    return Palette(background=palette.background, main=palette.main, accents=tuple((accents * 2)[:max(2, len(accents))]))


def _decorate(canvas: skia.Canvas, scene: Scene, light: tuple[float, float],
              frame: tuple[float, float, float, int, int], rng: Random) -> None:
    """What density adds: nothing, a halo and a few dots near the subject, or large quiet shapes as well."""
    x, y, radius, width, height = frame
    pen = Pen(canvas, scene.palette, radius, light)
    if scene.density == "dense":
        for _ in range(3):
            pen.circle(rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.25, 0.6) * min(width, height),
                       rng.randrange(3), alpha=0.16, lift=0, shade=0.1)
    if scene.density != "sparse":
        pen.circle(x, y, radius * 1.18, 0, alpha=0.14, lift=0, shade=0.3)
        for _ in range(3 if scene.density == "balanced" else 5):
            angle, reach = rng.uniform(0, 6.28), rng.uniform(1.2, 1.55) * radius
            dot_x, dot_y = x + reach * float(np.cos(angle)), y + reach * float(np.sin(angle))
            pen.circle(dot_x, dot_y, rng.uniform(0.05, 0.1) * radius, 1 + rng.randrange(2), lift=0)
