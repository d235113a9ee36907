"""Fine-tuning against the scorer: the reward pulls, the frozen reference holds, and the prior stays."""

import copy
from random import Random

import pytest
import torch

from generator.config import MiniVAEConfig
from generator.evaluation.aesthetic import Scorer
from generator.mini_vae import MiniVAE
from generator.mmdit import MMDiT
from generator.studio.scene import sample_scene
from generator.training.reward import HELD, LIKED, choose_part, reward_loss, window_of
from generator.training.smoke import CONFIG
from generator.training.train_mmdit import Shard, tell

GRID = (10, 20)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MMDiT(CONFIG)


@pytest.fixture(scope="module")
def shard():
    told = tell([sample_scene(Random(seed)) for seed in range(4)], GRID)
    return Shard(tokens=torch.randn(4, 200, 128), told=told, grid=GRID, seen=None)


@pytest.fixture(scope="module")
def vae():
    config = MiniVAEConfig(latents_mean=(0.0,) * 32, latents_std=(1.0,) * 32)
    return MiniVAE(config).requires_grad_(False)


def test_the_part_that_is_scored_lies_in_the_window(shard):
    window = window_of(shard)
    assert (window.rows, window.columns) == GRID
    for seed in range(20):
        part = choose_part(window, Random(seed))
        assert len(part) == 36
        assert 0 <= int(part.min()) <= int(part.max()) < 200


def test_the_reference_holds_only_a_network_that_has_moved(network, shard, vae):
    scorer = Scorer().eval().requires_grad_(False)
    moved = copy.deepcopy(network)
    with torch.no_grad():
        moved.out.bias += 3
    torch.manual_seed(1)
    still, reward = reward_loss(network, network, scorer, vae, shard, window_of(shard), Random(0))
    assert float(still.detach()) == pytest.approx(LIKED * float(torch.nn.functional.softplus(torch.tensor(-reward))), rel=0.2)
    torch.manual_seed(1)
    held, _ = reward_loss(moved, network, scorer, vae, shard, window_of(shard), Random(0))
    assert float((held - still).detach()) > 0.01 * HELD


def test_the_reward_reaches_the_network_and_nothing_else(network, shard, vae):
    scorer = Scorer().eval().requires_grad_(False)
    network.prior.requires_grad_(False)
    loss, _ = reward_loss(network, copy.deepcopy(network), scorer, vae, shard, window_of(shard), Random(0))
    loss.backward()
    assert network.out.weight.grad is not None
    assert all(parameter.grad is None for part in (network.prior, scorer, vae) for parameter in part.parameters())
