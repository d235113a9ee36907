"""Denoising: drafts of pictures to latents, by the networks of one checkpoint. A batch changes no picture in it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from generator.grounding import Area, stack_shown
from generator.latents import PATCH, draw_noise, pack, unpack
from generator.parts import Parts
from generator.sampler import Keep, Trajectory, begin, guide, sample
from generator.schedule import noise_levels
from generator.step_cache import StepCache

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One picture to be. Drafts of one batch agree in grid, steps and strength.

    grid: (rows, columns) of tokens. clean: latents [1, C, 2h, 2w] to start from; mask: [1, 1, 2h, 2w], 1 where they may
    change. strength: how much of the way from the picture to noise is gone first, above 0, at most 1.
    """

    prompt: str
    negative: str
    grid: tuple[int, int]
    steps: int
    guidance: float
    seed: int
    clean: Tensor | None = None
    mask: Tensor | None = None
    strength: float = 1.0
    progress: Callable[[int, int], None] | None = None
    cancelled: Callable[[], bool] | None = None

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Drafts with the same key can share a batch."""
        return self.grid, self.steps, self.strength


@torch.inference_mode()
def denoise(parts: Parts, drafts: Sequence[Draft], lora: str | None = None, step_cache: float = 0.0) -> list[Tensor | None]:
    """The latents [1, C, 2h, 2w] of each draft in float32; None if it was cancelled. lora: the one switched on.

    Each picture is what its draft alone would give. Prompts of different lengths do not touch each other, so nothing is
    padded; with a step cache, which looks at the batch as a whole, there may be one draft only.
    """
    first = drafts[0]
    if any(draft.batch_key != first.batch_key for draft in drafts) or (step_cache and len(drafts) > 1):
        raise ValueError("batch: its pictures must agree in size, steps and strength, and be one where steps are cached")
    is_guided = [draft.guidance > 1 and not parts.has_canvases for draft in drafts]
    if parts.has_canvases and any(draft.guidance > 1 for draft in drafts):
        log.info("guidance %s is not used: this checkpoint paints without", max(draft.guidance for draft in drafts))
    states = parts.read([draft.prompt for draft in drafts]
                        + [draft.negative for draft, guided in zip(drafts, is_guided, strict=True) if guided])
    house = parts.house(lora)
    told = [parts.ground(states[draft.prompt], draft.grid, draft.seed, find_area(draft), house) for draft in drafts]
    untold = [parts.ground(states[draft.negative], draft.grid, draft.seed) if guided else None
              for draft, guided in zip(drafts, is_guided, strict=True)]
    network = parts.transformer(lora)
    sigmas = noise_levels(first.steps, first.grid[0] * first.grid[1], parts.schedule)
    sigmas = sigmas[int(first.steps - first.steps * first.strength):]
    modulation = None if network.config.pooled_projection_dim else network.modulate(sigmas[:-1])
    cache = StepCache(step_cache) if step_cache else None

    def velocity(rows: list[int], tokens: Tensor, step: int) -> Tensor:
        found: Tensor
        guided = [place for place, row in enumerate(rows) if is_guided[row]]
        asked = [told[row] for row in rows] + [one for place in guided if (one := untold[rows[place]]) is not None]
        img = torch.cat([tokens, tokens[guided]]).to(parts.dtype)
        level = sigmas[step:step + 1] if modulation is None else modulation.at(step)
        if parts.options.compile == "graphs":
            torch.compiler.cudagraph_mark_step_begin()
        out = network(img, [one.states for one in asked], level, grid=first.grid, cache=cache,
                      shown=stack_shown(asked)).float()
        found, unguided = out[:len(rows)], out[len(rows):]
        if guided:
            scale = torch.tensor([drafts[rows[place]].guidance for place in guided], device=out.device).view(-1, 1, 1)
            found[guided] = guide(found[guided], unguided, scale)
        return found

    pictures = [_start(draft, float(sigmas[0]), network.config.out_channels, parts.device) for draft in drafts]
    return [None if tokens is None else unpack(tokens, first.grid) for tokens in sample(velocity, pictures, sigmas)]


def find_area(draft: Draft) -> Area | None:
    """The tokens around what a mask lets change, which is where a new subject goes; None without a mask."""
    if draft.mask is None or not bool((draft.mask > 0.5).any()):
        return None
    rows, columns = ((draft.mask[0, 0] > 0.5).any(axis).nonzero().flatten() // PATCH for axis in (1, 0))
    return Area(int(rows[0]), int(columns[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1)


def _start(draft: Draft, sigma: float, channels: int, device: torch.device) -> Trajectory:
    noise = draw_noise(draft.grid, channels, draft.seed).to(device)
    clean = None if draft.clean is None else pack(draft.clean.float()).to(device)
    keep = None
    if draft.mask is not None and clean is not None:
        keep = Keep(mask=pack(draft.mask.float().expand(-1, channels, -1, -1)).to(device), clean=clean)
    return Trajectory(start=begin(noise, sigma, clean), noise=noise, keep=keep, progress=draft.progress,
                      cancelled=draft.cancelled)
