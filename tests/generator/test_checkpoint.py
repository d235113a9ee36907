"""Strict loading: every way a checkpoint can be wrong is refused by name."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from generator.checkpoint import load_transformer, load_vae
from generator.config import QWEN_IMAGE, TINY
from generator.errors import CheckpointError
from generator.mmdit import MMDiT
from generator.names import TRANSFORMER_NAMES, VAE_NAMES, published_names
from generator.revision import revision


@pytest.fixture
def folder(transformer_folder, tmp_path):
    """A copy of a sharded transformer checkpoint that a test may damage."""
    return shutil.copytree(transformer_folder, tmp_path / "transformer")


def edit_config(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def edit_first_shard(folder, change):
    file = sorted(folder.glob("*.safetensors"))[0]
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    return file


def test_the_checkpoint_of_these_tests_is_sharded(folder):
    assert len(list(folder.glob("*.safetensors"))) > 1
    assert len(list(folder.glob("*.index.json"))) == 1


def test_a_missing_shard_is_named(folder):
    shard = sorted(folder.glob("*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=shard.name):
        load_transformer(folder)


def test_a_truncated_shard_is_named(folder):
    shard = sorted(folder.glob("*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=f"{shard.name}: damaged"):
        load_transformer(folder)


def test_a_missing_tensor_is_named(folder):
    index = next(folder.glob("*.index.json"))
    content = json.loads(index.read_text())
    name = "transformer_blocks.0.attn.to_q.weight"
    file = folder / content["weight_map"].pop(name)
    tensors = load_file(file)
    del tensors[name]
    save_file(tensors, file)
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=rf"{name} is missing"):
        load_transformer(folder)


def test_an_index_that_does_not_fit_its_shards_is_refused(folder):
    edit_first_shard(folder, lambda tensors: tensors.update({"extra.weight": torch.zeros(2)}))
    with pytest.raises(CheckpointError, match="not where the index says"):
        load_transformer(folder)


def test_a_spare_tensor_is_named(vae_folder, tmp_path):
    copy = shutil.copytree(vae_folder, tmp_path / "vae")
    edit_first_shard(copy, lambda tensors: tensors.update({"decoder.surprise.weight": torch.zeros(2)}))
    with pytest.raises(CheckpointError, match=r"decoder\.surprise\.weight"):
        load_vae(copy)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(folder, value):
    edit_first_shard(folder, lambda tensors: tensors[sorted(tensors)[0]].view(-1)[0].fill_(value))
    with pytest.raises(CheckpointError, match="not finite"):
        load_transformer(folder)


def test_a_misshapen_tensor_is_named(folder):
    edit_config(folder, joint_attention_dim=14)
    with pytest.raises(CheckpointError, match=r"txt_.*14"):
        load_transformer(folder)


@pytest.mark.parametrize(("changes", "rule"), [
    ({"_class_name": "FluxTransformer2DModel"}, "_class_name"), ({"colour": 3}, "unknown setting 'colour'"),
    ({"axes_dims_rope": [4, 6, 8]}, "add up"), ({"zero_cond_t": True}, "zero_cond_t"), ({"num_layers": "two"}, "config.json"),
    ({"num_layers": 0}, "at least 1")])
def test_a_wrong_config_is_refused(folder, changes, rule):
    edit_config(folder, **changes)
    with pytest.raises(CheckpointError, match=rule):
        load_transformer(folder)


def test_config_that_is_no_json_is_refused(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not readable as JSON"):
        load_transformer(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere/config\.json: no such file"):
        load_transformer(tmp_path / "nowhere")


def test_a_pickle_is_never_opened(folder):
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    torch.save({"weight": torch.zeros(1)}, folder / "diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickles can run code"):
        load_transformer(folder)


def test_an_index_cannot_reach_outside_its_folder(folder):
    index = next(folder.glob("*.index.json"))
    content = json.loads(index.read_text())
    content["weight_map"] = dict.fromkeys(content["weight_map"], "../model.safetensors")
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="outside its folder"):
        load_transformer(folder)


def test_films_tensors_are_known_and_not_needed(vae_folder):
    names = load_file(next(vae_folder.glob("*.safetensors"))).keys()
    assert any("time_conv" in name for name in names)
    load_vae(vae_folder)


def test_every_published_name_of_the_20b_checkpoint_is_in_the_table():
    from diffusers import QwenImageTransformer2DModel

    with torch.device("meta"):
        published = set(QwenImageTransformer2DModel().state_dict())
        ours = MMDiT(QWEN_IMAGE).state_dict()
    named = [name for key in ours for name in published_names(key, TRANSFORMER_NAMES)]
    assert len(named) == len(set(named))
    assert set(named) == published


def test_every_published_name_of_the_autoencoder_is_in_the_table():
    from diffusers import AutoencoderKLQwenImage

    from generator.config import QwenVAEConfig
    from generator.vae import QwenVAE

    with torch.device("meta"):
        published = {name for name in AutoencoderKLQwenImage().state_dict() if "time_conv" not in name}
        ours = QwenVAE(QwenVAEConfig(latents_mean=(0.0,) * 16, latents_std=(1.0,) * 16)).state_dict()
    assert {name for key in ours for name in published_names(key, VAE_NAMES)} == published


def test_the_revision_follows_every_weight_and_config(folder):
    before = revision(folder)
    assert before == revision(folder)
    edit_config(folder, _note="other")
    assert revision(folder) != before


def test_tiny_is_what_the_tests_paint_with():
    assert TINY.width == 32
