"""Linear layers for inference on a CPU, their weights laid out once as oneDNN multiplies them fastest."""

import platform

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = tuple[str, list[float], str]
GELU: Activation = ("gelu", [], "tanh")
NOTHING: Activation = ("none", [], "")


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this processor can pack weights of a dtype: bfloat16 wants AVX-512 with BW, VL and DQ, or AVX-NE-CONVERT."""
    if dtype == torch.bfloat16 and platform.machine() == "x86_64":
        has = torch.cpu.get_capabilities()
        return bool(has.get("avx_ne_convert") or all(has.get(name) for name in ("avx512_bw", "avx512_vl", "avx512_dq")))
    return dtype in (torch.float32, torch.bfloat16)


class GeluLinear(nn.Linear):
    """A linear layer and GELU by its tanh form."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        return F.gelu(super().forward(input), approximate="tanh")


class PackedLinear(nn.Module):
    """What a linear layer computes, from packed weights. Packing at each call, as nn.Linear does, costs up to half of the time.

    Source: torch.ops.mkldnn, the operators that torch.compile puts in for linear layers on a CPU.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach()), requires_grad=False)
        self.bias = linear.bias
        self.after = GELU if isinstance(linear, GeluLinear) else NOTHING

    def multiply(self, input: Tensor, after: Activation) -> Tensor:
        """[..., in] to [..., out], then the activation `after`."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, *after)
        return out

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        return self.multiply(input, self.after)


def affine(layer: nn.Module, input: Tensor) -> Tensor:
    """The layer's product and bias alone, without its GELU."""
    if isinstance(layer, PackedLinear):
        return layer.multiply(input, NOTHING)
    assert isinstance(layer, nn.Linear)
    return F.linear(input, layer.weight, layer.bias)


def has_gelu(layer: nn.Module) -> bool:
    """Whether the layer ends in GELU."""
    return isinstance(layer, GeluLinear) or (isinstance(layer, PackedLinear) and layer.after == GELU)
