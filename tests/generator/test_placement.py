"""What fits where is computed from the files before anything is loaded, and said with the settings that would help."""

import json
import tracemalloc
from contextlib import nullcontext

import pytest
import torch
from safetensors.torch import save_file

from generator.checkpoint import load_transformer, load_vae
from generator.denoise import Draft, denoise
from generator.options import ModelOptions
from generator.parts import Parts
from generator.pipeline import CoverPainter
from generator.placement import DoesNotFit, batch_that_fits, check_fit, free_bytes, measure, weigh
from generator.qwen_text import UNUSED
from generator.request import CoverRequest

GIB = 2**30


def held(network):
    return sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_are_weighed_to_the_byte(pipeline_folder, precision):
    parts = Parts(pipeline_folder, ModelOptions(precision=precision))
    assert weigh(pipeline_folder / "transformer", precision) == sum(
        parameter.numel() * (4 if precision == "float32" else 2) for parameter in parts.transformer().parameters())
    reader = parts._load_reader()
    assert weigh(pipeline_folder / "text_encoder", precision, UNUSED) == held(reader.network)


def test_the_folded_autoencoder_weighs_about_a_third_of_its_file(pipeline_folder):
    need = measure(pipeline_folder, ModelOptions(), work=0)
    assert need.vae == pytest.approx(held(load_vae(pipeline_folder / "vae")), rel=0.2)


def write_headers(folder, tensors):
    """A checkpoint folder of these shapes whose files are holes: headers with nothing behind them but zeros."""
    folder.mkdir(parents=True)
    header, offset = {}, 0
    for name, shape in tensors.items():
        size = 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + offset)


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    """Folders of Qwen-Image's sizes: 20.4, 7.1 (the language half) and 0.13 thousand million weights, 57 GB of holes."""
    folder = tmp_path_factory.mktemp("full") / "qwen-image"
    write_headers(folder / "transformer", {f"blocks.{block}.weight": (3072, 110_677) for block in range(60)})
    write_headers(folder / "text_encoder", {f"model.layers.{layer}.weight": (3584, 70_700) for layer in range(28)}
                  | {"visual.blocks.0.weight": (1280, 528_000), "lm_head.weight": (152_064, 3584)})
    write_headers(folder / "vae", {f"decoder.{layer}.weight": (384, 384, 3, 3, 3) for layer in range(32)})
    return folder


def test_the_message_says_what_is_missing_and_what_would_do(full_size):
    options = ModelOptions(device="cuda:0", precision="bfloat16")
    with pytest.raises(DoesNotFit) as error:
        check_fit(full_size, options, 2 * GIB, {"cuda:0": 32 * GIB})
    told = str(error.value)
    assert told.startswith("qwen-image: needs 56.0 GB on cuda:0")
    assert "transformer 38.0, text encoder 13.2" in told
    assert "which has 32.0 GB" in told
    assert "use generator.dtype=float8" in told


@pytest.mark.parametrize(("precision", "offload", "has_gb", "fits"), [
    ("bfloat16", "none", 80, True), ("bfloat16", "none", 48, False), ("bfloat16", "in_turn", 48, True),
    ("float8", "none", 40, True), ("float8", "none", 24, False), ("float8", "in_turn", 24, True),
    ("float32", "in_turn", 80, False), ("float8", "in_turn", 12, False)])
def test_what_fits_where(full_size, precision, offload, has_gb, fits):
    options = ModelOptions(device="cuda:0", precision=precision, offload=offload)
    with nullcontext() if fits else pytest.raises(DoesNotFit, match=r"needs .* (use|no setting)"):
        check_fit(full_size, options, GIB, {"cuda:0": has_gb * GIB})


def test_apart_each_device_has_its_own_need(full_size):
    options = ModelOptions(device="cuda:0", text_device="cuda:1", precision="bfloat16")
    check_fit(full_size, options, GIB, {"cuda:0": 44 * GIB, "cuda:1": 16 * GIB})
    with pytest.raises(DoesNotFit, match="on cuda:1"):
        check_fit(full_size, options, GIB, {"cuda:0": 44 * GIB, "cuda:1": 10 * GIB})


def test_when_nothing_helps_it_says_so(full_size):
    with pytest.raises(DoesNotFit, match="no setting makes it fit"):
        check_fit(full_size, ModelOptions(), GIB, {"cpu": 4 * GIB})


def test_unknown_memory_is_no_reason_to_refuse(full_size):
    check_fit(full_size, ModelOptions(), GIB, {"cpu": None})


def test_a_checkpoint_that_does_not_fit_is_refused_before_a_weight_is_read(full_size, monkeypatch):
    monkeypatch.setattr("generator.placement.free_bytes", lambda device: 8 * GIB)
    (full_size / "model_index.json").write_text('{"_class_name": "QwenImagePipeline"}')
    (full_size / "transformer" / "config.json").write_text(json.dumps(
        {"_class_name": "QwenImageTransformer2DModel", "num_layers": 60, "attention_head_dim": 128, "num_attention_heads": 24,
         "in_channels": 64, "out_channels": 16, "joint_attention_dim": 3584, "axes_dims_rope": [16, 56, 56]}))
    (full_size / "vae" / "config.json").write_text(json.dumps(
        {"_class_name": "AutoencoderKLQwenImage", "latents_mean": [0.0] * 16, "latents_std": [1.0] * 16}))
    painter = CoverPainter(full_size, ModelOptions(precision="bfloat16"))
    painter.checkpoint = "qwen-image@test"  # hashing 57 GB of holes takes a while
    request = CoverRequest(prompt="云", negative="", width=1024, height=1024, steps=4, guidance=1, seed=0,
                           checkpoint="qwen-image@test")
    tracemalloc.start()
    try:
        with pytest.raises(DoesNotFit, match="needs 5"):
            painter.generate(request)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert not painter.parts.is_loaded


def test_in_turn_never_holds_both_and_paints_the_same(pipeline_folder):
    draft = Draft(prompt="云", negative="", grid=(4, 4), steps=2, guidance=3, seed=0)
    together, = denoise(Parts(pipeline_folder, ModelOptions()), [draft])
    parts = Parts(pipeline_folder, ModelOptions(offload="in_turn"))
    alone, = denoise(parts, [draft])
    assert torch.equal(together, alone)
    assert parts.is_loaded
    assert parts._reader is None
    parts.read(["雨"])
    assert not parts.is_loaded
    assert parts._reader is not None


def test_the_batch_is_as_large_as_memory_allows(monkeypatch):
    monkeypatch.setattr("generator.placement.free_bytes", lambda device: 10 * GIB)
    assert [batch_that_fits(ModelOptions(max_batch=8), work) for work in (GIB // 2, 2 * GIB, 40 * GIB)] == [8, 4, 1]


def test_free_memory_of_this_machine_is_known():
    assert 0 < free_bytes("cpu") < 2**50


def test_a_failed_load_leaves_nothing_in_memory(pipeline_folder, tmp_path):
    """The last tensor is bad: everything before it has been read by then."""
    import gc
    import shutil

    folder = shutil.copytree(pipeline_folder / "transformer", tmp_path / "transformer")
    file, = folder.glob("*.safetensors")
    from safetensors.torch import load_file
    tensors = load_file(file)
    tensors["proj_out.bias"][0] = float("nan")
    save_file(tensors, file)
    del tensors

    def alive():
        gc.collect()
        return sum(1 for thing in gc.get_objects() if type(thing) is torch.nn.Parameter)

    before = alive()
    with pytest.raises(Exception, match=r"proj_out\.bias"):
        load_transformer(folder)
    assert alive() == before
