"""Muon against torch's own, and what the two optimizers together learn."""

import pytest
import torch
from torch import nn

from generator.training.optimizers import Muon, Optimizers, orthogonalise


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (8, 8)])
def test_muon_is_torch_s_muon(shape):
    rng = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=rng)
    own, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    pair = Muon([own], lr=0.02, weight_decay=0.1), torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, ns_steps=4,
                                                                    adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        own.grad = torch.randn(shape, generator=rng)
        theirs.grad = own.grad.clone()
        for optimizer in pair:
            optimizer.step()
    assert (own - start).abs().max() > 0.02
    torch.testing.assert_close(own, theirs, atol=2e-3, rtol=0)  # torch's multiplies in bfloat16


def test_an_orthogonal_step_has_singular_values_near_one():
    step = orthogonalise(torch.randn(12, 30, generator=torch.Generator().manual_seed(1)))
    assert step.shape == (12, 30)
    assert ((torch.linalg.svdvals(step) - 1).abs() < 0.5).all()


def test_matrices_go_to_muon_and_frozen_weights_nowhere():
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    network[1].requires_grad_(False)
    adam, muon = Optimizers(network, 0.1, muon="0.").parts
    assert [parameter.shape for group in muon.param_groups for parameter in group["params"]] == [torch.Size([4, 4])]
    assert [parameter.shape for group in adam.param_groups for parameter in group["params"]] == [torch.Size([4])]
