"""ModelOptions: how a checkpoint is run. Free of torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["float32", "bfloat16", "float8"]


@dataclass(frozen=True, kw_only=True)
class LoraFile:
    """A LoRA and how strongly it acts. Known by its file's name without the suffix."""

    file: Path
    weight: float = 1.0

    @property
    def name(self) -> str:
        """As it is asked for."""
        return self.file.stem


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Where and how the networks compute. Raises ValueError naming the option and the rule.

    text_device: of the text encoder; empty: `device`. offload "in_turn": text encoder and transformer are never in memory at
    once. loras: merged into the weights, or, with switch_loras, at hand and chosen by each request's checkpoint. shift:
    e to the mu of the schedule whatever the size, as Lightning wants 3; None: the checkpoint's own. step_cache: see
    StepCache; 0: exact. prompt_cache: folder that keeps what the text encoder said.
    compile: the transformer's blocks, by a C++ compiler on the CPU; graphs: with CUDA graphs.
    tile_px: larger pictures are decoded in tiles of this side.
    """

    device: str = "cpu"
    text_device: str = ""
    precision: Precision = "float32"
    offload: Literal["none", "in_turn"] = "none"
    loras: tuple[LoraFile, ...] = ()
    switch_loras: bool = False
    shift: float | None = None
    step_cache: float = 0.0
    compile: Literal["off", "blocks", "graphs"] = "off"
    max_batch: int = 4
    tile_px: int = 2048
    prompt_cache: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.step_cache < 1:
            raise ValueError(f"step_cache: {self.step_cache} is not from 0 to below 1")
        if self.shift is not None and not 0.1 <= self.shift <= 20:
            raise ValueError(f"shift: {self.shift} is not from 0.1 to 20")
        if not 1 <= self.max_batch <= 64:
            raise ValueError(f"max_batch: {self.max_batch} is not from 1 to 64")
        if not 256 <= self.tile_px <= 16384:
            raise ValueError(f"tile_px: {self.tile_px} is not from 256 to 16384")
        names = [lora.name for lora in self.loras]
        if len(set(names)) < len(names):
            raise ValueError(f"loras: two files have one name among {names}")
