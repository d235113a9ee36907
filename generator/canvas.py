"""Canvas: a picture as latents, and what is known of its pixels. Edits work on the latents; pixels come at the end, once."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from generator.blend import blend, feather, seam_gradient_ratio
from generator.latents import PATCH
from generator.masks import Mask
from generator.request import MAX_SIDE_PX, MIN_SIDE_PX, CoverImage


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Pixels to add to each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __post_init__(self) -> None:
        if min(self.left, self.top, self.right, self.bottom) < 0:
            raise ValueError(f"outpaint: sides {self.left},{self.top},{self.right},{self.bottom} must not be negative")


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A picture on its latents.

    latents: [1, C, h, w] float32, h and w even. left, top: where the picture begins in the latents' pixels. master: what it
    was when it was opened, [H, W, 3] uint8. fresh: how much of each pixel was painted since, [H, W] in 0..1. added: [H, W], 1
    where nothing was when it was opened. factor: pixels a latent position.
    """

    latents: Tensor
    left: int
    top: int
    master: Tensor
    fresh: Tensor
    added: Tensor
    factor: int

    @property
    def width(self) -> int:
        """Pixels."""
        return self.master.shape[1]

    @property
    def height(self) -> int:
        """Pixels."""
        return self.master.shape[0]

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of tokens."""
        return self.latents.shape[2] // PATCH, self.latents.shape[3] // PATCH

    def alpha(self, mask: Mask) -> Tensor:
        """[H, W] of `mask` in this picture, feathered. Raises ValueError for a mask of another size or an empty one."""
        return feather(torch.from_numpy(mask.draw(self.width, self.height)), mask.feather_px)

    def latent_mask(self, alpha: Tensor) -> Tensor:
        """[1, 1, h, w]: 1 for every latent position that has a part in a pixel of alpha [H, W].

        Beyond the picture's borders it goes on as at the border.
        """
        below = self.latents.shape[2] * self.factor - self.top - self.height
        right = self.latents.shape[3] * self.factor - self.left - self.width
        whole = F.pad((alpha > 0).float()[None, None], (self.left, right, self.top, below), mode="replicate")
        return F.max_pool2d(whole, self.factor)

    def paint(self, latents: Tensor, alpha: Tensor) -> "Canvas":
        """After an edit: new latents, and where it painted."""
        return replace(self, latents=latents.float().cpu(), fresh=torch.maximum(self.fresh, alpha))

    def grow(self, sides: Sides) -> tuple["Canvas", Tensor]:
        """The larger canvas, and the alpha of what is new in it. Latents of what was there stay where they are, to the bit.

        Raises ValueError for a size that is too large.
        """
        width, height = self.width + sides.left + sides.right, self.height + sides.top + sides.bottom
        check_size(width, height)
        token = self.factor * PATCH
        before = [max(0, math.ceil((more - at) / token)) for more, at in ((sides.left, self.left), (sides.top, self.top))]
        left, top = self.left + before[0] * token - sides.left, self.top + before[1] * token - sides.top
        after = [max(0, math.ceil((at + size - count * self.factor - first * token) / token)) for at, size, count, first in
                 ((left, width, self.latents.shape[3], before[0]), (top, height, self.latents.shape[2], before[1]))]
        edges = [PATCH * count for count in (before[0], after[0], before[1], after[1])]
        borders = (sides.left, sides.right, sides.top, sides.bottom)
        grown = Canvas(latents=F.pad(self.latents, edges), left=left, top=top, factor=self.factor,
                       master=F.pad(self.master.permute(2, 0, 1), borders).permute(1, 2, 0).contiguous(),
                       fresh=F.pad(self.fresh, borders, value=1.0), added=F.pad(self.added, borders, value=1.0))
        return grown, F.pad(torch.zeros_like(self.fresh), borders, value=1.0)


@dataclass(frozen=True, kw_only=True)
class EditReport:
    """What an edit did to the master's pixels. outside_max_difference: in 8-bit levels, where nothing was painted (None: it
    was painted everywhere). seam_gradient_ratio: see `blend.seam_gradient_ratio`. painted_share: of all pixels, 0 to 1.
    """

    outside_max_difference: int | None
    seam_gradient_ratio: float | None
    painted_share: float


def render(canvas: Canvas, pixels: Tensor) -> tuple[CoverImage, EditReport]:
    """The finished picture from the canvas and its decoded pixels [3, H', W'] in -1..1, and what can be measured of it."""
    cut = pixels[:, canvas.top:canvas.top + canvas.height, canvas.left:canvas.left + canvas.width]
    painted = ((cut.float().cpu() + 1) * 127.5).clamp(0, 255)
    master = canvas.master.permute(2, 0, 1).float()
    final = blend(painted, master, canvas.fresh, canvas.added).round().clamp(0, 255)
    rgb = final.to(torch.uint8).permute(1, 2, 0).contiguous()
    difference = (rgb.int() - canvas.master.int()).abs().amax(2)[canvas.fresh == 0]
    report = EditReport(
        outside_max_difference=int(difference.max()) if len(difference) else None,
        seam_gradient_ratio=seam_gradient_ratio(final, canvas.fresh),
        painted_share=float((canvas.fresh > 0).float().mean()))
    return CoverImage(width=canvas.width, height=canvas.height, rgb=rgb.numpy().tobytes()), report


def to_tensor(picture: CoverImage) -> Tensor:
    """[H, W, 3] uint8."""
    return torch.from_numpy(np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3).copy())


def check_size(width: int, height: int) -> None:
    """Raise ValueError for a picture that is too small or too large."""
    for name, side in (("width", width), ("height", height)):
        if not MIN_SIDE_PX <= side <= MAX_SIDE_PX:
            raise ValueError(f"size: {name} is {side} px; it must be from {MIN_SIDE_PX} to {MAX_SIDE_PX}")
