"""LoRA files: low-rank additions to a published transformer, merged into its weights or switched from picture to picture.

Both published spellings are read: diffusers' (`transformer.….lora_A.weight`) and Lightning's (`….lora_down.weight`, `.alpha`).
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from generator.errors import CheckpointError
from generator.names import TRANSFORMER_NAMES, published_names
from generator.packed import PackedLinear, affine, has_gelu
from generator.shards import PICKLES, Shards

METADATA = "lora_adapter_metadata"
KEY = re.compile(r"(?:transformer\.|diffusion_model\.)?(.+?)\.(?:lora_(A|B|down|up)(?:\.default)?\.weight|(alpha))")


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """down [R, in], up [out, R]; scale: alpha / R."""

    down: Tensor
    up: Tensor
    scale: float

    def delta(self) -> Tensor:
        """What it adds to the weight, [out, in], in float32."""
        return self.up.float() @ self.down.float() * self.scale


@dataclass(frozen=True, kw_only=True)
class Lora:
    """One file. parts: by published module name ("transformer_blocks.0.attn.to_q"). weight: how strongly it acts."""

    name: str
    parts: dict[str, LowRank]
    weight: float = 1.0


def load_lora(file: str | Path, weight: float = 1.0) -> Lora:
    """Read a LoRA file. Raises CheckpointError naming the file and the rule."""
    file = Path(file)
    if file.suffix in PICKLES:
        raise CheckpointError(f"{file}: a pickle, and pickles can run code: convert it to safetensors")
    shards = Shards([file])
    found: dict[str, dict[str, Tensor]] = {}
    for key in shards.shapes:
        match = KEY.fullmatch(key)
        if not match:
            raise CheckpointError(f"{file}: tensor {key} is not part of a LoRA for this network")
        module, side, alpha = match.groups()
        tensor = shards.read(key).clone()
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{file}: tensor {key} holds values that are not finite")
        found.setdefault(module, {})[alpha or {"A": "down", "B": "up"}.get(side, side)] = tensor
    told = _read_metadata(file)
    parts = {module: _pair(file, module, sides, told) for module, sides in found.items()}
    if not parts:
        raise CheckpointError(f"{file}: holds no LoRA tensors")
    return Lora(name=file.stem, parts=parts, weight=weight)


def _read_metadata(file: Path) -> dict[str, Any]:
    """What diffusers wrote of the training into the header: alpha, and how it is meant. Raises CheckpointError."""
    try:
        with safe_open(file, framework="np") as shard:
            told = json.loads((shard.metadata() or {}).get(METADATA, "{}"))
    except (SafetensorError, OSError, ValueError) as exc:
        raise CheckpointError(f"{file}: its metadata {METADATA} is not readable: {exc}") from exc
    if not isinstance(told, dict):
        raise CheckpointError(f"{file}: its metadata {METADATA} is no JSON object")
    told = {name.removeprefix("transformer."): value for name, value in told.items()}
    for name in ("use_dora", "lora_bias"):
        if told.get(name):
            raise CheckpointError(f"{file}: it was made with {name}, which this network does not know")
    return told


def _scale(told: dict[str, Any], module: str, rank: int) -> float:
    """Alpha over the rank; alpha of the first pattern that the module's name ends with, else of all (as PEFT reads them)."""
    patterns = told.get("alpha_pattern") or {}
    alpha = next((value for pattern, value in patterns.items() if re.fullmatch(rf"(.*\.)?({pattern})", module)),
                 told.get("lora_alpha"))
    if alpha is None:
        return 1.0
    return float(alpha) / (rank**0.5 if told.get("use_rslora") else rank)


def _pair(file: Path, module: str, sides: dict[str, Tensor], told: dict[str, Any]) -> LowRank:
    down, up = sides.get("down"), sides.get("up")
    if down is None or up is None or down.ndim != 2 or up.ndim != 2 or up.shape[1] != down.shape[0]:
        raise CheckpointError(f"{file}: {module} must have two matrices [R, in] and [out, R]")
    rank = down.shape[0]
    scale = float(sides["alpha"]) / rank if "alpha" in sides else _scale(told, module, rank)
    return LowRank(down=down, up=up, scale=scale)


def check_fit(lora: Lora, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise CheckpointError where `lora` was made for another network. shapes: of the published tensors."""
    for module, part in lora.parts.items():
        wanted = shapes.get(f"{module}.weight")
        made_for = (part.up.shape[0], part.down.shape[1])
        if wanted != made_for:
            is_there = "does not have it" if wanted is None else f"has {list(wanted)} there"
            raise CheckpointError(f"LoRA {lora.name}: {module} is for a layer of {list(made_for)}; this network {is_there}")


def merge_into(tensor: Tensor, published: str, loras: Iterable[Lora]) -> Tensor:
    """The published weight with what every one of `loras` adds to it."""
    for lora in loras:
        if part := lora.parts.get(published.removesuffix(".weight")):
            tensor = (tensor.float() + lora.weight * part.delta().to(tensor.device)).to(tensor.dtype)
    return tensor


class Switch:
    """Which of the attached LoRAs acts now; None: none of them."""

    def __init__(self) -> None:
        self.active: str | None = None


class SwitchedLinear(nn.Module):
    """A linear layer, and beside it what each attached LoRA adds. The layer's own weights stay as they are."""

    def __init__(self, base: nn.Module, switch: Switch) -> None:
        super().__init__()
        self.base, self.switch = base, switch
        self.sides: dict[str, list[tuple[Tensor, Tensor, int]]] = {}

    def add(self, lora: Lora, part: LowRank, offset: int) -> None:
        """One more part, whose output starts at `offset` of ours."""
        like: Any = self.base.bias
        side = (part.down.to(like), (part.up.float() * part.scale * lora.weight).to(like), offset)
        self.sides.setdefault(lora.name, []).append(side)

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        sides = self.sides.get(self.switch.active or "", [])
        out: Tensor = affine(self.base, input) if sides else self.base(input)
        for down, up, offset in sides:
            out[..., offset:offset + len(up)] += input @ down.T @ up.T
        return F.gelu(out, approximate="tanh") if sides and has_gelu(self.base) else out


def attach(network: nn.Module, loras: Iterable[Lora]) -> Switch:
    """Put `loras` beside the layers of a loaded transformer; the switch says which one acts."""
    switch = Switch()
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear | PackedLinear)]
    for name, layer in layers:
        modules = [weight.removesuffix(".weight") for weight in published_names(f"{name}.weight", TRANSFORMER_NAMES)]
        switched = SwitchedLinear(layer, switch)
        for lora in loras:
            for number, module in enumerate(modules):
                if part := lora.parts.get(module):
                    switched.add(lora, part, number * len(part.up))
        if switched.sides:
            parent, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(parent), leaf, switched)
    return switch
