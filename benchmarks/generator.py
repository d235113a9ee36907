"""Our networks against diffusers on the same random weights, in one run: time and peak memory, as ratios.

python -m benchmarks.generator; one JSON line.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)

from benchmarks.loading import Peak
from generator.checkpoint import load_transformer, load_vae
from generator.config import MINI
from generator.denoise import Draft
from generator.latents import draw_noise, restore
from generator.pipeline import CoverPainter
from tests.generator.published import build_text_encoder, build_tokenizer

ROUNDS = 8
WIDE = {"num_layers": 4, "attention_head_dim": 128, "num_attention_heads": 8, "joint_attention_dim": 768,
        "axes_dims_rope": (16, 56, 56)}
BUNDLED = {key: getattr(MINI, key) for key in (*WIDE, "in_channels", "out_channels")}


def measure(calls, rounds=ROUNDS):
    """Best seconds of each call, taken in turns so that a disturbance meets them all."""
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def measure_memory(who, what, folder):
    """Peak bytes of one call above what lay there before it, in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.generator", "--memory", who, what, str(folder)], check=True,
                          stdout=subprocess.PIPE, text=True)
    return int(done.stdout.splitlines()[-1])


@torch.inference_mode()
def watch_memory(who, what, folder):
    """What `measure_memory` asks of its child."""
    if what == "vae":
        network = AutoencoderKLQwenImage.from_pretrained(folder) if who == "reference" else load_vae(folder)
        latents = torch.randn(1, 16, 64, 64)
        call = (lambda: network.decode(latents[:, :, None]).sample) if who == "reference" else (lambda: network.decode(latents))
    else:
        network = QwenImageTransformer2DModel.from_pretrained(folder) if who == "reference" else load_transformer(folder)
        img, txt, sigma = torch.randn(2, 1024, 64), torch.randn(2, 64, WIDE["joint_attention_dim"]), torch.full((2,), 0.5)
        call = (lambda: network(hidden_states=img, encoder_hidden_states=txt, timestep=sigma, img_shapes=[[(1, 32, 32)]] * 2)
                ) if who == "reference" else (lambda: network(img, txt, sigma, grid=(32, 32)))
    for parameter in network.parameters():  # the reference maps its file: what is read in the call is no memory of the call
        _ = parameter.is_mkldnn or parameter.sum()
    watch = Peak()
    before = psutil.Process().memory_info().rss
    watch.start()
    call()
    watch.stop()
    return watch.all - before


def compare_transformer(folder, sizes, rows, columns, text_tokens, batch):
    reference = QwenImageTransformer2DModel(**sizes).eval()
    reference.save_pretrained(folder)
    ours = load_transformer(folder)
    config = ours.config
    img, txt = torch.randn(batch, rows * columns, config.in_channels), torch.randn(batch, text_tokens, config.joint_attention_dim)
    sigma, shapes = torch.full((batch,), 0.5), [[(1, rows, columns)]] * batch
    mask = torch.ones(batch, text_tokens, dtype=torch.bool)

    def run_reference():
        return reference(hidden_states=img, encoder_hidden_states=txt, encoder_hidden_states_mask=mask, timestep=sigma,
                         img_shapes=shapes, return_dict=False)[0]

    modulation = ours.modulate(sigma[:1])  # made for all steps of a picture at once

    def run_ours():
        return ours(img, txt, modulation, grid=(rows, columns))

    difference = (run_reference() - run_ours()).abs().max().item()
    return measure({"reference": run_reference, "ours": run_ours}), difference


def compare_vae(folder, side, rounds):
    reference = AutoencoderKLQwenImage().eval()
    reference.save_pretrained(folder)
    ours, narrow = load_vae(folder), load_vae(folder, precision="bfloat16")
    latents, pixels = torch.randn(1, 16, side // 8, side // 8), torch.rand(1, 3, side, side) * 2 - 1
    raw = restore(latents, ours.config)
    decode = {"reference": lambda: reference.decode(raw[:, :, None]).sample, "ours": lambda: ours.decode(latents),
              "ours bfloat16": lambda: narrow.decode(latents.bfloat16())}
    encode = {"reference": lambda: reference.encode(pixels[:, :, None]).latent_dist.mode(), "ours": lambda: ours.encode(pixels),
              "ours bfloat16": lambda: narrow.encode(pixels.bfloat16())}
    difference = (reference.decode(raw[:, :, None]).sample[:, :, 0] - ours.decode(latents)).abs().max().item()
    return {"decode": measure(decode, rounds), "encode": measure(encode, rounds)}, difference


def compare_pictures(folder, cases):
    """Prompt to pixels by diffusers' QwenImagePipeline and by ours: the whole autoencoder, a smaller transformer."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    reference = QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(base_image_seq_len=256, base_shift=0.5, max_image_seq_len=8192, max_shift=0.9,
                                                  shift_terminal=0.02, use_dynamic_shifting=True),
        vae=AutoencoderKLQwenImage(), tokenizer=tokenizer, text_encoder=build_text_encoder(len(tokenizer), 768),
        transformer=QwenImageTransformer2DModel(**WIDE))
    reference.set_progress_bar_config(disable=True)
    reference.save_pretrained(folder)
    painter = CoverPainter(folder)
    for side, steps, guidance in cases:
        calls = picture_calls(reference, painter, side, steps, guidance)
        difference = (calls["reference"]() - calls["ours"]()).abs().max().item()
        yield {"what": f"whole picture {side}x{side}, {steps} steps, guidance {guidance:g}", **measure(calls, 1),
               "difference": difference}


def picture_calls(reference, painter, side, steps, guidance):
    grid = (side // 16, side // 16)
    draft = Draft(prompt="云原生 cloud", negative="模糊", grid=grid, steps=steps, guidance=guidance, seed=0)

    def run_reference():
        return reference(prompt=draft.prompt, negative_prompt=draft.negative if guidance > 1 else None, true_cfg_scale=guidance,
                         width=side, height=side, num_inference_steps=steps, latents=draw_noise(grid, 16, 0),
                         output_type="pt").images[0]

    def run_ours():
        latents, = painter.sample([draft], painter.checkpoint)
        return (painter.decode(latents) + 1) / 2

    return {"reference": run_reference, "ours": run_ours}


@torch.inference_mode()
def run():
    """All comparisons as plain values."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, sizes, tokens, text, batch in (
                ("bundled", BUNDLED, (16, 16), 8, 2), ("bundled", BUNDLED, (10, 19), 8, 2), ("wide", WIDE, (32, 32), 64, 1),
                ("wide", WIDE, (32, 32), 64, 2), ("wide", WIDE, (40, 75), 64, 1)):
            seconds, difference = compare_transformer(folder / "transformer", sizes, *tokens, text, batch)
            rows.append({"what": f"transformer, {name}, {tokens[0]}x{tokens[1]} tokens, batch {batch}", **seconds,
                         "difference": difference})
        parts, difference = compare_vae(folder / "vae", 256, 3)
        rows += [{"what": f"autoencoder {part} 256x256", **seconds, "difference": difference} for part, seconds in parts.items()]
        decode = next(row for row in rows if "decode" in row["what"])
        decode["memory"] = [measure_memory(who, "vae", folder / "vae") for who in ("reference", "ours")]
        wide = next(row for row in rows if "wide" in row["what"] and "batch 2" in row["what"])
        QwenImageTransformer2DModel(**WIDE).save_pretrained(folder / "memory")
        wide["memory"] = [measure_memory(who, "transformer", folder / "memory") for who in ("reference", "ours")]
        rows += compare_pictures(folder / "whole", ((256, 20, 4.0), (512, 4, 1.0)))
    for row in rows:
        row["ratio"] = round(row["reference"] / row["ours"], 2)
        if "ours bfloat16" in row:
            row["ratio bfloat16"] = round(row["reference"] / row["ours bfloat16"], 2)
    return {"threads": torch.get_num_threads(), "rows": rows,
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", nargs=3, metavar=("WHO", "WHAT", "FOLDER"), help="asked by the parent process")
    chosen = parser.parse_args()
    print(watch_memory(*chosen.memory) if chosen.memory else json.dumps(run()))


if __name__ == "__main__":
    main()
