"""The parts of one checkpoint: transformer, autoencoder, text encoder, schedule. Loaded on first use, placed by the options."""

import gc
import logging
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from generator.checkpoint import Autoencoder, load_transformer, load_vae, read_transformer_config, read_vae_config
from generator.config import MiniVAEConfig, MMDiTConfig, QwenVAEConfig
from generator.errors import CheckpointError
from generator.grounding import Area, Grounded, ground
from generator.house import House, read_house
from generator.latents import PATCH, token_grid
from generator.lora import Switch, attach, check_fit, load_lora
from generator.mmdit import MMDiT
from generator.native import fit_canvas
from generator.options import ModelOptions
from generator.placement import weigh, work_bytes
from generator.precision import base_dtype
from generator.prior import NO_OFFSET
from generator.prompt_cache import PromptCache
from generator.qwen_text import DROPPED_TOKENS, TEMPLATE, load_qwen_reader
from generator.revision import INDEX_FILE, numerics, revision
from generator.schedule import ScheduleConfig
from generator.shards import PICKLES, Shards, read_json
from generator.text_encoder import load_prompt_reader

log = logging.getLogger(__name__)
COMPILE_MODES = {("blocks", False): None, ("blocks", True): "max-autotune-no-cudagraphs",
                 ("graphs", False): None, ("graphs", True): "max-autotune"}
"""By option and whether it is a GPU: of each block alone, which are all alike, so that one compilation serves them all."""
RECOMPILE_LIMIT = 64
TILE_MARGIN = 16
"""Latent positions; more than any halo."""
PROJECT = "FengmianPipeline"
PUBLISHED = ("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline")
"""Pipelines of diffusers whose checkpoints hold these very networks."""


class Reader(Protocol):
    """A text encoder."""

    def read(self, prompts: list[str]) -> list[Tensor]:
        """States [T, W] of each prompt."""
        ...


class Parts:
    """One checkpoint folder in the published layout: model_index.json, transformer/, vae/, text_encoder/, scheduler/.

    Raises CheckpointError for a folder of another pipeline.
    """

    def __init__(self, folder: Path, options: ModelOptions) -> None:
        self.folder, self.options = folder, options
        self.device = torch.device(options.device)
        self.text_device = torch.device(options.text_device or options.device)
        self.dtype = base_dtype(options.precision)
        self._switch = Switch()
        self._transformer: MMDiT | None = None
        self._reader: Reader | None = None
        if options.precision == "float32":
            torch.backends.cudnn.allow_tf32 = False  # convolutions on a GPU would be narrower than said
        self.pipeline: Any = read_json(folder / INDEX_FILE).get("_class_name")
        if self.pipeline != PROJECT and self.pipeline not in PUBLISHED:
            raise CheckpointError(f"{folder / INDEX_FILE}: _class_name is {self.pipeline!r}; this painter runs "
                                  f"{PROJECT}, {', '.join(PUBLISHED)}")

    @property
    def has_canvases(self) -> bool:
        """Whether pictures are painted on native canvases and then resampled, rather than painted at their very size."""
        return bool(self.pipeline == PROJECT and self.transformer_config.shown_rows)

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """(rows, columns) of the tokens that a picture of this size is painted with."""
        if self.has_canvases:
            columns, rows = fit_canvas(width, height)
            return rows, columns
        return token_grid(width, height, self.vae_config.spatial_factor)

    @property
    def _take_turns(self) -> bool:
        """Whether text encoder and transformer must not be in memory at once: on devices of their own they may."""
        return self.options.offload == "in_turn" and self.text_device == self.device

    @property
    def is_empty(self) -> bool:
        """Whether neither of the large networks is in memory."""
        return self._transformer is None and self._reader is None

    @property
    def to_load_bytes(self) -> int:
        """Weights that are not yet on the device and will be while a picture is sampled."""
        return 0 if self.is_loaded else weigh(self.folder / "transformer", self.options.precision)

    @property
    def is_loaded(self) -> bool:
        """Whether the transformer is in memory."""
        return self._transformer is not None

    def work_bytes(self, grid: tuple[int, int]) -> int:
        """Bytes that one picture of this grid takes while it is made."""
        width, tokens = self.transformer_config.width, grid[0] * grid[1]
        factor = self.vae_config.spatial_factor
        tile = (self.options.tile_px + 2 * TILE_MARGIN * factor) ** 2
        pixels = min(tokens * (factor * PATCH) ** 2, tile)
        return work_bytes(tokens, width, pixels, self.vae_config.full_size_width, self.options.precision)

    def transformer(self, lora: str | None = None) -> MMDiT:
        """The diffusion transformer, with the LoRA of that name switched on."""
        if self._transformer is None:
            if self._take_turns:
                self._drop_reader()
            self._transformer = self._load_transformer()
        self._switch.active = lora
        if self.has_canvases:
            house = self.house(lora)
            self._transformer.prior.offset = NO_OFFSET if house is None else house.offset
        return self._transformer

    def _load_transformer(self) -> MMDiT:
        options, folder = self.options, self.folder / "transformer"
        loras = [load_lora(each.file, each.weight) for each in options.loras]
        network = load_transformer(folder, self.device, options.precision, () if options.switch_loras else loras,
                                   is_compiled=options.compile != "off")
        if options.switch_loras and loras:
            shapes = Shards.in_folder(folder).shapes
            for lora in loras:
                check_fit(lora, shapes)
            self._switch = attach(network, loras)
        if options.compile != "off":  # one more for every few sizes and batches, and never silently none
            torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT
        for block in network.blocks if options.compile != "off" else ():
            block.compile(mode=COMPILE_MODES[options.compile, self.device.type == "cuda"])
        return network

    @cached_property
    def transformer_config(self) -> MMDiTConfig:
        """The sizes of the transformer, which is not loaded for them."""
        return read_transformer_config(self.folder / "transformer")

    @cached_property
    def vae_config(self) -> QwenVAEConfig | MiniVAEConfig:
        """The sizes of the autoencoder, which is not loaded for them."""
        return read_vae_config(self.folder / "vae")

    @cached_property
    def vae(self) -> Autoencoder:
        """The autoencoder."""
        return load_vae(self.folder / "vae", self.device, self.options.precision)

    @cached_property
    def schedule(self) -> ScheduleConfig:
        """How the checkpoint wants its noise levels bent."""
        if self.options.shift is not None:
            return ScheduleConfig.constant(self.options.shift)
        file = self.folder / "scheduler" / "scheduler_config.json"
        try:
            return ScheduleConfig.read(read_json(file))
        except ValueError as exc:
            raise CheckpointError(f"{file}: {exc}") from exc

    @cached_property
    def _prompts(self) -> PromptCache:
        parts = [self.pipeline, TEMPLATE, str(DROPPED_TOKENS), numerics(self.options.precision, self.text_device.type)]
        parts += [revision(self.folder / name) for name in ("text_encoder", "tokenizer") if (self.folder / name).is_dir()]
        return PromptCache("\0".join(parts), self.options.prompt_cache)

    def read(self, prompts: list[str]) -> dict[str, Tensor]:
        """States [T, W] of every different prompt, on the transformer's device. The encoder is loaded only for new ones."""
        found = {prompt: self._prompts.find(prompt) for prompt in dict.fromkeys(prompts)}
        missing = [prompt for prompt, states in found.items() if states is None]
        if missing:
            for prompt, states in zip(missing, self._load_reader().read(missing), strict=True):
                self._prompts.keep(prompt, states)
                found[prompt] = states
        return {prompt: states.to(self.device, self.dtype) for prompt, states in found.items() if states is not None}

    def ground(self, states: Tensor, grid: tuple[int, int], seed: int, area: Area | None = None,
               house: House | None = None) -> Grounded:
        """What the transformer is told for a picture of this grid; published networks are told the states and nothing else."""
        return ground(states, grid, seed, area, house) if self.has_canvases else Grounded(states)

    def house(self, lora: str | None = None) -> House | None:
        """The look that the LoRA of that name carries, or, where LoRAs are merged, the last of them that carries one. Its palette
        and choices are taken whole, whatever its weight above 0.
        """
        acting = [each.name for each in self.options.loras if each.name == lora or not self.options.switch_loras]
        return next((house for name in reversed(acting) if (house := self._houses[name]) is not None), None)

    @cached_property
    def _houses(self) -> dict[str, House | None]:
        houses: dict[str, House | None] = {}
        for each in self.options.loras:
            house = read_house(each.file) if self.has_canvases and each.weight > 0 and each.file.suffix not in PICKLES else None
            houses[each.name] = house and replace(house, offset=tuple(min(each.weight, 1.0) * value for value in house.offset))
        return houses

    def _load_reader(self) -> Reader:
        if self._reader is None:
            if self._take_turns and self._transformer is not None:
                log.info("dropping the transformer from %s to make room for the text encoder", self.device)
                self._transformer = None
                self._free()
            folder, options = self.folder / "text_encoder", self.options
            if self.pipeline == PROJECT:
                self._reader = load_prompt_reader(folder, self.text_device, base_dtype(options.precision))
            else:
                self._reader = load_qwen_reader(folder, self.folder / "tokenizer", self.text_device, options.precision)
        return self._reader

    def _drop_reader(self) -> None:
        self._reader = None
        self._free()

    def _free(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
