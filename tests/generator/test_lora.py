"""LoRA files in both published spellings, merged and switched, against diffusers' own loader."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from generator.checkpoint import load_transformer
from generator.errors import CheckpointError
from generator.latents import draw_noise
from generator.lora import attach, load_lora
from generator.options import LoraFile, ModelOptions
from generator.parts import Parts
from generator.pipeline import CoverPainter
from generator.request import CoverRequest
from generator.shards import Shards

TOLERANCE = 1e-5
RANK, ALPHA = 3, 6.0
MODULES = ("attn.to_q", "attn.to_v", "attn.to_out.0", "attn.add_k_proj", "attn.to_add_out", "img_mlp.net.0.proj",
           "img_mlp.net.2", "txt_mlp.net.0.proj", "img_mod.1")


def pairs(folder, seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = Shards.in_folder(folder / "transformer").shapes
    for block in (0, 1):
        for module in MODULES:
            out, inner = shapes[f"transformer_blocks.{block}.{module}.weight"]
            yield (f"transformer_blocks.{block}.{module}", torch.randn(RANK, inner, generator=generator) * 0.2,
                   torch.randn(out, RANK, generator=generator) * 0.2)


def write_diffusers(folder, file, seed=1):
    """As diffusers saves one: its alpha is the rank."""
    tensors = {}
    for module, down, up in pairs(folder, seed):
        tensors[f"transformer.{module}.lora_A.weight"], tensors[f"transformer.{module}.lora_B.weight"] = down, up
    save_file(tensors, file)
    return file


def write_lightning(folder, file, seed=1):
    """As Lightning publishes them, with an alpha of its own."""
    tensors = {}
    for module, down, up in pairs(folder, seed):
        tensors[f"{module}.lora_down.weight"], tensors[f"{module}.lora_up.weight"] = down, up
        tensors[f"{module}.alpha"] = torch.tensor(ALPHA)
    save_file(tensors, file)
    return file


WRITERS = {"diffusers": write_diffusers, "lightning": write_lightning}


def inputs(channels=16, width=32):
    generator = torch.Generator().manual_seed(7)
    return (torch.randn(1, 12, channels, generator=generator), torch.randn(1, 5, width, generator=generator),
            torch.tensor([0.6]))


@pytest.fixture
def reference_velocity(reference_pipeline):
    """The reference transformer's answer with a LoRA file loaded by diffusers."""
    def run(file, weight=1.0):
        reference_pipeline.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name="tried")
        reference_pipeline.set_adapters(["tried"], [weight])
        img, txt, sigma = inputs()
        try:
            with torch.no_grad():
                return reference_pipeline.transformer(hidden_states=img, encoder_hidden_states=txt, timestep=sigma,
                                                      img_shapes=[[(1, 3, 4)]], return_dict=False)[0]
        finally:
            reference_pipeline.unload_lora_weights()
    return run


def velocity(network):
    img, txt, sigma = inputs()
    with torch.inference_mode():
        return network(img, txt, sigma, grid=(3, 4))


@pytest.mark.parametrize("spelling", WRITERS)
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_a_merged_lora_equals_the_reference(pipeline_folder, tmp_path, reference_velocity, spelling, weight):
    file = WRITERS[spelling](pipeline_folder, tmp_path / "fast.safetensors")
    merged = load_transformer(pipeline_folder / "transformer", merge=[load_lora(file, weight)])
    torch.testing.assert_close(velocity(merged), reference_velocity(file, weight), atol=TOLERANCE, rtol=0)
    plain = velocity(load_transformer(pipeline_folder / "transformer"))
    assert (velocity(merged) - plain).abs().max() > 1e-2


def test_switched_loras_act_one_at_a_time_and_leave_the_network_as_it_was(pipeline_folder, tmp_path, reference_velocity):
    files = {name: writer(pipeline_folder, tmp_path / f"{name}.safetensors", seed)
             for seed, (name, writer) in enumerate(WRITERS.items(), start=3)}
    network = load_transformer(pipeline_folder / "transformer")
    plain = velocity(network)
    switch = attach(network, [load_lora(file) for file in files.values()])
    for name, file in files.items():
        switch.active = name
        torch.testing.assert_close(velocity(network), reference_velocity(file), atol=TOLERANCE, rtol=0)
    switch.active = None
    assert torch.equal(velocity(network), plain)


@pytest.mark.parametrize(("told", "alpha"), [
    ({"lora_alpha": 12}, 12), ({"lora_alpha": 12, "use_rslora": True}, 12),
    ({"lora_alpha": 12, "alpha_pattern": {"transformer_blocks.0.attn.to_q": 6}}, 6)])
def test_alpha_in_the_header_is_read_as_diffusers_does(reference_pipeline, pipeline_folder, tmp_path, reference_velocity,
                                                       told, alpha):
    plain = load_file(write_diffusers(pipeline_folder, tmp_path / "plain.safetensors"))
    layers = {name.removeprefix("transformer."): tensor for name, tensor in plain.items() if "blocks.0.attn.to_q" in name}
    settings = {"r": RANK, "target_modules": ["transformer_blocks.0.attn.to_q"], "peft_type": "LORA", **told}
    type(reference_pipeline).save_lora_weights(tmp_path, layers, weight_name="trained.safetensors",
                                               transformer_lora_adapter_metadata=settings)
    file = tmp_path / "trained.safetensors"
    part, = load_lora(file).parts.values()
    assert part.scale == pytest.approx(alpha / (RANK**0.5 if told.get("use_rslora") else RANK))
    merged = load_transformer(pipeline_folder / "transformer", merge=[load_lora(file)])
    torch.testing.assert_close(velocity(merged), reference_velocity(file), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("content", "rule"), [("no json", "not readable"), ("[]", "no JSON object"),
                                               ('{"transformer.use_dora": true}', "use_dora")])
def test_a_header_that_cannot_be_followed_is_refused(pipeline_folder, tmp_path, content, rule):
    file = write_diffusers(pipeline_folder, tmp_path / "odd.safetensors")
    save_file(load_file(file), file, metadata={"lora_adapter_metadata": content})
    with pytest.raises(CheckpointError, match=rule):
        load_lora(file)


def request(checkpoint):
    return CoverRequest(prompt="云", negative="", width=64, height=64, steps=4, guidance=1, seed=3, checkpoint=checkpoint)


def test_a_request_switches_its_lora_by_its_checkpoint(pipeline_folder, tmp_path):
    file = write_lightning(pipeline_folder, tmp_path / "fast.safetensors")
    switched = CoverPainter(pipeline_folder, ModelOptions(loras=(LoraFile(file=file),), switch_loras=True))
    merged = CoverPainter(pipeline_folder, ModelOptions(loras=(LoraFile(file=file),)))
    base = CoverPainter(pipeline_folder)
    with_lora, = [name for name, lora in switched.checkpoints.items() if lora == "fast"]
    assert with_lora == merged.checkpoint
    assert switched.checkpoint == base.checkpoint
    assert switched.generate(request(base.checkpoint)) == base.generate(request(base.checkpoint))
    assert switched.generate(request(with_lora)) != base.generate(request(base.checkpoint))
    assert switched.generate(request(base.checkpoint)) == base.generate(request(base.checkpoint))
    with pytest.raises(ValueError, match="loaded is"):
        base.generate(request(with_lora))


def test_weight_and_shift_enter_the_checkpoints_name(pipeline_folder, tmp_path):
    file = write_lightning(pipeline_folder, tmp_path / "fast.safetensors")
    names = {CoverPainter(pipeline_folder, options).checkpoint for options in (
        ModelOptions(), ModelOptions(loras=(LoraFile(file=file),)), ModelOptions(loras=(LoraFile(file=file, weight=0.5),)),
        ModelOptions(loras=(LoraFile(file=file),), shift=3.0), ModelOptions(step_cache=0.1), ModelOptions(precision="bfloat16"))}
    assert len(names) == 6


@pytest.mark.parametrize("steps", [4, 8])
def test_lightning_steps_follow_the_published_schedule(pipeline_folder, steps):
    import math

    import numpy as np
    from diffusers import FlowMatchEulerDiscreteScheduler

    from generator.schedule import noise_levels

    scheduler = FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256, base_shift=math.log(3), max_image_seq_len=8192, max_shift=math.log(3), shift_terminal=None,
        use_dynamic_shifting=True, time_shift_type="exponential")
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=math.log(3))
    ours = noise_levels(steps, 4096, Parts(pipeline_folder, ModelOptions(shift=3.0)).schedule)
    torch.testing.assert_close(ours, scheduler.sigmas, atol=1e-6, rtol=0)


def test_four_steps_without_guidance_equal_the_reference(reference_pipeline, pipeline_folder, tmp_path):
    from generator.denoise import Draft, denoise
    from generator.latents import pack

    file = write_lightning(pipeline_folder, tmp_path / "fast.safetensors")
    reference_pipeline.load_lora_weights(str(tmp_path), weight_name=file.name)
    try:
        expected = reference_pipeline(prompt="云 cloud", true_cfg_scale=1.0, width=64, height=96, num_inference_steps=4,
                                      latents=draw_noise((6, 4), 4, 5), output_type="latent").images
    finally:
        reference_pipeline.unload_lora_weights()
    parts = Parts(pipeline_folder, ModelOptions(loras=(LoraFile(file=file),)))
    latents, = denoise(parts, [Draft(prompt="云 cloud", negative="", grid=(6, 4), steps=4, guidance=1, seed=5)])
    torch.testing.assert_close(pack(latents), expected, atol=1e-4, rtol=0)


def change(file, edit):
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file)


def spoil_nan(tensors):
    tensors["transformer_blocks.0.attn.to_q.lora_up.weight"][0, 0] = float("nan")


@pytest.mark.parametrize(("edit", "rule"), [
    (lambda tensors: tensors.pop("transformer_blocks.0.attn.to_q.lora_up.weight"), "two matrices"),
    (lambda tensors: tensors.update({"text_model.q.weight": torch.zeros(2)}), "text_model.q.weight is not part"),
    (spoil_nan, "not finite"),
    (lambda tensors: tensors.clear(), "no LoRA tensors")])
def test_a_damaged_lora_is_refused(pipeline_folder, tmp_path, edit, rule):
    file = write_lightning(pipeline_folder, tmp_path / "fast.safetensors")
    change(file, edit)
    with pytest.raises(CheckpointError, match=rule) as error:
        load_lora(file)
    assert "fast.safetensors" in str(error.value)


@pytest.mark.parametrize("switched", [True, False])
def test_a_lora_of_another_model_is_refused(pipeline_folder, tmp_path, switched):
    file = tmp_path / "other.safetensors"
    save_file({"transformer_blocks.0.attn.to_q.lora_down.weight": torch.zeros(2, 48),
               "transformer_blocks.0.attn.to_q.lora_up.weight": torch.zeros(48, 2)}, file)
    parts = Parts(pipeline_folder, ModelOptions(loras=(LoraFile(file=file),), switch_loras=switched))
    with pytest.raises(CheckpointError, match=r"LoRA other: .*to_q is for a layer of \[48, 48\]; this network has \[32, 32\]"):
        parts.transformer()
    assert not parts.is_loaded


def test_a_lora_for_layers_that_are_not_there_is_refused(pipeline_folder, tmp_path):
    file = tmp_path / "deep.safetensors"
    save_file({"transformer_blocks.9.attn.to_q.lora_down.weight": torch.zeros(2, 32),
               "transformer_blocks.9.attn.to_q.lora_up.weight": torch.zeros(32, 2)}, file)
    with pytest.raises(CheckpointError, match="does not have it"):
        Parts(pipeline_folder, ModelOptions(loras=(LoraFile(file=file),))).transformer()


def test_a_pickled_lora_is_refused(tmp_path):
    file = tmp_path / "fast.pt"
    torch.save({}, file)
    with pytest.raises(CheckpointError, match="pickle"):
        load_lora(file)


def test_a_missing_lora_is_named(pipeline_folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors"):
        CoverPainter(pipeline_folder, ModelOptions(loras=(LoraFile(file=tmp_path / "nowhere.safetensors"),))).checkpoint  # noqa: B018
