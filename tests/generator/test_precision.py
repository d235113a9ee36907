"""Precision as an option: how far each is from float32, on a small network; and what is really kept narrow."""

import pytest
import torch
from torch import nn

from generator.checkpoint import load_transformer, load_vae
from generator.denoise import Draft, denoise
from generator.options import ModelOptions
from generator.parts import Parts
from generator.precision import finish_linear

# Relative distance of the velocity from float32's, measured: bfloat16 0.0048, float8 0.0325.
BOUNDS = {"bfloat16": 0.01, "float8": 0.05}


def velocity(folder, precision):
    generator = torch.Generator().manual_seed(0)
    network = load_transformer(folder / "transformer", precision=precision)
    img, txt = torch.randn(1, 24, 16, generator=generator), torch.randn(1, 6, 32, generator=generator)
    like = network.txt_norm.weight
    with torch.inference_mode():
        return network(img.to(like), txt.to(like), torch.tensor([0.4]), grid=(4, 6)).float()


def distance(ours, exact):
    return float((ours - exact).norm() / exact.norm())


@pytest.mark.parametrize("precision", BOUNDS)
def test_a_narrower_precision_stays_near_float32(pipeline_folder, precision):
    found = distance(velocity(pipeline_folder, precision), velocity(pipeline_folder, "float32"))
    assert 0 < found < BOUNDS[precision]


def test_the_narrower_the_farther(pipeline_folder):
    exact = velocity(pipeline_folder, "float32")
    assert distance(velocity(pipeline_folder, "bfloat16"), exact) < distance(velocity(pipeline_folder, "float8"), exact)


def test_float8_weights_take_one_byte_each():
    layer = nn.Linear(256, 512, bias=False).to(torch.bfloat16)
    narrow = finish_linear(layer, "float8")
    assert isinstance(narrow, nn.Linear)
    held = narrow.weight.qdata.nbytes + narrow.weight.scale.nbytes
    assert 256 * 512 <= held < 256 * 512 * 1.05
    assert narrow.weight.qdata.dtype == torch.float8_e4m3fn


def test_a_layer_that_float8_products_cannot_take_stays_wide():
    layer = nn.Linear(12, 32).to(torch.bfloat16)
    assert finish_linear(layer, "float8").weight.dtype == torch.bfloat16
    assert type(finish_linear(layer, "float8").weight) is nn.Parameter


@pytest.mark.parametrize("precision", ["bfloat16", "float8"])
def test_the_whole_picture_is_made_in_every_precision(pipeline_folder, precision):
    parts = Parts(pipeline_folder, ModelOptions(precision=precision))
    latents, = denoise(parts, [Draft(prompt="云", negative="", grid=(4, 4), steps=3, guidance=4, seed=0)])
    assert latents.dtype == torch.float32
    assert bool(torch.isfinite(latents).all())
    assert next(parts.vae.parameters()).dtype == torch.bfloat16


def test_the_autoencoder_is_never_narrower_than_bfloat16(vae_folder):
    assert {parameter.dtype for parameter in load_vae(vae_folder, precision="float8").parameters()} == {torch.bfloat16}
