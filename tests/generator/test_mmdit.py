"""The transformer against the reference implementation, on small random weights."""

from dataclasses import replace

import pytest
import torch

from generator.checkpoint import load_transformer, save_transformer
from generator.config import MINI, QWEN_IMAGE, TINY, MMDiTConfig
from generator.mmdit import MMDiT
from generator.scene_code import WIDTH

TOLERANCE = 1e-5


def inputs(grid, lengths, seed=0):
    """img, txt, sigma, mask for a batch whose prompts have these lengths."""
    generator = torch.Generator().manual_seed(seed)
    batch, longest = len(lengths), max(lengths)
    img = torch.randn(batch, grid[0] * grid[1], 16, generator=generator)
    txt = torch.randn(batch, longest, 12, generator=generator)
    sigma = torch.rand(batch, generator=generator)
    mask = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
    return img, txt, sigma, mask


def run_reference(network, img, txt, sigma, grid, mask=None):
    with torch.no_grad():
        return network(hidden_states=img, encoder_hidden_states=txt, encoder_hidden_states_mask=mask, timestep=sigma,
                       img_shapes=[[(1, *grid)]] * img.shape[0], return_dict=False)[0]


@pytest.mark.parametrize("grid", [(4, 4), (3, 7), (7, 3), (1, 5), (5, 1), (1, 1)])
@pytest.mark.parametrize("batch", [1, 3])
def test_velocity_equals_the_reference_on_any_grid(reference_transformer, transformer_folder, grid, batch):
    ours = load_transformer(transformer_folder)
    img, txt, sigma, _ = inputs(grid, [9] * batch)
    expected = run_reference(reference_transformer, img, txt, sigma, grid)
    torch.testing.assert_close(ours(img, txt, sigma, grid=grid), expected, atol=TOLERANCE, rtol=0)


def ragged(txt, lengths):
    return [row[:length] for row, length in zip(txt, lengths, strict=True)]


@pytest.mark.parametrize("levels", [1, 3])
def test_prompts_of_different_lengths_equal_the_reference(reference_transformer, transformer_folder, levels):
    ours = load_transformer(transformer_folder)
    lengths = [9, 4, 1]
    img, txt, sigma, mask = inputs((3, 5), lengths)
    sigma = sigma if levels == 3 else sigma[:1].expand(3)
    expected = run_reference(reference_transformer, img, txt, sigma, (3, 5), mask)
    torch.testing.assert_close(ours(img, ragged(txt, lengths), sigma[:levels], grid=(3, 5)), expected, atol=TOLERANCE, rtol=0)


def test_each_picture_of_a_batch_equals_its_own_single_call(transformer_folder):
    ours = load_transformer(transformer_folder)
    lengths = [9, 4, 1]
    img, txt, sigma, _ = inputs((3, 5), lengths)
    together = ours(img, ragged(txt, lengths), sigma, grid=(3, 5))
    for row, length in enumerate(lengths):
        alone = ours(img[row:row + 1], txt[row:row + 1, :length], sigma[row:row + 1], grid=(3, 5))
        torch.testing.assert_close(together[row:row + 1], alone, atol=TOLERANCE, rtol=0)


def test_modulation_made_for_all_steps_at_once_is_that_of_each_step(transformer_folder):
    ours = load_transformer(transformer_folder)
    img, txt, _, _ = inputs((3, 5), [9, 9])
    levels = torch.tensor([1.0, 0.7, 0.2])
    modulation = ours.modulate(levels)
    for step, level in enumerate(levels):
        torch.testing.assert_close(ours(img, txt, modulation.at(step), grid=(3, 5)),
                                   ours(img, txt, level.expand(2), grid=(3, 5)), atol=TOLERANCE, rtol=0)


def test_a_saved_transformer_loads_in_the_reference(tmp_path):
    from diffusers import QwenImageTransformer2DModel

    torch.manual_seed(3)
    ours = MMDiT(TINY).eval()
    save_transformer(ours, tmp_path)
    reference = QwenImageTransformer2DModel.from_pretrained(tmp_path).eval()
    img, txt, sigma, _ = inputs((4, 6), [5, 5])
    with torch.no_grad():
        torch.testing.assert_close(ours(img, txt, sigma, grid=(4, 6)), run_reference(reference, img, txt, sigma, (4, 6)),
                                   atol=TOLERANCE, rtol=0)


def test_the_published_sizes_are_those_of_the_20b_checkpoint():
    with torch.device("meta"):
        network = MMDiT(QWEN_IMAGE)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert QWEN_IMAGE.width == 3072
    assert 20.3e9 < count < 20.5e9


@pytest.mark.parametrize(("field", "value", "rule"), [
    ("axes_dims_rope", (4, 6, 8), "add up"), ("axes_dims_rope", (5, 5, 6), "even"), ("in_channels", 15, "4 x"),
    ("patch_size", 4, "2x2"), ("num_layers", 0, "at least 1")])
def test_a_config_that_makes_no_sense_is_refused(field, value, rule):
    values = {name: getattr(TINY, name) for name in TINY.__dataclass_fields__}
    with pytest.raises(ValueError, match=rule):
        MMDiTConfig(**{**values, field: value})


@pytest.mark.parametrize("change", ["img", "txt", "sigma"])
def test_shapes_that_do_not_fit_are_named(transformer_folder, change):
    ours = load_transformer(transformer_folder)
    img, txt, sigma, _ = inputs((3, 5), [9, 9, 9])
    wrong = {"img": img, "txt": txt, "sigma": sigma}
    wrong[change] = wrong[change][..., :-1]
    with pytest.raises(ValueError, match=change):
        ours(wrong["img"], wrong["txt"], wrong["sigma"], grid=(3, 5))


def test_the_bundled_config_is_small():
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in MMDiT(MINI).parameters())
    assert 8e6 < count < 20e6


def test_a_part_of_the_tokens_is_that_part_of_the_grid():
    torch.manual_seed(0)
    network = MMDiT(TINY).eval()
    img, txt, sigma = torch.randn(2, 12, TINY.in_channels), torch.randn(2, 5, TINY.joint_attention_dim), torch.tensor([0.5, 0.7])
    with torch.no_grad():
        whole = network(img, txt, sigma, grid=(3, 4))
        torch.testing.assert_close(network(img, txt, sigma, grid=(3, 4), seen=torch.arange(12)), whole, atol=1e-6, rtol=0)
        part = network(img[:, [2, 3, 6, 7]], txt, sigma, grid=(3, 4), seen=torch.tensor([2, 3, 6, 7]))
        other = network(img[:, [2, 3, 6, 7]], txt, sigma, grid=(3, 4), seen=torch.tensor([0, 1, 4, 5]))
    assert (part - other).abs().max() > 1e-4


@pytest.fixture
def shown_network():
    torch.manual_seed(0)
    wide = replace(TINY, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, shown_rows=(33, 9, 9), shown_ranks=(2, 2, 4))
    return MMDiT(wide).eval()


def test_what_a_token_shows_is_added_where_it_stands(shown_network):
    img, txt, sigma = torch.randn(1, 12, TINY.in_channels), torch.randn(1, 5, WIDTH), torch.tensor([0.5])
    shown = torch.zeros(1, 12, 3, dtype=torch.int32)
    with torch.no_grad():
        nothing = shown_network(img, txt, sigma, grid=(3, 4), shown=shown)
        shown[0, 7, 2] = 5
        changed = (shown_network(img, txt, sigma, grid=(3, 4), shown=shown) - nothing).abs().mean(-1)[0]
    assert changed.argmax() == 7
    assert changed[7] > 2 * changed.median()


def test_pooled_prompts_of_any_lengths_do_not_touch_each_other(shown_network):
    img, sigma = torch.randn(3, 12, TINY.in_channels), torch.tensor([0.5])
    shown = torch.randint(0, 9, (3, 12, 3), dtype=torch.int32)
    txt = [torch.randn(tokens, WIDTH) for tokens in (4, 6, 4)]
    with torch.no_grad():
        together = shown_network(img, txt, sigma, grid=(3, 4), shown=shown)
        for row in range(3):
            alone = shown_network(img[row:row + 1], [txt[row]], sigma, grid=(3, 4), shown=shown[row:row + 1])
            torch.testing.assert_close(together[row:row + 1], alone, atol=1e-5, rtol=0)
        other = shown_network(img[:1], [txt[0] + 1], sigma, grid=(3, 4), shown=shown[:1])
    assert (other - together[:1]).abs().max() > 1e-4


@pytest.mark.parametrize("change", [{"pooled_projection_dim": 5}, {"shown_rows": (33, 9, 9)}])
def test_conditions_that_do_not_fit_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(TINY, **change)


def test_what_a_network_cannot_use_is_refused_and_never_ignored(shown_network):
    img, txt, sigma = torch.randn(1, 12, TINY.in_channels), torch.randn(1, 5, WIDTH), torch.tensor([0.5])
    shown = torch.zeros(1, 12, 3, dtype=torch.int32)
    with pytest.raises(ValueError, match="shown is None"):
        shown_network(img, txt, sigma, grid=(3, 4))
    with pytest.raises(ValueError, match=r"shown is \[1, 12, 2\]"):
        shown_network(img, txt, sigma, grid=(3, 4), shown=shown[..., :2])
    with pytest.raises(ValueError, match="takes noise levels"):
        shown_network(img, txt, shown_network.modulate(sigma), grid=(3, 4), shown=shown)
    with pytest.raises(ValueError, match="must be None"):
        MMDiT(TINY)(img, txt[..., :TINY.joint_attention_dim], sigma, grid=(3, 4), shown=shown)
