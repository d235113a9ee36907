"""A LoRA in training: low-rank pairs beside the frozen layers of a loaded transformer, and the file they are written to.

The file is diffusers' spelling, which generator.lora reads too.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from generator.house import HOUSE_KEY, House
from generator.lora import METADATA
from generator.mmdit import MMDiT
from generator.names import TRANSFORMER_NAMES, published_names
from generator.packed import affine, has_gelu

LAYERS = ("qkv", "out", "mlp_in", "mlp_out")
"""Of each stream of each block."""
MAKER, MADE_BY = "made_by", "fengmian train brand"
"""In the header of every file that we write."""


class Side(nn.Module):
    """The pairs beside one layer, one for each published layer that is stacked in it. modules: the published names."""

    def __init__(self, layer: nn.Linear, modules: Sequence[str], rank: int, rng: torch.Generator) -> None:
        super().__init__()
        self.modules_beside, count = tuple(modules), len(modules)
        spread = layer.in_features**-0.5
        down = torch.randn(count, rank, layer.in_features, generator=rng) * spread
        self.down = nn.Parameter(down.to(layer.weight.device))                             # [N, R, in], float32
        self.up = nn.Parameter(torch.zeros(count, layer.out_features // count, rank, device=layer.weight.device))

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        down, up = self.down.to(input.dtype), self.up.to(input.dtype)
        low = (input @ down.flatten(0, 1).T).unflatten(-1, down.shape[:2])                 # [..., N, R]
        return torch.cat([part @ matrix.T for part, matrix in zip(low.unbind(-2), up, strict=True)], dim=-1)


class LayerBesideSide(nn.Module):
    """A frozen layer and its side, as one layer."""

    def __init__(self, base: nn.Linear, side: Side) -> None:
        super().__init__()
        self.base, self.side = base, side

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        out = affine(self.base, input) + self.side(input)
        return F.gelu(out, approximate="tanh") if has_gelu(self.base) else out


def attach_sides(network: MMDiT, rank: int, rng: torch.Generator) -> nn.ModuleList:
    """Sides beside every attention projection and MLP of both streams, which change nothing yet. The network is frozen.

    Its layers must be plain ones, not packed: nothing flows back through those.
    """
    network.requires_grad_(False)
    sides = nn.ModuleList()
    for number, _ in enumerate(network.blocks):
        for name in (f"blocks.{number}.{stream}.{leaf}" for stream in ("img", "txt") for leaf in LAYERS):
            layer = network.get_submodule(name)
            assert isinstance(layer, nn.Linear), f"{name} is packed: load the transformer with is_compiled"
            modules = [weight.removesuffix(".weight") for weight in published_names(f"{name}.weight", TRANSFORMER_NAMES)]
            side = Side(layer, modules, rank, rng)
            parent, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(parent), leaf, LayerBesideSide(layer, side))
            sides.append(side)
    return sides


def write_sides(sides: nn.ModuleList, house: House | None = None) -> bytes:
    """The sides and the house they were trained in as a safetensors file, in float32; alpha is the rank."""
    tensors: dict[str, Tensor] = {}
    for side in sides:
        assert isinstance(side, Side)
        for module, down, up in zip(side.modules_beside, side.down.detach(), side.up.detach(), strict=True):
            tensors[f"transformer.{module}.lora_A.weight"] = down.cpu().contiguous()
            tensors[f"transformer.{module}.lora_B.weight"] = up.cpu().contiguous()
    modules = [name.removeprefix("transformer.").removesuffix(".lora_A.weight") for name in tensors if "lora_A" in name]
    rank = next(iter(tensors.values())).shape[0]
    told = {"r": rank, "lora_alpha": rank, "target_modules": modules, "peft_type": "LORA", "bias": "none", "lora_dropout": 0.0}
    header = {"format": "pt", MAKER: MADE_BY,
              METADATA: json.dumps({f"transformer.{name}": value for name, value in told.items()}, sort_keys=True)}
    return save(tensors, metadata=header if house is None else {**header, HOUSE_KEY: house.to_json()})


def is_ours(file: Path) -> bool:
    """Whether `file` is a LoRA that was written here, and so may be replaced by another."""
    try:
        with safe_open(file, framework="np") as shard:
            return (shard.metadata() or {}).get(MAKER) == MADE_BY
    except (SafetensorError, OSError):
        return False
