"""Trains the bundled diffusion transformer on prepared latents. `python -m generator.training.train_mmdit --help`."""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from generator.checkpoint import load_transformer, save_transformer
from generator.config import MINI, MMDiTConfig
from generator.grounding import complete, show
from generator.mmdit import MMDiT
from generator.pipeline import PROJECT
from generator.scene_code import code_scenes
from generator.studio.scene import Scene, sample_scene
from generator.training.average import WeightAverage
from generator.training.budget import Budget
from generator.training.curves import write_point
from generator.training.fit_prior import fit_prior
from generator.training.lessons import number_scenes
from generator.training.narrow import narrow
from generator.training.optimizers import Optimizers
from generator.training.prepare import Window
from generator.training.resume import load_state, save_state

LEARNING_RATE = 1.5e-3
RESUME_FILE, PRIOR_FILE = "mmdit.pt", "prior.pt"


@dataclass(frozen=True)
class Told:
    """What the transformer is told of B pictures. states: [B, T, W]. shown: [B, N, 3], of the tokens that are seen."""

    states: Tensor
    shown: Tensor

    def __getitem__(self, rows: Tensor) -> "Told":
        """Of some pictures."""
        return Told(self.states[rows], self.shown[rows])


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Pictures of one canvas. tokens: [B, N, C*4] bfloat16. told: of all of them. seen: [N], the tokens of the grid that they
    are; None: all.
    """

    tokens: Tensor
    told: Told
    grid: tuple[int, int]
    seen: Tensor | None


def load_shards(folder: Path, kind: str) -> list[Shard]:
    """All prepared shards of "window" or "whole", in memory. Raises FileNotFoundError where there are none."""
    shards = []
    for file in sorted(folder.glob(f"{kind}-*.pt")):
        content = torch.load(file, weights_only=True)
        columns, rows = content["canvas"]
        seen = None if content["window"] is None else Window(*content["window"]).numbers(columns)
        told = tell([sample_scene(Random(seed)) for seed in content["seeds"]], (rows, columns))
        shown = told.shown if seen is None else told.shown[:, seen]
        shards.append(Shard(tokens=content["tokens"], told=Told(told.states, shown), grid=(rows, columns), seen=seen))
    if not shards:
        raise FileNotFoundError(f"{folder}: no {kind} shards; run generator.training.prepare first")
    return shards


def tell(scenes: Sequence[Scene], grid: tuple[int, int]) -> Told:
    """What a prompt that says everything tells of these scenes on a canvas of (rows, columns)."""
    numbers = number_scenes(scenes)
    every = code_scenes(numbers.choices, numbers.colours, numbers.said)
    states = [complete(one, grid, scene.seed) for one, scene in zip(every, scenes, strict=True)]
    return Told(torch.stack(states), torch.stack([show(one, grid) for one in states]))


def start_quiet(network: MMDiT) -> MMDiT:
    """Every gate at zero, so that the blocks start as the identity (Peebles and Xie 2023, adaLN-Zero), and nothing that the
    network adds to what its prior says.
    """
    for name, parameter in network.named_parameters():
        if "modulation" in name or name.startswith(("pooled_out.", "out.")):
            nn.init.zeros_(parameter)
    nn.init.orthogonal_(network.img_in.weight)
    return network


def draw_sigma(count: int) -> Tensor:
    """Noise levels [count]: half near pure noise, where nothing but the prompt says what to paint, and which decides a picture;
    the others logit-normal towards high noise (Esser et al. 2024) or uniform.
    """
    pick, middle = torch.rand(count), torch.sigmoid(1.2 * torch.randn(count) + 0.6)
    return torch.where(pick < 0.5, 1 - 0.12 * torch.rand(count).square(), torch.where(pick < 0.85, middle, torch.rand(count)))


def flow_loss(network: nn.Module, shard: Shard) -> Tensor:
    """Mean squared error of the velocity of a shard's pictures at drawn noise levels."""
    clean = shard.tokens.float()
    sigma, noise = draw_sigma(len(clean)), torch.randn_like(clean)
    noisy = torch.lerp(clean, noise, sigma[:, None, None])
    return F.mse_loss(run(network, noisy, shard.told, sigma, shard.grid, shard.seen), noise - clean)


def run(network: nn.Module, tokens: Tensor, told: Told, sigma: Tensor, grid: tuple[int, int],
        seen: Tensor | None) -> Tensor:
    """Velocity [B, N, C*4] in float32 of pictures that are told this."""
    with narrow(), sdpa_kernel(SDPBackend.MATH):
        velocity: Tensor = network(tokens, told.states, sigma, grid=grid, seen=seen, shown=told.shown)
    return velocity.float()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a run learns. budget: of all runs together. prior_steps: those that the prior is fitted in first. batch: shards in a
    step. whole_share: the last part of the time, in which whole canvases are learned from as well as windows. start: a
    transformer to go on from, with its prior.
    """

    budget: Budget
    batch: int = 2
    whole_share: float = 0.3
    optimizer: str = "muon"
    rate: float = LEARNING_RATE
    compile: bool = True
    config: MMDiTConfig = MINI
    start: Path | None = None
    prior_steps: int = 1500

    def rate_at(self, step: int, share: float) -> float:
        """Warm up over 100 steps, hold, and fall linearly over the second half."""
        return self.rate * min(1, (step + 1) / 100) * max(min(1, (1 - share) / 0.5), 0.02)


def train(plan: Plan, folder: Path, seed: int = 0) -> MMDiT:
    """Train until the plan's budget is spent; resumes from and writes into `folder`. A line and a point every 20 steps."""
    torch.manual_seed(seed)
    windows, wholes = (load_shards(folder / "latents", kind) for kind in ("window", "whole"))
    network = start_quiet(MMDiT(plan.config))
    if plan.start is not None:
        network.load_state_dict(load_transformer(plan.start, is_compiled=True).state_dict())
    elif (folder / PRIOR_FILE).exists():
        network.prior.load_state_dict(torch.load(folder / PRIOR_FILE, weights_only=True))
    else:
        torch.save(fit_prior(network.prior, windows + wholes, plan.prior_steps).state_dict(), folder / PRIOR_FILE)
    network.prior.requires_grad_(False)
    optimizer = Optimizers(network, plan.rate, muon="blocks." if plan.optimizer == "muon" else None)
    average = WeightAverage(network, decay=0.998)
    step, before = load_state(folder / RESUME_FILE, network, optimizer, average)
    for block in network.blocks if plan.compile else ():
        block.compile()
    rng, started, spent, seen_samples, losses = Random(seed + step), time.monotonic(), before, 0, []
    torch.manual_seed(seed + step)
    while (share := plan.budget.share(step, spent)) < 1:
        optimizer.set_rate(plan.rate_at(step, share))
        for number in range(plan.batch):
            is_whole = share >= 1 - plan.whole_share and number % 2 == 0
            shard = rng.choice(wholes if is_whole else windows)
            loss = flow_loss(network, shard)
            (loss / plan.batch).backward()
            losses.append(loss.item())
            seen_samples += len(shard.tokens)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update(network)
        step, spent = step + 1, before + time.monotonic() - started
        if step % 20 == 0:
            line = {"step": step, "spent_s": round(spent), "loss": round(sum(losses) / len(losses), 4),
                    "samples_s": round(seen_samples / (spent - before), 1)}
            losses.clear()
            write_point(folder / "mmdit_curve.jsonl", line)
            print(line, flush=True)
        if step % 400 == 0:
            _save(folder, network, optimizer, average, step, spent)
    return _save(folder, network, optimizer, average, step, spent)


def _save(folder: Path, network: MMDiT, optimizer: Optimizers, average: WeightAverage, step: int, spent: float) -> MMDiT:
    save_state(folder / RESUME_FILE, network, optimizer, average, step, spent)
    smooth = MMDiT(network.config)
    average.copy_to(smooth)
    export(smooth, folder)
    return smooth


def export(network: MMDiT, folder: Path) -> None:
    """Write folder/mini: a whole checkpoint in the published layout, ready to be used and shipped."""
    target = folder / "mini"
    save_transformer(network, target / "transformer", torch.bfloat16)
    for part in ("vae", "text_encoder"):
        if (folder / part).exists():
            shutil.copytree(folder / part, target / part, dirs_exist_ok=True)
    (target / "scheduler").mkdir(exist_ok=True)
    schedule = {"_class_name": "FlowMatchEulerDiscreteScheduler", "base_shift": 0.5, "max_shift": 0.9,
                "base_image_seq_len": 64, "max_image_seq_len": 1024, "shift_terminal": None,
                "use_dynamic_shifting": True}
    (target / "scheduler" / "scheduler_config.json").write_text(json.dumps(schedule, indent=1) + "\n")
    (target / "model_index.json").write_text(json.dumps({"_class_name": PROJECT}, indent=1) + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, required=True,
                        help="wall time, all runs together; the learning rate falls to its end")
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    parser.add_argument("--prior-steps", type=int, default=Plan.prior_steps, help="in which the prior is fitted first")
    parser.add_argument("--batch", type=int, default=Plan.batch, help="shards in a step")
    parser.add_argument("--start", type=Path, help="folder of a transformer to go on from")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="without a C++ compiler")
    parser.add_argument("--whole-share", type=float, default=Plan.whole_share,
                        help="of the time, on whole canvases too, at the end")
    parser.add_argument("--optimizer", choices=("muon", "adamw"), default=Plan.optimizer)
    parser.add_argument("--rate", type=float, default=LEARNING_RATE)
    chosen = parser.parse_args()
    train(Plan(budget=Budget(minutes=chosen.minutes), batch=chosen.batch, whole_share=chosen.whole_share,
               optimizer=chosen.optimizer, rate=chosen.rate, start=chosen.start, compile=chosen.compile,
               prior_steps=chosen.prior_steps), chosen.folder)


if __name__ == "__main__":
    main()
