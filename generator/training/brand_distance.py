"""How far pictures are from a brand: in their colours, and in their look. Needs no weights.

Palette: mean Delta E 2000 between dominant colours, both ways. Style: Frechet distance between features of all places of all
pictures (as FID, Heusel et al. 2017, but of places instead of pictures); the features come from a function, by default a bank
of fixed filters over lightness, which sees edges, gradients, texture and ground but no colour and no brightness.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from generator.evaluation.colours import Floats, ciede2000, dominant_colours, to_lab
from generator.request import CoverImage

VIEW_PX = 480
"""Long side at which pictures are compared."""
SCALES = 4
"""Octaves of the filter bank."""
GRID_PX = 8
"""Pixels of a view that one place of the filter bank takes, along a side."""
BRAND_COLOURS, PICTURE_COLOURS = 8, 6
Features = Callable[[Tensor], Tensor]
"""A view [1, 3, H, W] in -1..1 to features [1, C, h, w]."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is compared of a set of pictures. colours: dominant ones in CIELAB, of all together [N, 3] and of each [M, 3].

    mean: [C]; covariance: [C, C], of the features.
    """

    colours: Floats
    own_colours: tuple[Floats, ...]
    mean: Tensor
    covariance: Tensor


def take_view(picture: CoverImage) -> Tensor:
    """[1, 3, H, W] in -1..1, long side VIEW_PX: all that the measures see of a picture."""
    rgb = np.frombuffer(picture.rgb, np.uint8).reshape(1, picture.height, picture.width, 3)
    pixels = torch.from_numpy(rgb.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    scale = VIEW_PX / max(picture.width, picture.height)
    sides = [max(round(side * scale), 64) for side in (picture.height, picture.width)]
    return F.interpolate(pixels, size=sides, mode="bilinear", antialias=True, align_corners=False).clamp(-1, 1)


@torch.inference_mode()
def describe(views: Sequence[Tensor], features: Features | None = None) -> Look:
    """The look of a set of pictures, given as views. features: None takes the filter bank."""
    features = features or filter_bank
    places = torch.cat([features(view)[0].flatten(1).T.double() for view in views])       # [P, C]
    pixels = [to_pixels(view) for view in views]
    pooled = np.concatenate([picture[::3, ::3].reshape(-1, 3) for picture in pixels])
    side = int(len(pooled)**0.5)
    own = tuple(dominant_colours(picture, PICTURE_COLOURS) for picture in pixels)
    return Look(colours=dominant_colours(pooled[:side * side].reshape(side, side, 3), BRAND_COLOURS), own_colours=own,
                mean=places.mean(0), covariance=torch.cov(places.T))


def to_pixels(view: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """[H, W, 3] of a view [1, 3, H, W] in -1..1."""
    return ((view[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


def palette_distance(look: Look, brand: Look) -> float:
    """Mean Delta E 2000 between the dominant colours of each picture of `look` and the brand's: from each colour to the nearest
    on the other side, both ways.
    """
    distances = []
    for own in look.own_colours:
        apart = ciede2000(own[:, None], brand.colours[None])
        distances.append((apart.min(1).mean() + apart.min(0).mean()) / 2)
    return float(np.mean(distances))


def style_distance(look: Look, brand: Look) -> float:
    """Frechet distance between the features (its root, so that it has their unit)."""
    mean = (look.mean - brand.mean).square().sum()
    spread = _root(look.covariance)
    cross = _root(spread @ brand.covariance @ spread)
    squared = mean + torch.trace(look.covariance) + torch.trace(brand.covariance) - 2 * torch.trace(cross)
    return float(squared.clamp_min(0).sqrt())


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    root: Tensor = vectors * values.clamp_min(0).sqrt() @ vectors.T
    return root


def filter_bank(view: Tensor) -> Tensor:
    """[1, 5 * SCALES, h, w]: how strongly lightness changes along four directions and at points, at each scale, in parts of the
    picture's own contrast.
    """
    lightness = torch.from_numpy(to_lab(to_pixels(view))[..., 0]).float()[None, None]
    plane = (lightness - lightness.mean()) / lightness.std().clamp_min(2)
    size = [side // GRID_PX for side in plane.shape[2:]]
    maps = []
    for _ in range(SCALES):
        answers = F.conv2d(F.pad(plane, (1, 1, 1, 1), mode="replicate"), KERNELS)
        maps.append(F.interpolate(torch.log1p(10 * answers.abs()), size=size, mode="bilinear", antialias=True,
                                  align_corners=False))
        plane = F.avg_pool2d(plane, 2)
    return torch.cat(maps, dim=1)


KERNELS = torch.tensor([
    [[0, 0, 0], [-1, 0, 1], [0, 0, 0]], [[0, -1, 0], [0, 0, 0], [0, 1, 0]], [[-1, 0, 0], [0, 0, 0], [0, 0, 1]],
    [[0, 0, -1], [0, 0, 0], [1, 0, 0]], [[0, -1, 0], [-1, 4, -1], [0, -1, 0]]], dtype=torch.float)[:, None] / 2
