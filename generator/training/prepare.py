"""Paints studio pictures and stores their latents in shards. `python -m generator.training.prepare --help`.

Most of a cover is quiet ground, from which there is little to learn: most shards hold windows, the subject and a token around
it, all of one layout; the others hold whole canvases. A shard keeps only the seed of each scene: the scene, and so its
captions, can be made again from it.
"""

import argparse
import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from random import Random

import skia
import torch
from torch import Tensor

from generator.checkpoint import Autoencoder, load_vae
from generator.latents import pack
from generator.native import CANVASES, TOKEN_PX
from generator.studio.scene import Scene, lay_out, paint, paint_part, sample_scene
from generator.training.narrow import narrow

SIZES = {"window": 32, "whole": 16}
"""Pictures of a shard."""
RIM = 1
"""Tokens of ground around the subject in a window."""
MARGIN_PX = 32
"""Painted and encoded around a window, and cut off again: a convolution should not see an edge where there is none."""


@dataclass(frozen=True)
class Window:
    """A part of a canvas, in tokens."""

    top: int
    left: int
    rows: int
    columns: int

    def numbers(self, columns: int) -> Tensor:
        """[T]: which tokens of a canvas with so many columns it shows."""
        rows = self.top + torch.arange(self.rows)
        return (rows[:, None] * columns + self.left + torch.arange(self.columns)).flatten()


def find_window(scene: Scene, canvas: tuple[int, int]) -> Window:
    """The window of the scene's subjects: the same for all scenes of one layout."""
    boxes = lay_out(scene, *canvas)
    left = max(min(box.column for box in boxes) - RIM, 0)
    top = max(min(box.row for box in boxes) - RIM, 0)
    right = min(max(box.column + box.size for box in boxes) + RIM, canvas[0])
    bottom = min(max(box.row + box.size for box in boxes) + RIM, canvas[1])
    return Window(top, left, bottom - top, right - left)


def draw_alike(first: int, count: int) -> Iterator[int]:
    """`count` seeds from `first` on, of scenes with the layout of the first one."""
    model = sample_scene(Random(first))
    for seed in itertools.count(first):
        scene = sample_scene(Random(seed))
        if (scene.place, scene.arrangement) == (model.place, model.arrangement):
            yield seed
            count -= 1
        if not count:
            return


def encode_scene(vae: Autoencoder, scene: Scene, canvas: tuple[int, int], window: Window | None) -> Tensor:
    """Tokens [1, T, C*4] of the scene's window, or of the whole canvas."""
    if window is None:
        picture = paint(scene, canvas[0] * TOKEN_PX, canvas[1] * TOKEN_PX)
    else:
        area = skia.IRect.MakeXYWH(*(side * TOKEN_PX for side in (window.left, window.top, window.columns, window.rows)))
        picture = paint_part(scene, *canvas, area.makeOutset(MARGIN_PX, MARGIN_PX))
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad(), narrow():
        latents = vae.encode(pixels.to(memory_format=torch.channels_last))
    return pack(latents if window is None else latents[:, :, 1:-1, 1:-1]).to(torch.bfloat16)


@cache
def _load(folder: Path) -> Autoencoder:
    vae = load_vae(folder)
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return vae


def prepare_shard(kind: str, canvas: tuple[int, int], number: int, vae_folder: Path, target: Path) -> Path:
    """Paint and encode one shard, unless it is there already. Returns its file."""
    file = target / f"{kind}-{canvas[0]}x{canvas[1]}-{number:04d}.pt"
    if file.exists():
        return file
    torch.set_num_threads(1)
    vae = _load(vae_folder)
    first = ((list(SIZES).index(kind) * len(CANVASES) + CANVASES.index(canvas)) * 1000 + number) * 20_000
    count = SIZES[kind]
    seeds = list(draw_alike(first, count) if kind == "window" else range(first, first + count))
    window = find_window(sample_scene(Random(first)), canvas) if kind == "window" else None
    tokens = torch.cat([encode_scene(vae, sample_scene(Random(seed)), canvas, window) for seed in seeds])
    content = {"seeds": seeds, "tokens": tokens, "canvas": canvas, "window": window and astuple(window)}
    torch.save(content, file.with_suffix(".partial"))
    os.replace(file.with_suffix(".partial"), file)
    return file


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    parser.add_argument("--windows", type=int, default=45, help=f"shards of {SIZES['window']} windows, for each canvas")
    parser.add_argument("--wholes", type=int, default=14, help=f"shards of {SIZES['whole']} whole pictures, for each canvas")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    target = chosen.folder / "latents"
    target.mkdir(parents=True, exist_ok=True)
    wanted = [(kind, canvas, number) for kind, count in (("window", chosen.windows), ("whole", chosen.wholes))
              for number in range(count) for canvas in CANVASES]
    with ProcessPoolExecutor(chosen.workers) as workers:
        jobs = [workers.submit(prepare_shard, *one, chosen.folder / "vae", target) for one in wanted]
        for done, job in enumerate(jobs, 1):
            print(f"{done}/{len(jobs)} {job.result().name}", flush=True)


if __name__ == "__main__":
    main()
