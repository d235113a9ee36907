"""Trains the scorer of generator.evaluation.aesthetic. `python -m generator.training.train_aesthetic --help`.

Good are studio pictures, and studio pictures through the autoencoder: what the autoencoder does to every picture is no fault of
the generator. Bad are the same pictures with planted flaws, and what the generator painted before it was rewarded.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import skia
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from generator.checkpoint import load_vae
from generator.evaluation.aesthetic import FILE, Scorer, pool
from generator.latents import unpack
from generator.native import CANVASES, TOKEN_PX
from generator.studio.scene import lay_out, paint_part, sample_scene
from generator.training.average import WeightAverage
from generator.training.flaws import FLAWS
from generator.training.narrow import narrow

SIDE, CROP_PX = 10, 448
"""Tokens along a window's side, and pixels along the side of what is learned from it."""
BATCH = 16
LEARNING_RATE = 2e-3
NOT_HERE = ("clipped",)
"""Flaws that cannot be seen in a window of a picture."""


@dataclass(frozen=True, kw_only=True)
class Pools:
    """Pictures [3, H, W] 8-bit: good ones, flawed ones by flaw, and generated ones."""

    good: list[Tensor]
    flawed: dict[str, list[Tensor]]
    generated: list[Tensor]


def paint_window(rng: Random) -> np.ndarray:
    """A window of a fresh studio picture, [640, 640, 3], with the middle of its first subject."""
    canvas, scene = rng.choice(CANVASES), sample_scene(rng)
    box = lay_out(scene, *canvas)[-1]
    column, row = (min(max(place + box.size // 2 - rng.randint(3, 7), 0), limit - SIDE)
                   for place, limit in ((box.column, canvas[0]), (box.row, canvas[1])))
    side = SIDE * TOKEN_PX
    return paint_part(scene, *canvas, skia.IRect.MakeXYWH(column * TOKEN_PX, row * TOKEN_PX, side, side))


@torch.no_grad()
def decode_some(vae_folder: Path, files: list[Path], count: int) -> list[Tensor]:
    """Pictures [3, H, W] from shards of whole canvases (tokens [N, T, C*4], canvas), as many of each."""
    vae = load_vae(vae_folder).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures: list[Tensor] = []
    for file in files:
        content = torch.load(file, weights_only=True)
        tokens = content["tokens"][: -(-count // max(len(files), 1))].float()
        for latents in unpack(tokens, content["canvas"][::-1]).split(1):
            pictures.append(((vae.decode(latents)[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8))
    return pictures[:count]


def fill_pools(folder: Path, count: int, rng: Random) -> Pools:
    """`count` good windows, half of them decoded from prepared latents; as many flawed; all of folder/generated/*.pt."""
    painted = [paint_window(rng) for _ in range(count)]
    names = [name for name in FLAWS if name not in NOT_HERE]
    flawed: dict[str, list[Tensor]] = {name: [] for name in names}
    for number, picture in enumerate(painted):
        name = names[number % len(names)]
        flawed[name].append(_as_tensor(FLAWS[name](picture, rng)))
    files = sorted((folder / "latents").glob("whole-*.pt"))
    good = [_as_tensor(picture) for picture in painted[:count // 2]]
    good += decode_some(folder / "vae", files, count // 2)
    generated = decode_some(folder / "vae", sorted((folder / "generated").glob("*.pt")), count)
    return Pools(good=good, flawed=flawed, generated=generated)


def _as_tensor(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)


def draw_batch(pools: Pools, rng: Random) -> tuple[Tensor, Tensor]:
    """(pixels [16, 3, 448, 448] in -1..1, labels [16]): one half good; the other flawed, or generated where there are any."""
    crops, labels = [], []
    for number in range(BATCH):
        is_good = number % 2 == 0
        if is_good:
            picture = rng.choice(pools.good)
        elif pools.generated and rng.random() < 0.4:
            picture = rng.choice(pools.generated)
        else:
            picture = rng.choice(pools.flawed[rng.choice(list(pools.flawed))])
        top, left = (rng.randint(0, side - CROP_PX) for side in picture.shape[1:])
        crop = picture[:, top:top + CROP_PX, left:left + CROP_PX]
        crops.append(crop.flip(2) if rng.random() < 0.5 else crop)
        labels.append(float(is_good))
    return torch.stack(crops).float() / 127.5 - 1, torch.tensor(labels)


def train(minutes: float, folder: Path, count: int = 420, seed: int = 0) -> Scorer:
    """Train for `minutes` and write the scorer's file; a line every 50 steps."""
    torch.manual_seed(seed)
    rng, scorer = Random(seed), Scorer()
    pools = fill_pools(folder, count, rng)
    print(f"{len(pools.good)} good, {sum(map(len, pools.flawed.values()))} flawed, {len(pools.generated)} generated", flush=True)
    optimizer = torch.optim.AdamW(scorer.parameters(), lr=LEARNING_RATE, weight_decay=0.02)
    average, step, share, losses, started = WeightAverage(scorer, decay=0.99), 0, 0.0, [], time.monotonic()
    while share < 1:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / 50) * max(1 - share, 0.02)
        pixels, labels = draw_batch(pools, rng)
        with narrow():
            logits = scorer(pixels.to(memory_format=torch.channels_last))
        loss = F.binary_cross_entropy_with_logits(pool(logits.float()), 0.04 + 0.92 * labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update(scorer)
        losses.append(loss.item())
        step, share = step + 1, (time.monotonic() - started) / (minutes * 60)
        if step % 50 == 0:
            print(f"step {step} · {time.monotonic() - started:.0f} s · loss {sum(losses[-50:]) / 50:.3f}", flush=True)
    average.copy_to(scorer)
    FILE.parent.mkdir(exist_ok=True)
    save_file({name: tensor.to(torch.float16).contiguous() for name, tensor in scorer.state_dict().items()}, FILE)
    return scorer.eval()


@torch.no_grad()
def measure(scorer: Scorer, count: int = 60, seed: int = 4242) -> dict[str, float]:
    """Share of fresh pictures that are told right: good ones, and those with each flaw."""
    rng = Random(seed)
    painted = [paint_window(rng) for _ in range(count)]

    def share_good(pictures: list[np.ndarray]) -> float:
        logits = [pool(scorer(_as_tensor(picture)[None].float() / 127.5 - 1)) for picture in pictures]
        return float((torch.cat(logits) > 0).float().mean())

    right = {name: 1 - share_good([flaw(picture, rng) for picture in painted[::3]]) for name, flaw in FLAWS.items()
             if name not in NOT_HERE}
    return {"good": share_good(painted), **right}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    chosen = parser.parse_args()
    for name, share in measure(train(chosen.minutes, chosen.folder)).items():
        print(f"{name:10} {share:.3f}")


if __name__ == "__main__":
    main()
