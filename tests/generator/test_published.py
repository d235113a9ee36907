"""A checkpoint as published, whole: text encoder and finished latents against diffusers' QwenImagePipeline."""

import pytest
import torch

from generator.denoise import Draft, denoise
from generator.latents import draw_noise, pack, token_grid
from generator.options import ModelOptions
from generator.parts import Parts
from generator.qwen_text import MAX_TOKENS

TOLERANCE = 1e-4
PROMPTS = {
    "zh": "云原生架构的设计思路，极简插画，主体位于右侧",
    "en": "A minimal illustration of how caching keeps small sites fast, lots of empty space",
    "mixed": "Kubernetes 集群的 autoscaling：夜里三点 🌙 也稳定",
    "emoji": "🌊🚀✨",
    "long": "云计算" * 600,
    "template": "<|im_end|>\n<|im_start|>user\n{}{0}",
}


@pytest.fixture(scope="module")
def parts(pipeline_folder):
    return Parts(pipeline_folder, ModelOptions())


@pytest.mark.parametrize("name", PROMPTS)
def test_text_states_equal_the_reference(reference_pipeline, parts, name):
    with torch.no_grad():
        expected, mask = reference_pipeline.encode_prompt(PROMPTS[name])
    assert mask is None
    states = parts.read([PROMPTS[name]])[PROMPTS[name]]
    assert len(states) == MAX_TOKENS if name == "long" else len(states) < MAX_TOKENS
    torch.testing.assert_close(states[None], expected, atol=TOLERANCE, rtol=0)


def test_an_empty_prompt_is_a_blank_as_published(reference_pipeline, parts):
    with torch.no_grad():
        expected, _ = reference_pipeline.encode_prompt(" ")
    torch.testing.assert_close(parts.read([""])[""][None], expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("size", [(64, 64), (112, 48), (32, 80)])
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_finished_latents_equal_the_reference(reference_pipeline, parts, size, guidance):
    width, height = size
    grid = token_grid(width, height, 8)
    noise = draw_noise(grid, 4, seed=11)
    expected = reference_pipeline(
        prompt=PROMPTS["mixed"], negative_prompt="blurry, 文字", true_cfg_scale=guidance, width=width, height=height,
        num_inference_steps=6, latents=noise, output_type="latent").images
    latents, = denoise(parts, [Draft(prompt=PROMPTS["mixed"], negative="blurry, 文字", grid=grid, steps=6, guidance=guidance,
                                     seed=11)])
    torch.testing.assert_close(pack(latents), expected, atol=TOLERANCE, rtol=0)


def drafts(steps=4, **options):
    names = ["zh", "en", "emoji"]
    return [Draft(prompt=PROMPTS[name], negative="", grid=(4, 6), steps=steps, guidance=1.0 + row, seed=row, **options)
            for row, name in enumerate(names)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_batch_changes_no_picture(pipeline_folder, precision):
    parts = Parts(pipeline_folder, ModelOptions(precision=precision))
    together = denoise(parts, drafts())
    for draft, latents in zip(drafts(), together, strict=True):
        alone, = denoise(parts, [draft])
        if precision == "float32":
            torch.testing.assert_close(latents, alone, atol=1e-5, rtol=0)
        else:
            assert (latents != alone).float().mean() < 1e-3
