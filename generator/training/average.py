"""WeightAverage: an exponential moving average of a network's weights, which samples better than the last step."""

import torch
from torch import Tensor, nn


class WeightAverage:
    """Follows a network's parameters with `decay` a step; a young average follows faster."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.weights: dict[str, Tensor] = {name: value.detach().clone() for name, value in network.named_parameters()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move a step towards the network's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        parameters = dict(network.named_parameters())
        torch._foreach_lerp_(list(self.weights.values()), [parameters[name].detach() for name in self.weights], 1 - decay)

    @torch.no_grad()
    def copy_to(self, network: nn.Module) -> None:
        """Put the average into the network."""
        for name, parameter in network.named_parameters():
            parameter.copy_(self.weights[name])
