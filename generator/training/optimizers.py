"""Optimizers: Muon and AdamW as one."""

import torch
from torch import nn

TABLE_RATE = 4.0
"""Learning rate of embeddings over that of the rest: a row moves only when its word is there."""


class Optimizers:
    """Muon for the matrices of the blocks (Jordan et al. 2024), AdamW for the rest; or AdamW for all. Used as one."""

    def __init__(self, network: nn.Module, rate: float, *, muon: str | None, tables: tuple[str, ...] = ()) -> None:
        """muon: how the names of the matrices begin that it is for; None: no matrix. tables: how those begin that are looked
        up in, beside embeddings.
        """
        matrices = {id(parameter): parameter for name, parameter in network.named_parameters()
                    if muon is not None and name.startswith(muon) and parameter.ndim == 2 and "modulation" not in name}
        rest = [parameter for parameter in network.parameters() if id(parameter) not in matrices]
        looked_up = {id(layer.weight) for layer in network.modules() if isinstance(layer, nn.Embedding)}
        looked_up |= {id(parameter) for name, parameter in network.named_parameters() if name.startswith(tables)}
        self.parts: list[torch.optim.Optimizer] = [torch.optim.AdamW(
            [{"params": [parameter for parameter in rest if id(parameter) not in looked_up], "scale": 1.0},
             {"params": [parameter for parameter in rest if id(parameter) in looked_up], "scale": TABLE_RATE}],
            lr=rate, betas=(0.9, 0.95), weight_decay=0.01)]
        if matrices:
            self.parts.append(torch.optim.Muon(list(matrices.values()), lr=rate, weight_decay=0.01,
                                               adjust_lr_fn="match_rms_adamw", ns_steps=4))

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
