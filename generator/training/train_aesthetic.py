"""Trains the scorer of generator.evaluation.aesthetic. `python -m generator.training.train_aesthetic --help`.

It starts from the judge. Good are studio pictures, and studio pictures through the autoencoder: what the autoencoder does to
every picture is no fault of the generator. Bad are the parts that a planted flaw has changed, and what the generator painted
before it was rewarded.
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
from generator.evaluation.judge import CELL_PX, load_judge, make_view
from generator.latents import unpack
from generator.native import CANVASES, TOKEN_PX
from generator.studio.scene import lay_out, paint_part, sample_scene
from generator.training.average import WeightAverage
from generator.training.flaws import FLAWS
from generator.training.narrow import narrow

SIDE = 10
"""Tokens along a window's side."""
BATCH = 24
LEARNING_RATE = 1e-3
FRESH = ("blur", "smear", "broken", "text")
"""Flaws that look the same planted in a picture as small as a view: every batch has new ones. JPEG's blocks do not."""
FIXED_SHARE = 0.3
"""Of a batch's bad windows, from the pools."""
NOT_HERE = ("clipped", "noise", "banding", "washed", "dark", "blown")
"""Flaws that cannot be seen in a view of a part: curation measures them."""
UNTOUCHED, CHANGED = 0.6, 2.5
"""Mean difference of a part, of 255, up to which a flaw has left it as it was, and from which it is bad."""
DOUBT = 0.25
"""How much what the generator painted counts as bad: most of it is not."""
LOST = 1 / 200
"""Share of good pictures that may be scored below 0.5."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A window's view [3, 120, 120], 8-bit, and for each of its parts [10, 10] whether it is good, and how much that counts."""

    view: Tensor
    good: Tensor
    weight: Tensor


Pools = dict[str, list[Sample]]
"""Samples by kind: "good", "generated", or a flaw's name."""


def label_whole(view: Tensor, *, is_good: bool, weight: float = 1.0) -> Sample:
    """A sample whose parts are all alike."""
    parts = torch.ones(SIDE, SIDE)
    return Sample(view=view, good=parts * is_good, weight=parts * weight)


def label_parts(picture: np.ndarray, flawed: np.ndarray) -> Sample:
    """A flawed window [S, S, 3], part by part, beside what it was; parts in between do not count."""
    apart = torch.from_numpy(np.abs(picture.astype(np.int16) - flawed).astype(np.float32).mean(-1))
    change = F.avg_pool2d(apart[None, None], len(picture) // SIDE)[0, 0]
    return Sample(view=shrink(flawed), good=(change <= UNTOUCHED).float(),
                  weight=((change <= UNTOUCHED) | (change >= CHANGED)).float())


def paint_window(rng: Random, scale: float = 1) -> np.ndarray:
    """A window of a fresh studio picture, [640, 640, 3] or as much smaller, with the middle of its first subject."""
    canvas, scene = rng.choice(CANVASES), sample_scene(rng)
    box = lay_out(scene, *canvas)[-1]
    column, row = (min(max(place + box.size // 2 - rng.randint(3, 7), 0), limit - SIDE)
                   for place, limit in ((box.column, canvas[0]), (box.row, canvas[1])))
    side = SIDE * TOKEN_PX
    return paint_part(scene, *canvas, skia.IRect.MakeXYWH(column * TOKEN_PX, row * TOKEN_PX, side, side), scale)


def shrink(window: np.ndarray) -> Tensor:
    """[3, 120, 120], 8-bit: what the scorer sees of a window [S, S, 3]."""
    pixels = torch.from_numpy(np.array(window)).permute(2, 0, 1)[None].float()
    small = F.interpolate(pixels, size=[SIDE * CELL_PX] * 2, mode="bilinear", antialias=True, align_corners=False)
    return small[0].round().clamp(0, 255).to(torch.uint8)


@torch.no_grad()
def decode_windows(vae_folder: Path, files: list[Path], count: int, rng: Random) -> list[Tensor]:
    """Views [3, 120, 120] of the busiest places of shards of whole canvases (tokens [N, T, C*4], canvas), as many of each."""
    vae = load_vae(vae_folder).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    views: list[Tensor] = []
    for file in files:
        content = torch.load(file, weights_only=True)
        tokens = content["tokens"][: -(-count // max(len(files), 1))].float()
        for latents in unpack(tokens, content["canvas"][::-1]).split(1):
            pixels = ((vae.decode(latents)[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            views.append(_cut_busiest(make_view(pixels.permute(1, 2, 0).numpy()), rng))
    return views[:count]


def _cut_busiest(view: Tensor, rng: Random) -> Tensor:
    """[3, 120, 120], 8-bit, along tokens, of a view in -1..1."""
    side, cuts = SIDE * CELL_PX, list[Tensor]()
    for _ in range(5):
        top, left = (CELL_PX * rng.randint(0, (length - side) // CELL_PX) for length in view.shape[1:])
        cuts.append(view[:, top:top + side, left:left + side])
    busiest = max(cuts, key=lambda cut: float(cut.diff(dim=2).abs().mean()))
    return ((busiest + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def fill_pools(folder: Path, count: int, rng: Random) -> Pools:
    """`count` windows painted at full size, half of them flawed; and as many of each, where there are, decoded from prepared
    latents and from folder/generated/*.pt.
    """
    names = [name for name in FLAWS if name not in NOT_HERE]
    pools: Pools = {name: [] for name in ("good", *names, "generated")}
    for number in range(count):
        picture, name = paint_window(rng), names[number % len(names)]
        if number % 2:
            pools["good"].append(label_whole(shrink(picture), is_good=True))
        else:
            pools[name].append(label_parts(picture, FLAWS[name](picture, rng)))
    print(f"{count} windows painted", flush=True)
    for kind, source in (("good", "latents"), ("generated", "generated")):
        views = decode_windows(folder / "vae", sorted((folder / source).glob("whole-*.pt")), count, rng)
        pools[kind] += [label_whole(view, is_good=kind == "good", weight=1.0 if kind == "good" else DOUBT) for view in views]
    return {kind: samples for kind, samples in pools.items() if samples}


def plant_fresh(rng: Random) -> Sample:
    """A flaw in a window that is painted as small as a view."""
    picture = paint_window(rng, CELL_PX / TOKEN_PX)
    return label_parts(picture, FLAWS[rng.choice(FRESH)](picture, rng))


def draw_batch(pools: Pools, rng: Random) -> tuple[Tensor, Tensor, Tensor]:
    """(views [B, 3, 120, 120] in -1..1, good [B, 10, 10], weight [B, 10, 10]): one third good, the rest of the other kinds."""
    kinds = [kind for kind in pools if kind != "good"]
    samples = []
    for number in range(BATCH):
        if number % 3 and rng.random() >= FIXED_SHARE:
            samples.append(plant_fresh(rng))
        elif number % 3 or rng.random() < 0.5:
            samples.append(rng.choice(pools[rng.choice(kinds) if number % 3 else "good"]))
        else:
            samples.append(label_whole(shrink(paint_window(rng, CELL_PX / TOKEN_PX)), is_good=True))
    turns = [rng.random() < 0.5 for _ in samples]

    def stack(tensors: list[Tensor]) -> Tensor:
        return torch.stack([tensor.flip(-1) if turn else tensor for tensor, turn in zip(tensors, turns, strict=True)]).float()

    views = stack([sample.view for sample in samples]) / 127.5 - 1
    return views, stack([sample.good for sample in samples]), stack([sample.weight for sample in samples])


def scoring_loss(logits: Tensor, good: Tensor, weight: Tensor) -> Tensor:
    """Cross entropy of parts [B, h, w]; the good and the bad of a batch count alike."""
    loss = F.binary_cross_entropy_with_logits(logits, 0.02 + 0.96 * good, reduction="none") * weight
    sides = [(loss * side).sum() / (weight * side).sum().clamp_min(1) for side in (good, 1 - good)]
    return (sides[0] + sides[1]) / 2


def start_from_judge() -> Scorer:
    """A scorer that sees what the judge sees, and has no opinion yet."""
    scorer, judge = Scorer(), load_judge()
    scorer.load_state_dict({**judge.state_dict(), **{f"head.{name}": value for name, value in scorer.head.state_dict().items()}})
    return scorer


def train(minutes: float, folder: Path, count: int = 240, seed: int = 0) -> Scorer:
    """Train for `minutes` and write the scorer's file; a line every 50 steps."""
    torch.manual_seed(seed)
    rng, scorer = Random(seed), start_from_judge()
    pools = fill_pools(folder, count, rng)
    print({kind: len(samples) for kind, samples in pools.items()}, flush=True)
    optimizer = torch.optim.AdamW(scorer.parameters(), lr=LEARNING_RATE, weight_decay=0.02)
    average, step, share, losses, started = WeightAverage(scorer, decay=0.99), 0, 0.0, [], time.monotonic()
    while share < 1:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / 50) * max(1 - share, 0.02)
        views, good, weight = draw_batch(pools, rng)
        with narrow():
            logits = scorer(views)
        loss = scoring_loss(logits.float(), good, weight)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(scorer.parameters(), 2.0)
        optimizer.step()
        average.update(scorer)
        losses.append(loss.item())
        step, share = step + 1, (time.monotonic() - started) / (minutes * 60)
        if step % 50 == 0:
            print(f"step {step} · {time.monotonic() - started:.0f} s · loss {sum(losses[-50:]) / 50:.3f}", flush=True)
    average.copy_to(scorer)
    calibrate(scorer.eval(), [paint_window(rng) for _ in range(300)])
    FILE.parent.mkdir(exist_ok=True)
    save_file({name: tensor.to(torch.float16).contiguous() if tensor.is_floating_point() else tensor
               for name, tensor in scorer.state_dict().items()}, FILE)
    return scorer


@torch.no_grad()
def weigh(scorer: Scorer, windows: list[np.ndarray]) -> Tensor:
    """Logits [N] of windows."""
    return torch.cat([pool(scorer(shrink(window)[None].float() / 127.5 - 1)) for window in windows])


@torch.no_grad()
def calibrate(scorer: Scorer, good: list[np.ndarray]) -> None:
    """Shift all logits so that no more than the share that may be lost of `good` windows is below 0."""
    assert scorer.head.bias is not None
    scorer.head.bias -= torch.quantile(weigh(scorer, good), LOST)


def measure(scorer: Scorer, count: int = 60, seed: int = 4242) -> dict[str, float]:
    """Share of fresh windows that are told right: good ones, and those with each flaw."""
    rng = Random(seed)
    painted = [paint_window(rng) for _ in range(count)]
    flawed = {name: [flaw(picture, rng) for picture in painted[::3]] for name, flaw in FLAWS.items() if name not in NOT_HERE}
    return {"good": float((weigh(scorer, painted) > 0).float().mean()),
            **{name: float((weigh(scorer, windows) <= 0).float().mean()) for name, windows in flawed.items()}}


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
