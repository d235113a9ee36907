"""Trains the bundled autoencoder on studio pictures. `python -m generator.training.train_vae --help`."""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from generator.checkpoint import load_vae
from generator.config import MiniVAEConfig
from generator.mini_vae import MiniVAE
from generator.native import CANVASES, TOKEN_PX
from generator.studio.scene import paint, sample_scene
from generator.training.average import WeightAverage
from generator.training.budget import Budget
from generator.training.curves import write_point
from generator.training.narrow import narrow
from generator.training.resume import load_state, save_state

CROP_PX, LATENT_PX = 128, 32
ALIGNED_SHARE = 0.6
"""Of the crops: on the grid of latents and not mirrored, as the diffusion transformer's pictures come. The rest: anywhere."""
SMOOTH, RIPPLE = 2.5 / 127.5, 12.0
"""Differences below which a place is smooth, and the weight of ripples there when the decoder is polished."""
SMOOTH_LEVELS = 2.0
"""Ripples that a decoder of this size leaves, by trying (docs/training.md)."""
BATCH = 16
LEARNING_RATE, POLISH_RATE = 1e-3, 3e-4


def paint_pool(count: int, seed: int) -> list[Tensor]:
    """`count` whole pictures, [3, H, W] 8-bit, of the native canvases."""
    rng = Random(seed)
    return [_paint_one(rng) for _ in range(count)]


def _paint_one(rng: Random) -> Tensor:
    width, height = (side * TOKEN_PX for side in rng.choice(CANVASES))
    return torch.from_numpy(paint(sample_scene(rng), width, height)).permute(2, 0, 1)


def sample_crops(pool: list[Tensor], rng: Random, tries: int = 3) -> Tensor:
    """[BATCH, 3, CROP_PX, CROP_PX] in -1..1, those off the grid mirrored and turned at random. Of so many places the busiest is
    taken: most of a cover is quiet ground, from which there is little to learn.
    """
    crops = []
    for _ in range(BATCH):
        picture, aligned = rng.choice(pool), rng.random() < ALIGNED_SHARE
        step = LATENT_PX if aligned else 1
        places = [tuple(step * rng.randint(0, (side - CROP_PX) // step) for side in picture.shape[1:]) for _ in range(tries)]
        candidates = [picture[:, top:top + CROP_PX, left:left + CROP_PX] for top, left in places]
        crop = max(candidates, key=lambda one: float(one[:, ::4, ::4].float().diff(dim=2).abs().mean()))
        if aligned:
            crops.append(crop)
            continue
        crop = crop.flip(2) if rng.random() < 0.5 else crop
        crops.append(crop.transpose(1, 2) if rng.random() < 0.5 else crop)
    return torch.stack(crops).float() / 127.5 - 1


def sample_blocks(pool: list[Tensor], rng: Random, count: int = 12_000) -> Tensor:
    """[count, 3, 32, 32] in -1..1: blocks at random places."""
    blocks = []
    for _ in range(count):
        picture = rng.choice(pool)
        top, left = (rng.randint(0, side - 32) for side in picture.shape[1:])
        blocks.append(picture[:, top:top + 32, left:left + 32])
    return torch.stack(blocks).float() / 127.5 - 1


def reconstruction_loss(out: Tensor, target: Tensor) -> Tensor:
    """L1 on pixels plus L1 on differences between neighbours, which keeps edges sharp. [B, 3, H, W] each."""
    edges = sum(F.l1_loss(out.diff(dim=axis), target.diff(dim=axis)) for axis in (2, 3))
    return F.l1_loss(out, target) + 2 * edges


def ripple_loss(out: Tensor, target: Tensor) -> Tensor:
    """L1 on differences between neighbours where the target has hardly any: what makes a quiet ground look uneasy."""
    return torch.stack([((target.diff(dim=axis).abs() < SMOOTH) * (out.diff(dim=axis) - target.diff(dim=axis)).abs()).mean()
                        for axis in (2, 3)]).sum()


@torch.no_grad()
def measure_ripple(vae: MiniVAE, pictures: list[Tensor]) -> float:
    """Mean difference between neighbours, of 255, where the pictures have none."""
    values = []
    for picture in pictures:
        target = picture[None].float()
        out = (vae.decode(vae.encode(target / 127.5 - 1)).clamp(-1, 1) + 1) * 127.5
        values += [float(out.diff(dim=axis).abs()[target.diff(dim=axis) == 0].mean()) for axis in (2, 3)]
    return sum(values) / len(values)


@torch.no_grad()
def measure_psnr(vae: MiniVAE, pictures: list[Tensor]) -> float:
    """Mean peak signal-to-noise ratio in dB over whole pictures, after rounding to 8 bits."""
    values = []
    for picture in pictures:
        pixels = picture[None].float() / 127.5 - 1
        out = ((vae.decode(vae.encode(pixels)).clamp(-1, 1) + 1) * 127.5).round()
        values.append(10 * math.log10(255**2 / max(F.mse_loss(out, picture[None].float()).item(), 1e-9)))
    return sum(values) / len(values)


@torch.no_grad()
def measure_latents(vae: MiniVAE, pictures: list[Tensor]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each latent channel over `pictures`."""
    flat = torch.cat([vae.compress(picture[None].float() / 127.5 - 1).flatten(2)[0] for picture in pictures], dim=1)
    return tuple(flat.mean(1).tolist()), tuple(flat.std(1).tolist())


def _schedule(step: int, spent_share: float) -> float:
    warm = min(1.0, (step + 1) / 50)
    return warm * (1 - spent_share) + 1e-3


def train(budget: Budget, folder: Path, pool_size: int, start: Path | None = None, seed: int = 0) -> MiniVAE:
    """Train until the budget of all runs together is spent, resuming from `folder`; prints a line every 50 steps.

    start: an autoencoder to go on from, with half the learning rate, where `folder` holds no run yet.
    """
    torch.manual_seed(seed)
    vae: MiniVAE = MiniVAE(MiniVAEConfig(smooth_levels=SMOOTH_LEVELS)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    vae.encode_linear.requires_grad_(False)
    vae.decode_linear.requires_grad_(False)
    learned = [*vae.encoder.parameters(), *vae.decoder.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=1e-3)
    average = WeightAverage(vae, decay=0.998)
    first, before = load_state(folder / "vae.pt", vae, optimizer, average)
    pool, held_out = paint_pool(pool_size, seed + 1 + first), paint_pool(16, 10_000)
    rate = LEARNING_RATE if start is None else LEARNING_RATE / 2
    if first == 0 and start is not None:
        vae.load_state_dict(load_vae(start).state_dict())
        average = WeightAverage(vae, decay=0.998)
        print(f"start: {measure_psnr(vae, held_out):.2f} dB", flush=True)
    elif first == 0:
        vae.start_from_components(sample_blocks(pool, Random(seed)))
        average = WeightAverage(vae, decay=0.998)
        # The linear path stays as it is: its large gradients would drown the rest's under the clipping.
        print(f"linear start: {measure_psnr(vae, held_out):.2f} dB", flush=True)
    rng, started = Random(seed + first), time.monotonic()
    for step, spent in _ticks(first, before, started, budget):
        for group in optimizer.param_groups:
            group["lr"] = rate * _schedule(step, budget.share(step, spent))
        target = sample_crops(pool, rng).to(memory_format=torch.channels_last)
        with narrow():
            latents = vae.compress(target)
            out = vae.expand(latents + 0.05 * torch.randn_like(latents))
        loss = reconstruction_loss(out.float(), target) + 3e-4 * latents.float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        average.update(vae)
        if step % 10 == 0:
            write_point(folder / "vae_curve.jsonl", {"step": step, "spent_s": round(spent), "loss": round(loss.item(), 5)})
        if step % 50 == 0:
            print(f"step {step} · {spent:.0f} s · loss {loss.item():.4f} · latent std {latents.float().std():.2f}", flush=True)
        if step % 500 == 499:
            print(f"held-out PSNR {measure_psnr(vae, held_out):.2f} dB", flush=True)
            save_state(folder / "vae.pt", vae, optimizer, average, step + 1, spent)
    average.copy_to(vae)
    print(f"held-out PSNR {measure_psnr(vae.eval(), held_out):.2f} dB", flush=True)
    save_state(folder / "vae.pt", vae, optimizer, average, step + 1, spent)
    mean, std = measure_latents(vae, pool[:64])
    _write(vae, replace(vae.config, latents_mean=mean, latents_std=std), folder / "vae")
    return vae


def polish(budget: Budget, folder: Path, pool_size: int, seed: int = 7) -> MiniVAE:
    """Train the decoder of folder/vae alone, on quiet ground as well as on busy places, until the budget of all runs together is
    spent, resuming from `folder`. The latents stay what they are. A picture of the pool is painted anew at every step: of one
    pool the decoder learns the ripples by heart.
    """
    torch.manual_seed(seed)
    source = load_vae(folder / "vae")
    assert isinstance(source, MiniVAE)
    vae: MiniVAE = source.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learned = [*vae.decoder.parameters(), *vae.decode_linear.parameters()]
    for parameter in learned:
        parameter.requires_grad_(True)
    optimizer, average = torch.optim.AdamW(learned, lr=POLISH_RATE, betas=(0.9, 0.95)), WeightAverage(vae, decay=0.995)
    first, before = load_state(folder / "polish.pt", vae, optimizer, average)
    pool, held_out = paint_pool(pool_size, seed + first), paint_pool(8, 10_000)
    print(f"start: {measure_psnr(vae, held_out):.2f} dB, ripple {measure_ripple(vae, held_out):.3f}", flush=True)
    rng, started = Random(seed + first), time.monotonic()
    for step, spent in _ticks(first, before, started, budget):
        pool[step % len(pool)] = _paint_one(rng)
        for group in optimizer.param_groups:
            group["lr"] = POLISH_RATE * _schedule(step, budget.share(step, spent))
        target = sample_crops(pool, rng, tries=1 + step % 3).to(memory_format=torch.channels_last)
        with narrow():
            with torch.no_grad():
                latents = vae.compress(target)
            out = vae.expand(latents + 0.03 * torch.randn_like(latents)).float()
        loss = reconstruction_loss(out, target) + RIPPLE * ripple_loss(out, target)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        average.update(vae)
        if step % 50 == 0:
            print(f"step {step} · {spent:.0f} s · loss {loss.item():.4f}", flush=True)
        if step % 500 == 499:
            print(f"held-out {measure_psnr(vae, held_out):.2f} dB, ripple {measure_ripple(vae, held_out):.3f}", flush=True)
            save_state(folder / "polish.pt", vae, optimizer, average, step + 1, spent)
    average.copy_to(vae)
    print(f"polished: {measure_psnr(vae.eval(), held_out):.2f} dB, ripple {measure_ripple(vae, held_out):.3f}", flush=True)
    _write(vae, vae.config, folder / "vae")
    return vae


def _ticks(step: int, spent: float, started: float, budget: Budget) -> Iterator[tuple[int, float]]:
    before = spent
    while budget.share(step, spent) < 1:
        yield step, spent
        step, spent = step + 1, before + time.monotonic() - started


def _write(vae: MiniVAE, config: MiniVAEConfig, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous().to(torch.float16) for name, tensor in vae.state_dict().items()}
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")
    (folder / "config.json").write_text(json.dumps({"_class_name": "MiniVAE", **asdict(config)}, indent=1) + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    parser.add_argument("--start", type=Path, help="a folder with an autoencoder to go on from")
    parser.add_argument("--pool", type=int, default=900, help="pictures painted at the start and kept in memory")
    parser.add_argument("--polish", action="store_true", help="the decoder alone, of the autoencoder that is in the folder")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    if chosen.polish:
        polish(Budget(minutes=chosen.minutes), chosen.folder, chosen.pool)
        return
    train(Budget(minutes=chosen.minutes), chosen.folder, chosen.pool, chosen.start)


if __name__ == "__main__":
    main()
