"""Text to image: reads the prompt, samples latents, decodes and crops. Holds the weights; knows no network and no settings."""

import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from generator import checkpoint
from generator.checkpoint import Autoencoder
from generator.errors import CheckpointError
from generator.latents import draw_noise, token_grid, unpack
from generator.mmdit import MMDiT
from generator.request import CoverImage, CoverRequest
from generator.revision import BUNDLED_FOLDER as BUNDLED_FOLDER
from generator.revision import INDEX_FILE, checkpoint_name
from generator.sampler import guide, sample
from generator.schedule import ScheduleConfig, noise_levels
from generator.text_encoder import PromptReader, load_prompt_reader

PROJECT = "FengmianPipeline"


class CoverPainter:
    """The embedded generator: one checkpoint folder, loaded on first use, one picture at a time.

    The folder has the published layout: model_index.json, transformer/, vae/, text_encoder/, scheduler/.
    """

    def __init__(self, folder: Path = BUNDLED_FOLDER, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.folder, self.device, self.dtype = Path(folder), torch.device(device), dtype
        self._turn = threading.Lock()
        index = checkpoint.read_json(self.folder / INDEX_FILE)
        if index.get("_class_name") != PROJECT:
            raise CheckpointError(f"{self.folder / 'model_index.json'}: _class_name is {index.get('_class_name')!r}; this "
                                  f"painter reads prompts for {PROJECT} only")

    @cached_property
    def checkpoint(self) -> str:
        """Name and revision of the weights, as it enters the fingerprint."""
        return checkpoint_name(self.folder, str(self.dtype).removeprefix("torch."))

    @cached_property
    def transformer(self) -> MMDiT:
        """The diffusion transformer."""
        return checkpoint.load_transformer(self.folder / "transformer", self.device, self.dtype)

    @cached_property
    def vae(self) -> Autoencoder:
        """The autoencoder."""
        return checkpoint.load_vae(self.folder / "vae", self.device, self.dtype)

    @cached_property
    def reader(self) -> PromptReader:
        """The text encoder."""
        return load_prompt_reader(self.folder / "text_encoder", self.device, self.dtype)

    @cached_property
    def schedule(self) -> ScheduleConfig:
        """How the checkpoint wants its noise levels bent."""
        content = checkpoint.read_json(self.folder / "scheduler" / "scheduler_config.json")
        known = ScheduleConfig.__dataclass_fields__
        return ScheduleConfig(**{key: value for key, value in content.items() if key in known})

    @torch.inference_mode()
    def generate(self, request: CoverRequest, progress: Callable[[int, int], None] | None = None,
                 cancelled: Callable[[], bool] | None = None) -> CoverImage:
        """The picture for `request`, exactly of its size. Raises CheckpointError, Cancelled, or ValueError when
        the request names other weights than these.
        """
        if request.checkpoint != self.checkpoint:
            raise ValueError(f"checkpoint: the request asks for {request.checkpoint!r}, loaded is {self.checkpoint!r}")
        with self._turn:
            latents = self._sample(request, progress, cancelled)
            pixels = self.vae.decode(latents)
        return _crop(pixels[0], request.width, request.height)

    def _sample(self, request: CoverRequest, progress: Callable[[int, int], None] | None,
                cancelled: Callable[[], bool] | None) -> Tensor:
        config = self.transformer.config
        grid = token_grid(request.width, request.height, self.vae.config.spatial_factor)
        noise = draw_noise(grid, config.out_channels, request.seed).to(self.device, self.dtype)
        states = self.reader.read([request.prompt, request.negative])                      # [2, S, W]
        guided = request.guidance > 1

        def velocity(tokens: Tensor, sigma: float) -> Tensor:
            batch = 2 if guided else 1
            levels = torch.full((batch,), sigma, device=self.device)
            out = self.transformer(tokens.expand(batch, -1, -1), states[:batch], levels, grid=grid)
            return guide(out[:1], out[1:], request.guidance) if guided else out

        sigmas = noise_levels(request.steps, grid[0] * grid[1], self.schedule)
        tokens = sample(velocity, noise, sigmas, progress=progress, cancelled=cancelled)
        return unpack(tokens, grid)


def _crop(pixels: Tensor, width: int, height: int) -> CoverImage:
    """The middle of pixels [3, H, W] in -1..1 as 8-bit RGB of this size."""
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    kept = pixels[:, top:top + height, left:left + width].float()
    rgb = ((kept + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
    return CoverImage(width=width, height=height, rgb=rgb.cpu().numpy().tobytes())
