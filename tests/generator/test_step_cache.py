"""Step caching: off it is exact; on it computes less, and more with a tighter bound."""

import pytest
import torch

from generator.checkpoint import load_transformer
from generator.step_cache import StepCache


def walk(network, cache, steps=12):
    """Velocities along nearly still tokens."""
    generator = torch.Generator().manual_seed(0)
    img, txt = torch.randn(1, 24, 16, generator=generator), torch.randn(1, 6, 32, generator=generator)
    found = []
    with torch.inference_mode():
        for step in range(steps):
            found.append(network(img + 0.003 * step, txt, torch.tensor([0.5]), grid=(4, 6), cache=cache))
    return torch.stack(found)


@pytest.fixture(scope="module")
def network(pipeline_folder):
    return load_transformer(pipeline_folder / "transformer")


def test_a_bound_that_nothing_meets_changes_nothing(network):
    cache = StepCache(1e-9)
    assert torch.equal(walk(network, cache), walk(network, None))
    assert (cache.reused, cache.computed) == (0, 12)


def test_a_looser_bound_computes_less_and_strays_further(network):
    exact, strays, computed = walk(network, None), [], []
    for bound in (0.01, 0.05):
        cache = StepCache(bound)
        strays.append(float((walk(network, cache) - exact).abs().mean()))
        computed.append(cache.computed)
        assert cache.reused + cache.computed == 12
    assert computed[1] < computed[0] < 12
    assert 0 < strays[0] < strays[1]


@pytest.mark.parametrize("bound", [0, 1, -1])
def test_a_bound_that_makes_no_sense_is_refused(bound):
    with pytest.raises(ValueError, match="step_cache"):
        StepCache(bound)
