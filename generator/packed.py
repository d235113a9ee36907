"""Linear layers for inference on a CPU, their weights laid out once as oneDNN multiplies them fastest."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PACKED_DTYPES = (torch.float32, torch.bfloat16)


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
        self.after: tuple[str, list[float], str] = ("gelu", [], "tanh") if isinstance(linear, GeluLinear) else ("none", [], "")

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, *self.after)
        return out


def pack_linears(network: nn.Module) -> None:
    """Pack every linear layer of `network` that lies on the CPU, one after another, so that no two copies of all exist.

    Where torch comes without oneDNN, the layers stay as they are.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for name, child in network.named_children():
        if isinstance(child, nn.Linear) and child.weight.device.type == "cpu" and child.weight.dtype in PACKED_DTYPES:
            setattr(network, name, PackedLinear(child))
        else:
            pack_linears(child)
