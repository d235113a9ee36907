"""Lessons: scenes as numbers for training."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from generator.layout import ARRANGEMENTS, DENSITIES, LIGHTS, PLACES
from generator.scene_code import CHOICES, COLOURS, check_lengths
from generator.studio.pen import MATERIALS
from generator.studio.scene import MOTIFS, Scene

LISTS: dict[str, tuple[str, ...]] = {"motif": tuple(MOTIFS), "second": tuple(MOTIFS), "arrangement": ARRANGEMENTS,
                                     "place": PLACES, "density": DENSITIES, "material": MATERIALS, "light": LIGHTS}
"""What the numbers of each choice stand for."""
check_lengths([len(LISTS[name]) for name, _ in CHOICES])


@dataclass(frozen=True, kw_only=True)
class SceneNumbers:
    """Scenes in the form of generator.scene_code. choices: [N, 7]; colours: [N, 5, 3] in 0..1; said: [N, 5] bool; seeds: N."""

    choices: Tensor
    colours: Tensor
    said: Tensor
    seeds: tuple[int, ...]


def number_scenes(scenes: Sequence[Scene]) -> SceneNumbers:
    """Everything that a prompt could say of each scene."""
    choices = [[LISTS[name].index(value) if (value := getattr(scene, name)) is not None else count for name, count in CHOICES]
               for scene in scenes]
    colours, said = torch.zeros(len(scenes), COLOURS, 3), torch.zeros(len(scenes), COLOURS, dtype=torch.bool)
    for row, scene in enumerate(scenes):
        own = torch.tensor(scene.palette.colours) / 255
        colours[row, :len(own)], said[row, :len(own)] = own, True
    return SceneNumbers(choices=torch.tensor(choices), colours=colours, said=said, seeds=tuple(scene.seed for scene in scenes))
