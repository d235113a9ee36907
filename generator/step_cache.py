"""Step caching: when the first block hardly changes from one step to the next, what the other blocks add is used again.

Source: the first-block cache of ParaAttention (2024), after TeaCache (Liu et al. 2024). Inexact; off unless set.
"""

from torch import Tensor


class StepCache:
    """What the last fully computed step added to the image tokens. One per picture and run of the sampler.

    bound: largest relative change (mean absolute) of the first block's addition at which the rest is used again.
    """

    def __init__(self, bound: float) -> None:
        if not 0 < bound < 1:
            raise ValueError(f"step_cache: {bound} is not between 0 and 1")
        self.bound, self.reused, self.computed = bound, 0, 0
        self._first: Tensor | None = None
        self._rest: Tensor | None = None

    def recall(self, first: Tensor) -> Tensor | None:
        """What the other blocks would add, [B, I, D], if the first one added `first`; None: compute them, then `keep`."""
        last = self._first
        if last is not None and self._rest is not None and last.shape == first.shape:
            change = (first - last).abs().mean() / last.abs().mean()
            if bool(change < self.bound):
                self.reused += 1
                return self._rest
        self._first = first
        return None

    def keep(self, rest: Tensor) -> None:
        """Remember what the other blocks added."""
        self.computed += 1
        self._rest = rest
