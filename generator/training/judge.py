"""The judge: a small classifier, trained on studio pictures only, that says which motif a picture shows and where."""

import time
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from generator.studio.scene import MOTIFS, PLACES, paint, sample_scene

VIEW = (96, 160)
"""Height and width in pixels at which pictures are judged; wider and squarer ones are padded with their border."""


class Judge(nn.Module):
    """Five convolutions and two heads: motif logits [B, 24] and place logits [B, 5]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in (32, 48, 64, 96, 128):
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        self.features = nn.Sequential(*layers)
        self.motif = nn.Linear(before * 2, len(MOTIFS))
        self.place = nn.Linear(before * 3 * 5, len(PLACES))

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """views [B, 3, 96, 160] in -1..1."""
        features = self.features(views)                                                    # [B, 128, 3, 5]
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        return self.motif(pooled), self.place(features.flatten(1))


def make_view(picture: NDArray[np.uint8]) -> Tensor:
    """[3, 96, 160] in -1..1 of a picture [H, W, 3], shrunk to fit and padded with its border."""
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    scale = min(VIEW[0] / pixels.shape[2], VIEW[1] / pixels.shape[3])
    size = [max(1, round(side * scale)) for side in pixels.shape[2:]]
    small = F.interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
    rows, columns = VIEW[0] - size[0], VIEW[1] - size[1]
    padding = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return F.pad(small, padding, mode="replicate")[0]


def train_judge(pictures: int = 7000, epochs: int = 8, seed: int = 5) -> Judge:
    """A judge trained from scratch, reproducibly; prints its accuracy on fresh studio pictures."""
    torch.manual_seed(seed)
    rng, started = Random(seed), time.monotonic()
    views, motifs, places = _draw(rng, pictures)
    judge = Judge()
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.05)
    steps = epochs * (pictures // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(0, pictures, (64,))
        batch = views[rows] + 0.04 * torch.randn(1) * torch.randn_like(views[rows])
        motif, place = judge(batch)
        loss = F.cross_entropy(motif, motifs[rows]) + F.cross_entropy(place, places[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    judge.eval()
    fresh, true_motif, true_place = _draw(Random(seed + 1), 480)
    with torch.no_grad():
        motif, place = judge(fresh)
    print(f"judge on fresh studio pictures: motif {(motif.argmax(1) == true_motif).float().mean():.3f}, place "
          f"{(place.argmax(1) == true_place).float().mean():.3f}, {time.monotonic() - started:.0f} s", flush=True)
    return judge


def _draw(rng: Random, count: int) -> tuple[Tensor, Tensor, Tensor]:
    views, motifs, places = [], [], []
    for number in range(count):
        scene = sample_scene(rng)
        size = ((240, 240), (304, 160), (192, 256))[number % 3]
        views.append(make_view(paint(scene, *size)))
        motifs.append(list(MOTIFS).index(scene.motif))
        places.append(PLACES.index(scene.place))
    return torch.stack(views), torch.tensor(motifs), torch.tensor(places)
