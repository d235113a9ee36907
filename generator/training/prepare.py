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
from generator.studio.scene import paint, sample_scene

SHARD = 256
SIZES = {"square-small": (512, 512), "wide-small": (640, 320), "tall-small": (384, 512),
         "square": (1024, 1024), "wide": (1216, 640), "tall": (768, 1024)}
"""Name of a bucket to width and height in pixels; every side divides by 64 (one token)."""


@torch.no_grad()
def prepare_shard(bucket: str, number: int, vae_folder: Path, target: Path) -> Path:
    """Paint and encode one shard, unless it is there already. Returns its file."""
    file = target / f"{bucket}-{number:04d}.pt"
    if file.exists():
        return file
    torch.set_num_threads(1)
    vae = load_vae(vae_folder)
    width, height = SIZES[bucket]
    first = (sorted(SIZES).index(bucket) * 10_000 + number) * SHARD
    seeds, tokens = [], []
    for seed in range(first, first + SHARD):
        picture = torch.from_numpy(paint(sample_scene(Random(seed)), width, height)).permute(2, 0, 1)[None]
        tokens.append(pack(vae.encode(picture.float() / 127.5 - 1)).to(torch.bfloat16))
        seeds.append(seed)
    torch.save({"seeds": seeds, "tokens": torch.cat(tokens), "grid": (height // 64, width // 64)}, file.with_suffix(".partial"))
    os.replace(file.with_suffix(".partial"), file)
    return file


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    parser.add_argument("--shards", nargs="+", metavar="BUCKET=COUNT", help=f"buckets: {', '.join(SIZES)}", required=True)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    target = chosen.folder / "latents"
    target.mkdir(parents=True, exist_ok=True)
    wanted = [(bucket, number) for item in chosen.shards for bucket, count in [item.split("=")] for number in range(int(count))]
    wanted.sort(key=lambda pair: pair[1])
    with ProcessPoolExecutor(chosen.workers) as workers:
        jobs = [workers.submit(prepare_shard, bucket, number, chosen.folder / "vae", target) for bucket, number in wanted]
        for done, job in enumerate(jobs, 1):
            print(f"{done}/{len(jobs)} {job.result().name}", flush=True)


if __name__ == "__main__":
    main()
