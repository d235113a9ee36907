"""Scorer: a small discriminator of professional feel, trained on good pictures against flawed and generated ones.

It looks at every part of a picture as large as a token and at what lies around it; a picture is as good as its parts, and the
worst of them count for half. Used to curate, to accept, to pick the best of several, and as the reward of the generator.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from generator.native import TOKEN_PX, fit_canvas

FILE = Path(__file__).parent / "weights" / "aesthetic.safetensors"
WORST = 1 / 8
"""Share of a picture's parts that count as its worst."""


class Scorer(nn.Module):
    """Convolutions from pixels [B, 3, 64h, 64w] in -1..1 to a logit of every part, [B, 2h, 2w]; above 0: professional."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()

        def layer(before: int, after: int, stride: int = 1) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after),
                                 nn.SiLU())

        self.layers = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, width, 1), nn.SiLU(), layer(width, width),
                                    layer(width, 2 * width, 2), layer(2 * width, 2 * width), layer(2 * width, 3 * width, 2),
                                    layer(3 * width, 3 * width), layer(3 * width, 4 * width, 2), layer(4 * width, 4 * width),
                                    nn.Conv2d(4 * width, 1, 3, padding=1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of the parts."""
        logits: Tensor = self.layers(pixels)[:, 0]
        return logits


def pool(logits: Tensor) -> Tensor:
    """One logit [B] of the parts' logits [B, h, w]: half the mean of all, half that of the worst."""
    flat = logits.flatten(1)
    worst = flat.topk(max(1, round(WORST * flat.shape[1])), dim=1, largest=False).values
    return (flat.mean(1) + worst.mean(1)) / 2


def load_scorer() -> Scorer:
    """The scorer that ships with the project. Raises FileNotFoundError naming the file."""
    scorer = Scorer()
    scorer.load_state_dict({name: tensor.float() for name, tensor in load_file(FILE).items()})
    return scorer.eval().requires_grad_(False)


def make_view(picture: NDArray[np.uint8]) -> Tensor:
    """[1, 3, 64h, 64w] in -1..1 of a picture [H, W, 3], resampled and cropped to its native canvas."""
    columns, rows = fit_canvas(picture.shape[1], picture.shape[0])
    wide, high = columns * TOKEN_PX, rows * TOKEN_PX
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1
    scale = max(wide / pixels.shape[3], high / pixels.shape[2])
    if scale != 1:
        size = [max(high, round(scale * pixels.shape[2])), max(wide, round(scale * pixels.shape[3]))]
        pixels = F.interpolate(pixels, size=size, mode="bicubic", antialias=True)
    top, left = (pixels.shape[2] - high) // 2, (pixels.shape[3] - wide) // 2
    return pixels[:, :, top:top + high, left:left + wide]


@torch.inference_mode()
def score(scorer: Scorer, picture: NDArray[np.uint8]) -> float:
    """How professional a picture [H, W, 3] looks, 0..1."""
    return float(torch.sigmoid(pool(scorer(make_view(picture))))[0])
