"""Paints studio pictures and stores their latents in shards. `python -m generator.training.prepare --help`.

A shard keeps only the seed of each scene: the scene, and so its captions, can be made again from it.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

import torch

from generator.checkpoint import load_vae
from generator.latents import pack
from generator.native import CANVASES, TOKEN_PX
from generator.studio.scene import paint, sample_scene

SHARD = 256


@torch.no_grad()
def prepare_shard(canvas: tuple[int, int], number: int, vae_folder: Path, target: Path) -> Path:
    """Paint and encode one shard, unless it is there already. Returns its file."""
    file = target / f"{canvas[0]}x{canvas[1]}-{number:04d}.pt"
    if file.exists():
        return file
    torch.set_num_threads(1)
    vae = load_vae(vae_folder).to(memory_format=torch.channels_last)
    width, height = canvas[0] * TOKEN_PX, canvas[1] * TOKEN_PX
    first = (CANVASES.index(canvas) * 10_000 + number) * SHARD
    seeds, tokens = list(range(first, first + SHARD)), []
    for seed in seeds:
        picture = torch.from_numpy(paint(sample_scene(Random(seed)), width, height)).permute(2, 0, 1)[None]
        with torch.autocast("cpu", torch.bfloat16):
            tokens.append(pack(vae.encode(picture.float() / 127.5 - 1)).to(torch.bfloat16))
    torch.save({"seeds": seeds, "tokens": torch.cat(tokens), "grid": (canvas[1], canvas[0])}, file.with_suffix(".partial"))
    os.replace(file.with_suffix(".partial"), file)
    return file


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    parser.add_argument("--shards", type=int, default=8, help=f"of {SHARD} pictures, for each canvas")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    target = chosen.folder / "latents"
    target.mkdir(parents=True, exist_ok=True)
    wanted = [(canvas, number) for number in range(chosen.shards) for canvas in CANVASES]
    with ProcessPoolExecutor(chosen.workers) as workers:
        jobs = [workers.submit(prepare_shard, canvas, number, chosen.folder / "vae", target) for canvas, number in wanted]
        for done, job in enumerate(jobs, 1):
            print(f"{done}/{len(jobs)} {job.result().name}", flush=True)


if __name__ == "__main__":
    main()
