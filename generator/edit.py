"""Editor: inpaint, outpaint, variants and image-to-image on a Canvas. Every edit goes from latents to latents."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from generator.canvas import Canvas, EditReport, Sides, check_size, render, to_tensor
from generator.denoise import Draft
from generator.errors import Cancelled
from generator.latents import PATCH
from generator.masks import Mask
from generator.pipeline import CoverPainter, Progress
from generator.request import CoverImage, CoverRequest, check_prompts, check_sampling

MAX_VARIANTS = 256
ANCHORS = ("left", "center", "right", "top", "bottom")


@dataclass(frozen=True, kw_only=True)
class Brush:
    """How an edit paints; see CoverRequest. strength: how far it may leave what is there, above 0, at most 1: all the way.

    progress(step, steps) after each step; cancelled() is asked before each.
    """

    negative: str = ""
    steps: int = 24
    guidance: float = 3.0
    seed: int = 0
    strength: float = 1.0
    progress: Progress | None = None
    cancelled: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        check_sampling(self.steps, self.guidance, self.seed)
        if not 0 < self.strength <= 1:
            raise ValueError(f"strength: {self.strength} is not above 0 and at most 1")
        if int(self.steps - self.steps * self.strength) >= self.steps:
            raise ValueError(f"strength: {self.strength} leaves none of {self.steps} steps")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One of the pictures that `variants` makes. prompts: what was painted into each mask, in the masks' order."""

    prompts: tuple[str, ...]
    canvas: Canvas


class Editor:
    """Edits pictures with one painter. checkpoint: one of its `checkpoints`, each with another LoRA; None: without.

    Every edit raises ValueError for a bad mask, prompt or brush, and Cancelled where its brush was asked to stop.
    """

    def __init__(self, painter: CoverPainter, checkpoint: str | None = None) -> None:
        self.painter, self.checkpoint = painter, checkpoint or painter.checkpoint

    def open(self, picture: CoverImage) -> Canvas:
        """A canvas of any picture, a local photo for one. Raises ValueError for a size that cannot be painted."""
        check_size(picture.width, picture.height)
        factor = self.painter.parts.vae_config.spatial_factor
        master, token = to_tensor(picture), factor * PATCH
        pixels = master.permute(2, 0, 1).float() / 127.5 - 1
        pixels = F.pad(pixels[None], (0, -picture.width % token, 0, -picture.height % token), mode="replicate")[0]
        return Canvas(latents=self.painter.encode(pixels), left=0, top=0, factor=factor, master=master,
                      fresh=torch.zeros(picture.height, picture.width), added=torch.zeros(picture.height, picture.width))

    def paint(self, request: CoverRequest, progress: Progress | None = None) -> Canvas:
        """A new picture, as `CoverPainter.generate` makes it. Where it was painted at its very size it keeps its latents."""
        if self.painter.parts.has_canvases:
            return self.open(self.painter.generate(request, progress))
        latents, = self._sample([self.painter.draft(request, progress)], request.checkpoint)
        pixels = self.painter.decode(latents)
        top, left = (pixels.shape[1] - request.height) // 2, (pixels.shape[2] - request.width) // 2
        blank = Canvas(latents=latents.cpu(), left=left, top=top, factor=self.painter.parts.vae_config.spatial_factor,
                       master=torch.zeros(request.height, request.width, 3, dtype=torch.uint8),
                       fresh=torch.ones(request.height, request.width), added=torch.zeros(request.height, request.width))
        picture, _ = render(blank, pixels)
        return replace(blank, master=to_tensor(picture), fresh=torch.zeros_like(blank.fresh))

    def inpaint(self, canvas: Canvas, mask: Mask, prompt: str, brush: Brush | None = None) -> Canvas:
        """Paint `prompt` into `mask`."""
        alpha = canvas.alpha(mask)
        latents, = self._sample([_draft(canvas, alpha, prompt, brush or Brush())])
        return canvas.paint(latents, alpha)

    def img2img(self, canvas: Canvas, prompt: str, brush: Brush) -> Canvas:
        """Paint all of it anew, starting from what is there as far as brush.strength says."""
        everything = torch.ones_like(canvas.fresh)
        latents, = self._sample([_draft(canvas, None, prompt, brush)])
        return canvas.paint(latents, everything)

    def outpaint(self, canvas: Canvas, sides: Sides, prompt: str, brush: Brush | None = None) -> Canvas:
        """Add to its sides and paint `prompt` there. Can be repeated."""
        brush = brush or Brush()
        grown, alpha = canvas.grow(sides)
        if not bool(alpha.any()):
            raise ValueError("outpaint: no side is to grow")
        if brush.strength < 1:
            raise ValueError(f"outpaint: strength is {brush.strength}; it must be 1, for nothing is there to start from")
        latents, = self._sample([_draft(grown, alpha, prompt, brush)])
        return grown.paint(latents, alpha)

    def variants(self, master: Canvas, prompts: Mapping[Mask, Sequence[str]], brush: Brush | None = None,
                 choices: Sequence[Sequence[int]] | None = None) -> list[Variant]:
        """Pictures of one master that differ within the masks only.

        choices: for each picture, which prompt (by number) of each mask; None: all combinations. Each prompt is painted once,
        in batches, and combined: a mask has the same latents in every picture that shares its prompt. Where masks overlap, the
        later one lies on top.
        """
        brush = brush or Brush()
        alphas = [master.alpha(mask) for mask in prompts]
        rows = _choose(list(prompts.values()), choices)
        jobs = list(dict.fromkeys((place, prompt) for row in rows for place, prompt in enumerate(row)))
        drafts = [_draft(master, alphas[place], prompt, brush) for place, prompt in jobs]
        painted = dict(zip(jobs, self._sample(drafts), strict=True))
        free = [master.latent_mask(alpha) > 0 for alpha in alphas]
        found = []
        for row in rows:
            canvas = master
            for place, prompt in enumerate(row):
                canvas = canvas.paint(torch.where(free[place], painted[place, prompt].cpu(), canvas.latents), alphas[place])
            found.append(Variant(prompts=row, canvas=canvas))
        return found

    def render(self, canvas: Canvas) -> tuple[CoverImage, EditReport]:
        """The finished picture: the one decoding."""
        return render(canvas, self.painter.decode(canvas.latents))

    def _sample(self, drafts: Sequence[Draft], checkpoint: str = "") -> list[Tensor]:
        found = [latents for latents in self.painter.sample(drafts, checkpoint or self.checkpoint) if latents is not None]
        if len(found) < len(drafts):
            raise Cancelled("cancelled between two steps")
        return found


def anchor_sides(canvas_size: tuple[int, int], size: tuple[int, int], anchor: str) -> Sides:
    """The sides that grow when a picture becomes (width, height) and stays at `anchor`: center, or the border it keeps.

    Raises ValueError for another anchor, and where it would have to shrink.
    """
    if anchor not in ANCHORS:
        raise ValueError(f"anchor: {anchor!r} is not one of {', '.join(ANCHORS)}")
    more = (size[0] - canvas_size[0], size[1] - canvas_size[1])
    if min(more) < 0:
        raise ValueError(f"outpaint: to {size[0]}x{size[1]} px, but the picture is {canvas_size[0]}x{canvas_size[1]}; "
                         f"neither side can shrink")
    left = {"left": 0, "right": more[0]}.get(anchor, more[0] // 2)
    top = {"top": 0, "bottom": more[1]}.get(anchor, more[1] // 2)
    return Sides(left=left, right=more[0] - left, top=top, bottom=more[1] - top)


def _draft(canvas: Canvas, alpha: Tensor | None, prompt: str, brush: Brush) -> Draft:
    check_prompts(prompt, brush.negative)
    mask = None if alpha is None else canvas.latent_mask(alpha)
    is_from_picture = alpha is not None or brush.strength < 1
    return Draft(prompt=prompt, negative=brush.negative, grid=canvas.grid, steps=brush.steps, guidance=brush.guidance,
                 seed=brush.seed, clean=canvas.latents if is_from_picture else None, mask=mask, strength=brush.strength,
                 progress=brush.progress, cancelled=brush.cancelled)


def _choose(prompts: Sequence[Sequence[str]], choices: Sequence[Sequence[int]] | None) -> list[tuple[str, ...]]:
    """The prompts of each picture. Raises ValueError for choices of prompts that are not there, and for too many pictures."""
    counts = [len(of_mask) for of_mask in prompts]
    if not counts:
        raise ValueError("variants: there is no mask; give at least one")
    pictures = math.prod(counts) if choices is None else len(choices)
    if not 1 <= pictures <= MAX_VARIANTS:
        raise ValueError(f"variants: {pictures} pictures; there must be from 1 to {MAX_VARIANTS}")
    for row in choices or ():
        if len(row) != len(counts) or any(not 0 <= number < count for number, count in zip(row, counts, strict=False)):
            raise ValueError(f"variants: {list(row)} must name one prompt of each of the {len(counts)} masks, counting from 0")
    if choices is None:
        return list(product(*prompts))
    return [tuple(of_mask[number] for of_mask, number in zip(prompts, row, strict=True)) for row in choices]
