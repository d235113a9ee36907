"""Schedules: which noise levels a flow-matching sampler visits. Source: Esser et al. 2024 (SD3), section 5.3.2."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How far a schedule is bent towards high noise. Field names are those of the published scheduler_config.json."""

    base_shift: float = 0.5
    max_shift: float = 0.9
    base_image_seq_len: int = 256
    max_image_seq_len: int = 8192
    shift_terminal: float | None = 0.02

    def mu(self, tokens: int) -> float:
        """The logarithm of the shift, linear in the number of image tokens."""
        slope = (self.max_shift - self.base_shift) / (self.max_image_seq_len - self.base_image_seq_len)
        return self.base_shift + slope * (tokens - self.base_image_seq_len)

    @classmethod
    def read(cls, content: dict[str, Any]) -> "ScheduleConfig":
        """From a published scheduler_config.json, with the reference's values for what it leaves out.

        Raises ValueError for a schedule of another kind.
        """
        unknown = [f"{name} {content[name]!r}" for name, value in SINGLE_VALUES.items() if content.get(name, value) != value]
        if unknown:
            raise ValueError(f"{unknown[0]}: this schedule is not known")
        values: dict[str, Any] = {name: content.get(name, default) for name, default in REFERENCE.items()}
        for name, value in values.items():
            if isinstance(value, bool) or not (isinstance(value, int | float) or (name == "shift_terminal" and value is None)):
                raise ValueError(f"{name} {value!r} is not a number")
        shift = values.pop("shift")
        if not content.get("use_dynamic_shifting", False):
            return replace(cls.constant(shift), shift_terminal=values["shift_terminal"])
        if values["max_image_seq_len"] <= values["base_image_seq_len"]:
            raise ValueError("max_image_seq_len must be larger than base_image_seq_len")
        return cls(**values)

    @classmethod
    def constant(cls, shift: float) -> "ScheduleConfig":
        """The same shift, e to the mu, for every size."""
        return cls(base_shift=math.log(shift), max_shift=math.log(shift), shift_terminal=None)


SINGLE_VALUES = {"time_shift_type": "exponential", "use_karras_sigmas": False, "use_exponential_sigmas": False,
                 "use_beta_sigmas": False, "invert_sigmas": False, "stochastic_sampling": False, "num_train_timesteps": 1000}
"""Published settings with a single value that we know."""
REFERENCE: dict[str, float | None] = {"base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096,
                                      "shift_terminal": None, "shift": 1.0}
"""What FlowMatchEulerDiscreteScheduler of diffusers takes where nothing is said."""
QWEN_SCHEDULE = ScheduleConfig()


def noise_levels(steps: int, tokens: int, config: ScheduleConfig) -> Tensor:
    """Sigmas [steps + 1] in float32, falling from 1 to exactly 0."""
    if steps < 1:
        raise ValueError(f"steps: {steps} is less than 1")
    sigmas = torch.linspace(1.0, 1.0 / steps, steps, dtype=torch.float64)
    sigmas = shift_schedule(sigmas, config.mu(tokens))
    if config.shift_terminal is not None and steps > 1:
        sigmas = stretch_schedule(sigmas, config.shift_terminal)
    return torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)]).float()


def shift_schedule(sigmas: Tensor, mu: float) -> Tensor:
    """Bend [N] falling sigmas in (0, 1] towards high noise, as large pictures need. mu: log of the shift; 0 changes nothing."""
    return 1 / (1 + math.exp(-mu) * (1 / sigmas - 1))


def stretch_schedule(sigmas: Tensor, terminal: float) -> Tensor:
    """Stretch [N] sigmas so that the last one is `terminal`; the first stays where it is if it is 1."""
    rest = 1 - sigmas
    return 1 - rest * (1 - terminal) / rest[-1]
