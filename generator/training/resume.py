"""Saving and resuming a training run: weights, optimiser, average and the count of steps, in one atomic file."""

import os
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from generator.training.average import WeightAverage


class Resumable(Protocol):
    """An optimiser, or several as one."""

    def state_dict(self) -> Any:
        """All that is needed to go on."""
        ...

    def load_state_dict(self, state: Any) -> None:
        """What `state_dict` gave."""
        ...


def save_state(path: Path, network: nn.Module, optimizer: Resumable, average: WeightAverage,
               step: int, spent_s: float) -> None:
    """Write a checkpoint next to `path` and move it into place, so that a kill never leaves half a file."""
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "average": average.weights,
             "updates": average.updates, "step": step, "spent_s": spent_s}
    torch.save(state, path.with_suffix(".partial"))
    os.replace(path.with_suffix(".partial"), path)


def load_state(path: Path, network: nn.Module, optimizer: Resumable, average: WeightAverage) -> tuple[int, float]:
    """(steps done, seconds spent) after restoring `path`, or (0, 0.0) where there is no checkpoint yet."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    average.weights, average.updates = state["average"], state["updates"]
    print(f"resumed at step {state['step']}", flush=True)
    return int(state["step"]), float(state["spent_s"])
