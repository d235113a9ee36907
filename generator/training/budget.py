"""Budget: how long a training run may take, in wall time, or in steps where two runs must do the same work."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Budget:
    """minutes of wall time, or steps; exactly one. Raises ValueError."""

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError(f"budget: minutes {self.minutes}, steps {self.steps}; give exactly one")
        if min(value for value in (self.minutes, self.steps) if value is not None) <= 0:
            raise ValueError(f"budget: {self.steps if self.minutes is None else self.minutes} is not above 0")

    def share(self, step: int, spent_s: float) -> float:
        """How much of it is spent after so many steps and seconds; 1 and more: all."""
        return step / self.steps if self.steps is not None else spent_s / (60 * (self.minutes or 1))
