"""Optimizers: Muon and AdamW as one."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from generator.training.narrow import has_bfloat16

TABLE_RATE = 4.0
"""Learning rate of embeddings over that of the rest: a row moves only when its word is there."""


MOMENTUM = 0.95
NEWTON_STEPS = 4
NEWTON = (3.4445, -4.775, 2.0315)
"""Coefficients of the quintic iteration of Jordan et al. 2024."""


@torch.no_grad()
def orthogonalise(matrix: Tensor) -> Tensor:
    """The matrix [M, N] with all its singular values near 1, by Newton-Schulz steps (Jordan et al. 2024)."""
    x = matrix.to(torch.bfloat16 if has_bfloat16() else torch.float32)
    x = x.T if len(matrix) > matrix.shape[1] else x
    x = x / (x.norm() + 1e-7)
    first, second, third = NEWTON
    for _ in range(NEWTON_STEPS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=second, alpha=third), x, beta=first)
    return (x.T if len(matrix) > matrix.shape[1] else x).to(matrix)


class Muon(torch.optim.Optimizer):
    """Momentum whose step is orthogonal (Jordan et al. 2024), as large as AdamW's would be (Liu et al. 2025). torch.optim.Muon
    always multiplies in bfloat16, which on processors without it takes thirty times as long.
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                momentum = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 1 - MOMENTUM)
                step = orthogonalise(matrix.grad.lerp(momentum, MOMENTUM))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.sub_(step, alpha=group["lr"] * 0.2 * max(matrix.shape) ** 0.5)


class Optimizers:
    """Muon for the matrices of the blocks (Jordan et al. 2024), AdamW for the rest; or AdamW for all. Used as one."""

    def __init__(self, network: nn.Module, rate: float, *, muon: str | None) -> None:
        """muon: how the names of the matrices begin that it is for; None: no matrix."""
        matrices = {id(parameter): parameter for name, parameter in network.named_parameters()
                    if muon is not None and name.startswith(muon) and parameter.ndim == 2 and "modulation" not in name}
        rest = [parameter for parameter in network.parameters() if id(parameter) not in matrices and parameter.requires_grad]
        looked_up = {id(layer.weight) for layer in network.modules() if isinstance(layer, nn.Embedding)}
        self.parts: list[torch.optim.Optimizer] = [torch.optim.AdamW(
            [{"params": [parameter for parameter in rest if id(parameter) not in looked_up], "scale": 1.0},
             {"params": [parameter for parameter in rest if id(parameter) in looked_up], "scale": TABLE_RATE}],
            lr=rate, betas=(0.9, 0.95), weight_decay=0.01)]
        if matrices:
            self.parts.append(Muon(matrices.values(), lr=rate, weight_decay=0.01))

    def set_rate(self, rate: float) -> None:
        """The learning rate of the next step."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group.get("scale", 1.0)

    def step(self) -> None:
        """Move the weights, and forget the gradients."""
        for part in self.parts:
            part.step()
            part.zero_grad()

    def state_dict(self) -> list[dict[str, object]]:
        """Of both parts."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state: list[dict[str, object]]) -> None:
        """What `state_dict` gave."""
        for part, own in zip(self.parts, state, strict=True):
            part.load_state_dict(own)
