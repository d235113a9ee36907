"""CoverPainter: requests in, pictures out. Holds one checkpoint; knows no network and no settings."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from generator.denoise import Draft, denoise
from generator.errors import Cancelled
from generator.options import ModelOptions
from generator.parts import PROJECT as PROJECT
from generator.parts import Parts
from generator.placement import DoesNotFit, batch_that_fits, check_fit
from generator.request import CoverImage, CoverRequest
from generator.revision import BUNDLED_FOLDER as BUNDLED_FOLDER
from generator.revision import checkpoint_name
from generator.tiles import decode, encode

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request, and who watches it: progress(step, steps) after each step, cancelled() asked before each."""

    request: CoverRequest
    progress: Progress | None = None
    cancelled: Callable[[], bool] | None = None


class CoverPainter:
    """The embedded generator: one checkpoint folder, loaded on first use. Calls from several threads take turns."""

    def __init__(self, folder: Path = BUNDLED_FOLDER, options: ModelOptions | None = None) -> None:
        self.folder, self.options = Path(folder), options or ModelOptions()
        self.parts = Parts(self.folder, self.options)
        self._turn = threading.Lock()

    @cached_property
    def checkpoint(self) -> str:
        """Name and revision of the weights, and what else changes pixels, as it enters the fingerprint."""
        return checkpoint_name(self.folder, self.options)

    @cached_property
    def checkpoints(self) -> dict[str, str | None]:
        """Every checkpoint name that a request may carry, and the LoRA that it switches on."""
        switched = self.options.loras if self.options.switch_loras else ()
        return {self.checkpoint: None, **{checkpoint_name(self.folder, self.options, lora): lora.name for lora in switched}}

    def generate(self, request: CoverRequest, progress: Progress | None = None,
                 cancelled: Callable[[], bool] | None = None) -> CoverImage:
        """The picture for `request`, exactly of its size. Raises CheckpointError, DoesNotFit, Cancelled, or ValueError when
        the request names other weights than these.
        """
        picture, = self.generate_batch([Order(request=request, progress=progress, cancelled=cancelled)])
        if picture is None:
            raise Cancelled("cancelled between two steps")
        return picture

    def generate_batch(self, orders: Sequence[Order]) -> list[CoverImage | None]:
        """The picture of each order, None if it was cancelled: what its order alone would give. Raises as `generate`."""
        drafts = [self.draft(order.request, order.progress, order.cancelled) for order in orders]
        checkpoint = orders[0].request.checkpoint
        if any(order.request.checkpoint != checkpoint for order in orders):
            raise ValueError("batch: its requests must name one checkpoint")
        finish = fit if self.parts.has_canvases else crop
        return [None if latents is None else finish(self.decode(latents), order.request.width, order.request.height)
                for latents, order in zip(self.sample(drafts, checkpoint), orders, strict=True)]

    def draft(self, request: CoverRequest, progress: Progress | None = None,
              cancelled: Callable[[], bool] | None = None) -> Draft:
        """What is to be sampled for `request`."""
        grid = self.parts.grid(request.width, request.height)
        return Draft(prompt=request.prompt, negative=request.negative, grid=grid, steps=request.steps, seed=request.seed,
                     guidance=request.guidance, progress=progress, cancelled=cancelled)

    def sample(self, drafts: Sequence[Draft], checkpoint: str) -> list[Tensor | None]:
        """The latents [1, C, 2h, 2w] of each draft in float32, None if it was cancelled; in batches where drafts agree and
        memory allows. Raises CheckpointError, DoesNotFit, ValueError.
        """
        if checkpoint not in self.checkpoints:
            raise ValueError(f"checkpoint: the request asks for {checkpoint!r}, loaded is "
                             f"{' or '.join(map(repr, self.checkpoints))}")
        ends: dict[int, Tensor | None] = {}
        with self._turn:
            while len(ends) < len(drafts):
                first = next(row for row in range(len(drafts)) if row not in ends)
                alike = [row for row in range(first, len(drafts))
                         if row not in ends and drafts[row].batch_key == drafts[first].batch_key]
                rows = alike[:self._batch_size(drafts[first].grid)]
                batch = self._denoise([drafts[row] for row in rows], self.checkpoints[checkpoint])
                ends.update(zip(rows, batch, strict=True))
        return [ends[row] for row in range(len(drafts))]

    def _denoise(self, drafts: Sequence[Draft], lora: str | None) -> list[Tensor | None]:
        """A batch that turns out larger than memory is painted one by one. Raises DoesNotFit where one alone is."""
        what = f"{len(drafts)} pictures of {drafts[0].grid} tokens"
        try:
            with self._fitting(what):
                return denoise(self.parts, drafts, lora, self.options.step_cache)
        except DoesNotFit as exc:
            if len(drafts) == 1:
                raise
            log.warning("%s; painting them one by one", exc)
        return [latents for draft in drafts for latents in self._denoise([draft], lora)]

    @contextmanager
    def _fitting(self, what: str) -> Iterator[None]:
        """Running out of memory in here is DoesNotFit."""
        try:
            yield
        except RuntimeError as exc:  # torch.OutOfMemoryError on a GPU; a plain one from the CPU's allocator
            if not isinstance(exc, torch.OutOfMemoryError) and "allocate memory" not in str(exc):
                raise
            raise DoesNotFit(f"{what} do not fit on {self.options.device}: {str(exc).splitlines()[0]}") from exc

    def _batch_size(self, grid: tuple[int, int]) -> int:
        """How many pictures of this size go together. Raises DoesNotFit where not even the first has room."""
        work = self.parts.work_bytes(grid)
        if self.parts.is_empty:
            check_fit(self.folder, self.options, work)
        return 1 if self.options.step_cache else batch_that_fits(self.options, work, self.parts.to_load_bytes)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Pixels [3, H, W], about -1..1 in float32, of latents [1, C, h, w]. Raises DoesNotFit."""
        tile = self.options.tile_px // self.parts.vae_config.spatial_factor
        with self._turn, self._fitting(f"the pixels of {list(latents.shape[2:])} latents"):
            return decode(self.parts.vae, latents.to(self.parts.device, self.parts.dtype), tile)[0].float().cpu()

    @torch.inference_mode()
    def encode(self, pixels: Tensor) -> Tensor:
        """Latents [1, C, h, w] in float32 of pixels [3, H, W] in -1..1; both sides must be multiples of the VAE's factor.

        Raises DoesNotFit.
        """
        factor = self.parts.vae_config.spatial_factor
        with self._turn, self._fitting(f"the latents of {list(pixels.shape[1:])} pixels"):
            there = pixels[None].to(self.parts.device, self.parts.dtype)
            return encode(self.parts.vae, there, factor, self.options.tile_px // factor).float().cpu()


def crop(pixels: Tensor, width: int, height: int) -> CoverImage:
    """The middle of pixels [3, H, W] in -1..1 as 8-bit RGB of this size."""
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    rgb = to_bytes(pixels[:, top:top + height, left:left + width])
    return CoverImage(width=width, height=height, rgb=rgb.contiguous().numpy().tobytes())


def fit(pixels: Tensor, width: int, height: int) -> CoverImage:
    """Pixels [3, H, W] in -1..1, resampled (bicubic, antialiased) until they just cover this size, and cropped to it."""
    scale = max(width / pixels.shape[2], height / pixels.shape[1])
    if scale != 1:
        sides = [max(round(pixels.shape[1] * scale), height), max(round(pixels.shape[2] * scale), width)]
        pixels = F.interpolate(pixels[None], size=sides, mode="bicubic", antialias=True)[0]
    return crop(pixels, width, height)


def to_bytes(pixels: Tensor) -> Tensor:
    """Pixels [3, H, W] in -1..1 to [H, W, 3] uint8."""
    return ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
