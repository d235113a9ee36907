"""The prior: what every token is expected to be, and what follows from it for noisy tokens."""

from dataclasses import replace
from random import Random

import pytest
import torch

from generator.config import TINY
from generator.mmdit import MMDiT
from generator.prior import Belief, Prior
from generator.scene_code import CHOICES, COLOURS, GROUND_STEPS, MOOD, SHOWN_ROWS, WIDTH, code_scenes, read_mood
from generator.training.fit_prior import fit_prior, measure_prior
from generator.training.train_mmdit import Shard, Told

CONFIG = replace(TINY, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, shown_rows=(33, 20, 30), shown_ranks=(4, 4, 8))


@pytest.fixture
def prior():
    torch.manual_seed(0)
    return Prior(CONFIG).eval()


def test_where_the_prior_is_sure_the_velocity_is_the_very_noise():
    clean, noise, sigma = torch.randn(2, 5, 16), torch.randn(2, 5, 16), torch.tensor([0.3, 1.0])
    met = Belief(clean, torch.full_like(clean, 1e-6)).meet(torch.lerp(clean, noise, sigma.view(-1, 1, 1)), sigma)
    torch.testing.assert_close(met.velocity, noise - clean, atol=1e-3, rtol=0)
    assert met.left.max() < 0.01


def test_the_velocity_is_the_mean_of_all_that_fit_and_left_is_how_far_they_spread():
    """Against a great many draws of latents and noise that meet in nearly the same noisy value."""
    rng = torch.Generator().manual_seed(0)
    mean, variance, sigma = 0.7, 0.5, 0.6
    clean = mean + variance**0.5 * torch.randn(2_000_000, generator=rng)
    noise = torch.randn(2_000_000, generator=rng)
    noisy = (1 - sigma) * clean + sigma * noise
    near = (noisy - 0.9).abs() < 0.01
    one = torch.ones(1, 1, 1)
    met = Belief(mean * one, variance * one).meet(0.9 * one, torch.tensor([sigma]))
    assert float(met.velocity) == pytest.approx(float((noise - clean)[near].mean()), abs=0.02)
    assert float(met.left) == pytest.approx(float((noise - clean)[near].std()), abs=0.02)
    assert float(met.whitened) == pytest.approx(float((0.9 - noisy.mean()) / noisy.std()), abs=0.01)


def test_rows_of_nothing_add_nothing(prior):
    pooled = torch.rand(1, WIDTH)
    ground = prior(torch.tensor([[[70, 0, 0]]], dtype=torch.int32), pooled)
    stage = prior(torch.tensor([[[70, 3, 0]]], dtype=torch.int32), pooled)
    for table in prior.tables[1:]:
        torch.nn.init.normal_(table.rows.weight, std=9)
    assert torch.equal(prior(torch.tensor([[[70, 0, 0]]], dtype=torch.int32), pooled).mean, ground.mean)
    assert not torch.equal(stage.mean, ground.mean)


def test_the_ground_is_even_between_its_knots(prior):
    pooled = torch.rand(1, WIDTH)
    means = [prior(torch.tensor([[[step, 0, 0]]], dtype=torch.int32), pooled).mean
             for step in (GROUND_STEPS, GROUND_STEPS * 3 // 2, 2 * GROUND_STEPS)]
    torch.testing.assert_close(means[1], (means[0] + means[2]) / 2, atol=1e-6, rtol=1e-5)


def test_the_mood_is_the_look_and_not_the_subject():
    def pooled(**said):
        numbers = torch.tensor([[said.get(name, count) for name, count in CHOICES]])
        return code_scenes(numbers, torch.full((1, COLOURS, 3), said.get("colour", 0.3)),
                           torch.ones(1, COLOURS, dtype=torch.bool)).sum(1)
    base = read_mood(pooled(motif=3, material=1, light=0))
    assert base.shape == (1, MOOD)
    assert torch.equal(base, read_mood(pooled(motif=9, place=2, material=1, light=0)))
    assert not torch.equal(base, read_mood(pooled(motif=3, material=1, light=0, colour=0.4)))


def test_fitting_finds_what_every_token_is():
    """A motif row in a colour: their product is what is to be found, on shards that were not fitted on."""
    rng, torch_rng = Random(0), torch.Generator().manual_seed(0)
    patterns = torch.randn(30, 3, 16, generator=torch_rng)

    def shard():
        colours = torch.rand(8, COLOURS, 3, generator=torch_rng)
        numbers = torch.tensor([[rng.randrange(count) for _, count in CHOICES]] * 8)
        states = code_scenes(numbers, colours, torch.ones(8, COLOURS, dtype=torch.bool))
        shown = torch.zeros(8, 12, 3, dtype=torch.int32)
        shown[..., 2] = torch.randint(1, 30, (8, 12), generator=torch_rng)
        tokens = torch.einsum("bk,bnkc->bnc", colours[:, 1] * 2 - 1, patterns[shown[..., 2].long()])
        return Shard(tokens=tokens, told=Told(states, shown), grid=(3, 4), seen=None)

    shards = [shard() for _ in range(24)]
    found = measure_prior(fit_prior(Prior(replace(CONFIG, shown_ranks=(4, 4, 64))), shards[:20], steps=300), shards[20:])
    assert found["motif"] < 0.25 * found["motif without"]


def test_a_network_without_weights_of_its_own_paints_what_the_prior_expects():
    torch.manual_seed(0)
    network = MMDiT(CONFIG).eval()
    torch.nn.init.zeros_(network.out.weight)
    torch.nn.init.zeros_(network.out.bias)
    shown, txt = torch.randint(1, 20, (1, 12, 3), dtype=torch.int32), torch.randn(1, 5, WIDTH)
    noise = torch.randn(1, 12, 16)
    with torch.no_grad():
        velocity = network(noise, txt, torch.tensor([1.0]), grid=(3, 4), shown=shown)
        mean = network.prior(shown, txt.sum(1)).mean
    torch.testing.assert_close(velocity, noise - mean, atol=1e-5, rtol=1e-5)


def test_the_bundled_sizes_have_room_for_every_row():
    from generator.config import MINI

    assert MINI.shown_rows == SHOWN_ROWS
    assert len(MINI.shown_ranks) == len(SHOWN_ROWS)
