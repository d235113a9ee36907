"""The judge: a small detector, trained on studio pictures only, that says what stands where in a picture.

For every token of the canvas it names the motif there, if any, and how large the motif's box is. Motif, place, count and
relation follow from that map by geometry.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn

from generator.native import fit_canvas

CELL_PX = 12
"""Pixels of the judge's view that a token takes, along one side."""
SIZES = (4, 6, 8)
"""Sizes of boxes, in tokens."""
MOTIF_COUNT = 48
BACKGROUND = MOTIF_COUNT
FOLDER = Path(__file__).parent / "weights"
FILE = FOLDER / "judge.safetensors"
LEAST_CELLS = 5
"""Tokens of a motif below which it does not count as being there."""


class Judge(nn.Module):
    """Convolutions from pixels to tokens. [B, 3, 12h, 12w] in -1..1 to [B, 49 + 3, h, w]: motif and size of every token.

    motifs: their names, by number.
    """

    def __init__(self, motifs: Sequence[str]) -> None:
        super().__init__()
        self.motifs = tuple(motifs)

        def layer(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(before, after, 3, stride=stride, padding=dilation, dilation=dilation, bias=False),
                                 nn.BatchNorm2d(after), nn.ReLU())

        self.fine = nn.Sequential(layer(3, 32, 2), layer(32, 48), layer(48, 64, 2), layer(64, 64))
        self.coarse = nn.Sequential(nn.Conv2d(64, 80, 3, stride=3, bias=False), nn.BatchNorm2d(80), nn.ReLU(), layer(80, 80),
                                    layer(80, 80, dilation=2), layer(80, 80, dilation=3), layer(80, 80))
        self.head = nn.Conv2d(80, MOTIF_COUNT + 1 + len(SIZES), 1)

    def forward(self, views: Tensor) -> Tensor:
        """Logits of every token."""
        logits: Tensor = self.head(self.coarse(self.fine(views)))
        return logits


@dataclass(frozen=True)
class Finding:
    """A motif that is there. x, y: centre of its tokens, in tokens; count: how many of it there are."""

    motif: str
    x: float
    y: float
    cells: int
    count: int


def make_view(picture: NDArray[np.uint8]) -> Tensor:
    """[3, 12h, 12w] in -1..1 of a picture [H, W, 3]: its canvas, where what the crop cut off is filled with the border."""
    columns, rows = fit_canvas(picture.shape[1], picture.shape[0])
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1
    scale = min(columns * CELL_PX / pixels.shape[3], rows * CELL_PX / pixels.shape[2])
    size = [max(1, round(side * scale)) for side in pixels.shape[2:]]
    small = F.interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
    high, wide = rows * CELL_PX - size[0], columns * CELL_PX - size[1]
    return F.pad(small, (wide // 2, wide - wide // 2, high // 2, high - high // 2), mode="replicate")[0]


def load_judge() -> Judge:
    """The judge that ships with the project. Raises FileNotFoundError naming the file."""
    with safe_open(FILE, framework="pt") as file:
        judge = Judge(json.loads(file.metadata()["motifs"]))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    judge.load_state_dict({name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()})
    return judge.eval().requires_grad_(False)


@torch.inference_mode()
def find(judge: Judge, picture: NDArray[np.uint8]) -> list[Finding]:
    """What the picture shows, the largest first."""
    logits = judge(make_view(picture)[None])[0]
    motif, size = logits[:MOTIF_COUNT + 1].argmax(0), logits[MOTIF_COUNT + 1:].argmax(0)
    findings = []
    for number in motif.unique().tolist():
        there = motif == number
        cells = int(there.sum())
        if number == BACKGROUND or cells < LEAST_CELLS:
            continue
        rows, columns = there.nonzero().float().mean(0).tolist()
        boxes = sum(int((there & (size == index)).sum()) / side**2 for index, side in enumerate(SIZES))
        findings.append(Finding(motif=judge.motifs[number], x=columns + 0.5, y=rows + 0.5, cells=cells,
                                count=max(1, round(boxes))))
    return sorted(findings, key=lambda finding: -finding.cells)
