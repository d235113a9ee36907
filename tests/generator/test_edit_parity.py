"""Edits against diffusers' pipelines on the same small checkpoint: same noise, same steps, same latents."""

import pytest
import torch

from generator.edit import Brush, Editor
from generator.latents import pack
from generator.masks import create_rectangular_mask
from generator.pipeline import CoverPainter
from tests.generator.editing import photo, pixels

TOLERANCE = 1e-4
PROMPT = "云原生架构 illustration 🌙"


@pytest.fixture(scope="module")
def editor(pipeline_folder):
    return Editor(CoverPainter(pipeline_folder))


def reference(reference_pipeline, name):
    """Another pipeline of diffusers around the same networks, with a scheduler of its own."""
    import diffusers

    parts = dict(reference_pipeline.components)
    parts["scheduler"] = type(parts["scheduler"]).from_config(parts["scheduler"].config)
    pipeline = getattr(diffusers, name)(**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


STRENGTHS = [(10, 0.6), (6, 1.0), (4, 0.25), (10, 0.3), (7, 0.6), (6, 0.55), (3, 0.01)]
ASKED = {"prompt": PROMPT, "negative_prompt": "blurry, 文字", "true_cfg_scale": 4.0, "width": 96, "height": 64,
         "output_type": "latent"}


@pytest.mark.parametrize(("steps", "strength"), STRENGTHS)
def test_inpainting_equals_the_reference(reference_pipeline, editor, steps, strength):
    canvas, mask = editor.open(photo(96, 64)), create_rectangular_mask(24, 16, 40, 32)
    expected = reference(reference_pipeline, "QwenImageInpaintPipeline")(
        **ASKED, image=canvas.latents, masked_image_latents=canvas.latents, mask_image=canvas.alpha(mask)[None, None],
        strength=strength, num_inference_steps=steps, generator=torch.Generator().manual_seed(9)).images
    edited = editor.inpaint(canvas, mask, PROMPT, Brush(negative="blurry, 文字", steps=steps, guidance=4.0, seed=9,
                                                        strength=strength))
    torch.testing.assert_close(pack(edited.latents), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("steps", "strength"), STRENGTHS)
def test_image_to_image_equals_the_reference(reference_pipeline, editor, steps, strength):
    canvas = editor.open(photo(96, 64))
    expected = reference(reference_pipeline, "QwenImageImg2ImgPipeline")(
        **ASKED, image=canvas.latents, strength=strength, num_inference_steps=steps,
        generator=torch.Generator().manual_seed(9)).images
    edited = editor.img2img(canvas, PROMPT, Brush(negative="blurry, 文字", steps=steps, guidance=4.0, seed=9, strength=strength))
    torch.testing.assert_close(pack(edited.latents), expected, atol=TOLERANCE, rtol=0)


def test_an_opened_picture_has_the_latents_of_the_reference(reference_pipeline, editor):
    pipeline = reference(reference_pipeline, "QwenImageImg2ImgPipeline")
    image = torch.from_numpy(pixels(photo(96, 64))).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        moments = pipeline.vae.encode(image[:, :, None]).latent_dist.mode()[:, :, 0]
    mean, deviation = (torch.tensor(values).view(1, -1, 1, 1) for values in
                       (pipeline.vae.config.latents_mean, pipeline.vae.config.latents_std))
    torch.testing.assert_close(editor.open(photo(96, 64)).latents, (moments - mean) / deviation, atol=TOLERANCE, rtol=0)
