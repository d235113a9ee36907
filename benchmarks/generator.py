"""Our networks against diffusers on the same random weights, in one run: time and peak memory, as ratios.

python -m benchmarks.generator; one JSON line.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import psutil
import torch
from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel

from generator.checkpoint import load_transformer, load_vae
from generator.config import MINI
from generator.latents import restore

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

    def run_ours():
        return ours(img, txt, sigma, grid=(rows, columns), txt_mask=mask)

    difference = (run_reference() - run_ours()).abs().max().item()
    return measure({"reference": run_reference, "ours": run_ours}), difference


def compare_vae(folder, side, rounds):
    reference = AutoencoderKLQwenImage().eval()
    reference.save_pretrained(folder)
    ours, narrow = load_vae(folder), load_vae(folder, dtype=torch.bfloat16)
    latents, pixels = torch.randn(1, 16, side // 8, side // 8), torch.rand(1, 3, side, side) * 2 - 1
    raw = restore(latents, ours.config)
    decode = {"reference": lambda: reference.decode(raw[:, :, None]).sample, "ours": lambda: ours.decode(latents),
              "ours bfloat16": lambda: narrow.decode(latents.bfloat16())}
    encode = {"reference": lambda: reference.encode(pixels[:, :, None]).latent_dist.mode(), "ours": lambda: ours.encode(pixels),
              "ours bfloat16": lambda: narrow.encode(pixels.bfloat16())}
    difference = (reference.decode(raw[:, :, None]).sample[:, :, 0] - ours.decode(latents)).abs().max().item()
    return {"decode": measure(decode, rounds), "encode": measure(encode, rounds)}, difference


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
    for row in rows:
        row["ratio"] = round(row["reference"] / row["ours"], 2)
        if "ours bfloat16" in row:
            row["ratio bfloat16"] = round(row["reference"] / row["ours bfloat16"], 2)
    return {"threads": torch.get_num_threads(), "peak_rss_mb": round(psutil.Process().memory_info().rss / 2**20), "rows": rows}


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(json.dumps(run()))


if __name__ == "__main__":
    main()
