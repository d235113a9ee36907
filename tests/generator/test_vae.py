"""The published autoencoder, folded to 2D, against the reference implementation on small random weights."""

import pytest
import torch

from generator.checkpoint import load_vae
from generator.revision import BUNDLED_FOLDER
from generator.tiles import decode, encode

TOLERANCE = 1e-5


def scale(reference):
    return (torch.tensor(reference.config.latents_mean).view(1, -1, 1, 1),
            torch.tensor(reference.config.latents_std).view(1, -1, 1, 1))


@pytest.mark.parametrize("size", [(32, 32), (24, 56), (8, 8), (72, 16)])
@pytest.mark.parametrize("batch", [1, 2])
def test_encode_equals_the_reference_mean(reference_vae, vae_folder, size, batch):
    pixels = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        mean = reference_vae.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0]
        shift, deviation = scale(reference_vae)
        ours = load_vae(vae_folder).encode(pixels)
    torch.testing.assert_close(ours, (mean - shift) / deviation, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("size", [(4, 4), (3, 7), (1, 1), (9, 2)])
@pytest.mark.parametrize("batch", [1, 2])
def test_decode_equals_the_reference(reference_vae, vae_folder, size, batch):
    latents = torch.randn(batch, 4, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        shift, deviation = scale(reference_vae)
        expected = reference_vae.decode((latents * deviation + shift)[:, :, None]).sample[:, :, 0]
        ours = load_vae(vae_folder).decode(latents)
    torch.testing.assert_close(ours, expected, atol=TOLERANCE, rtol=0)


def test_bfloat16_stays_close_to_float32(vae_folder):
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    exact = load_vae(vae_folder).decode(latents)
    narrow = load_vae(vae_folder, precision="bfloat16").decode(latents.bfloat16()).float()
    assert (exact - narrow).abs().mean() < 0.03


@pytest.mark.parametrize("tile", [3, 16, 17])
def test_a_picture_decoded_in_tiles_is_the_same_picture(vae_folder, tile):
    latents = torch.randn(1, 4, 40, 37, generator=torch.Generator().manual_seed(3))
    vae = load_vae(vae_folder)
    torch.testing.assert_close(decode(vae, latents, tile), vae.decode(latents), atol=1e-5, rtol=0)


def test_smaller_halos_would_show(vae_folder, monkeypatch):
    vae, generator = load_vae(vae_folder), torch.Generator().manual_seed(3)
    latents, pixels = torch.randn(1, 4, 40, 37, generator=generator), torch.rand(1, 3, 320, 200, generator=generator)
    for half in ("decode_halo", "encode_halo"):
        monkeypatch.setattr(type(vae), half, getattr(vae, half) // 3)
    assert (decode(vae, latents, 16) - vae.decode(latents)).abs().max() > 1e-3
    assert (encode(vae, pixels, 8, 16) - vae.encode(pixels)).abs().max() > 1e-3


@pytest.mark.parametrize("tile", [5, 16, 24])
def test_a_picture_encoded_in_tiles_has_the_same_latents(vae_folder, tile):
    pixels = torch.rand(1, 3, 320, 200, generator=torch.Generator().manual_seed(4)) * 2 - 1
    vae = load_vae(vae_folder)
    torch.testing.assert_close(encode(vae, pixels, 8, tile), vae.encode(pixels), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(12, 9), (30, 17)])
def test_the_bundled_autoencoder_in_tiles_is_the_same(size):
    vae, generator = load_vae(BUNDLED_FOLDER / "vae"), torch.Generator().manual_seed(5)
    latents = torch.randn(1, vae.config.latent_channels, *size, generator=generator)
    torch.testing.assert_close(decode(vae, latents, 8), vae.decode(latents), atol=1e-4, rtol=0)
    pixels = torch.rand(1, 3, size[0] * 32, size[1] * 32, generator=generator) * 2 - 1
    torch.testing.assert_close(encode(vae, pixels, 32, 8), vae.encode(pixels), atol=1e-4, rtol=0)
