"""Scorer: a small discriminator of professional feel, trained on good pictures against flawed and generated ones.

It is the judge with another question: not what stands at a token, but whether it is well made. A picture is as good as its parts,
and the worst of them count most. Used to curate, to accept, to pick the best of several, and as the reward of the generator.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from generator.evaluation.judge import Judge, make_view

FILE = Path(__file__).parent / "weights" / "aesthetic.safetensors"
WORST, WORST_COUNTS = 1 / 24, 0.75
"""Share of a picture's parts that are its worst, and how much they count."""


class Scorer(Judge):
    """From a view [B, 3, 12h, 12w] in -1..1 to a logit for every token, [B, h, w]; above 0: professional."""

    def __init__(self) -> None:
        super().__init__(())
        self.head = nn.Conv2d(self.head.in_channels, 1, 1)

    def forward(self, views: Tensor) -> Tensor:
        """Logits of the parts."""
        return super().forward(views)[:, 0]


def pool(logits: Tensor) -> Tensor:
    """One logit [B] of the parts' logits [B, h, w]: the mean of the worst, and that of all."""
    flat = logits.flatten(1)
    worst = flat.topk(max(1, round(WORST * flat.shape[1])), dim=1, largest=False).values
    return torch.lerp(flat.mean(1), worst.mean(1), WORST_COUNTS)


def load_scorer() -> Scorer:
    """The scorer that ships with the project. Raises FileNotFoundError naming the file."""
    scorer = Scorer()
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in load_file(FILE).items()}
    scorer.load_state_dict(state)
    return scorer.eval().requires_grad_(False)


@torch.inference_mode()
def score(scorer: Scorer, picture: NDArray[np.uint8]) -> float:
    """How professional a picture [H, W, 3] looks, 0..1."""
    return float(torch.sigmoid(pool(scorer(make_view(picture)[None])))[0])
