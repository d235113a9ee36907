"""Compiled blocks compute what plain ones do, and are compiled once for all blocks and prompts of any length."""

import shutil

import pytest
import torch

from generator.denoise import Draft, denoise
from generator.options import ModelOptions
from generator.parts import Parts

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")),
                                                   reason="torch.compile needs a C++ compiler")]
PROMPTS = ("云", "a lighthouse", "云原生架构的设计思路，极简插画，主体位于右侧", "🌊🚀")


def paint(parts, prompt):
    latents, = denoise(parts, [Draft(prompt=prompt, negative="", grid=(4, 5), steps=2, guidance=3, seed=1)])
    return latents


@pytest.mark.parametrize("mode", ["blocks", "graphs"])
def test_compiled_blocks_compute_the_same(pipeline_folder, mode):
    torch.compiler.reset()
    plain, compiled = (Parts(pipeline_folder, ModelOptions(compile=kind)) for kind in ("off", mode))
    for prompt in PROMPTS:
        torch.testing.assert_close(paint(compiled, prompt), paint(plain, prompt), atol=1e-4, rtol=0)


def test_prompts_of_other_lengths_compile_once_more_at_most(pipeline_folder):
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    parts = Parts(pipeline_folder, ModelOptions(compile="blocks"))
    for prompt in PROMPTS:
        paint(parts, prompt)
    assert 1 <= torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 3
