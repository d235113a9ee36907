"""Small random checkpoints in the published layout, written by the reference implementation itself."""

import pytest
import torch


def randomise(network, seed=0):
    """Weights far from their start values, so that nothing is hidden behind a zero or a one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
            spread = 1.0 / fan_in**0.5 if parameter.ndim > 1 else 0.2
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            if "norm" in name and (parameter.ndim == 1 or "gamma" in name):
                parameter.add_(1.0)
    return network.eval()


@pytest.fixture(scope="session")
def reference_transformer():
    """A small random QwenImageTransformer2DModel."""
    from diffusers import QwenImageTransformer2DModel

    return randomise(QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=12, axes_dims_rope=(4, 6, 6)))


@pytest.fixture(scope="session")
def transformer_folder(reference_transformer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("transformer")
    reference_transformer.save_pretrained(folder, max_shard_size="40KB")
    return folder


@pytest.fixture(scope="session")
def reference_vae():
    """A small random AutoencoderKLQwenImage."""
    from diffusers import AutoencoderKLQwenImage

    return randomise(AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=2, latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[1.5, 2.0, 0.7, 1.0]), seed=1)


@pytest.fixture(scope="session")
def vae_folder(reference_vae, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vae")
    reference_vae.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def reference_pipeline(reference_vae):
    """A small random QwenImagePipeline."""
    from tests.generator.published import build_pipeline

    pipeline = build_pipeline(reference_vae)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="session")
def pipeline_folder(reference_pipeline, tmp_path_factory):
    """The same, as its own save_pretrained writes it."""
    folder = tmp_path_factory.mktemp("published") / "small-qwen"
    reference_pipeline.save_pretrained(folder)
    return folder
