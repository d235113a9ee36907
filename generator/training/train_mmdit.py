"""Trains the bundled diffusion transformer on prepared latents. `python -m generator.training.train_mmdit --help`."""

import argparse
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from generator.checkpoint import save_transformer
from generator.config import MINI, MMDiTConfig
from generator.mmdit import MMDiT
from generator.pipeline import PROJECT
from generator.scene_code import CHOICES, code_scenes, not_said
from generator.studio.scene import PLACES, lay_out, sample_scene
from generator.training.average import WeightAverage
from generator.training.curves import write_point
from generator.training.lessons import SceneNumbers, leave_out, number_scenes
from generator.training.optimizers import Optimizers
from generator.training.resume import load_state, save_state

LEARNING_RATE = 1e-3
UNSAID = 0.08
"""Share of samples that learn with no prompt at all, for guidance."""
WINDOW = 10
"""Tokens along a side of the window that is learned from in the first part: most of a canvas is ground."""
RESUME_FILE = "mmdit.pt"


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Pictures of one canvas. tokens: [N, h*w, C*4] bfloat16. corners: [N, 2], row and column of the subject's first token."""

    tokens: Tensor
    scenes: SceneNumbers
    corners: Tensor
    grid: tuple[int, int]


def load_bucket(folder: Path, canvas: tuple[int, int]) -> Bucket:
    """All prepared shards of a canvas, in memory. Raises FileNotFoundError where there are none."""
    shards = [torch.load(file, weights_only=True) for file in sorted(folder.glob(f"{canvas[0]}x{canvas[1]}-[0-9]*.pt"))]
    if not shards:
        raise FileNotFoundError(f"{folder}: no shards of canvas {canvas}; run generator.training.prepare first")
    scenes = [sample_scene(Random(seed)) for shard in shards for seed in shard["seeds"]]
    boxes = [lay_out(scene, *canvas) for scene in scenes]
    corners = [[min(box.row for box in row), min(box.column for box in row)] for row in boxes]
    return Bucket(tokens=torch.cat([shard["tokens"] for shard in shards]), scenes=number_scenes(scenes),
                  corners=torch.tensor(corners), grid=(canvas[1], canvas[0]))


def start_quiet(network: MMDiT) -> MMDiT:
    """Every gate and the output at zero, so that the blocks start as the identity (Peebles and Xie 2023, adaLN-Zero)."""
    for name, parameter in network.named_parameters():
        if "modulation" in name or name.startswith("out."):
            nn.init.zeros_(parameter)
    return network


def choose_window(bucket: Bucket, rng: Random) -> tuple[Tensor, Tensor]:
    """(tokens [100] of the grid, rows [M] of the bucket): a window of WINDOW x WINDOW tokens, and pictures worth seeing in it.

    Two in three windows lie around the subjects of one place, the others anywhere.
    """
    rows, columns = bucket.grid
    place = rng.randrange(len(PLACES))
    there = (bucket.scenes.choices[:, [name for name, _ in CHOICES].index("place")] == place).nonzero().flatten()
    top, left = (int(side) for side in bucket.corners[there[rng.randrange(len(there))]])
    top, left = top - rng.choice((0, 1, 1, 2)), left - rng.choice((0, 1, 1, 2))
    if rng.random() < 1 / 3:
        top, left, there = rng.randrange(rows), rng.randrange(columns), torch.arange(len(bucket.corners))
    top, left = (min(max(value, 0), side - WINDOW) for value, side in ((top, rows), (left, columns)))
    seen = (top + torch.arange(WINDOW))[:, None] * columns + left + torch.arange(WINDOW)
    return seen.flatten(), there


def flow_loss(network: nn.Module, clean: Tensor, states: Tensor, grid: tuple[int, int], seen: Tensor | None) -> Tensor:
    """Mean squared error of the velocity at logit-normal noise levels (Esser et al. 2024), a little towards high noise."""
    sigma = torch.sigmoid(torch.randn(len(clean)) + 0.3)
    noise = torch.randn_like(clean)
    noisy = torch.lerp(clean, noise, sigma[:, None, None])
    with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        out = network(noisy, states, sigma, grid=grid, seen=seen)
    return F.mse_loss(out.float(), noise - clean)


def draw_states(scenes: SceneNumbers, rows: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """States [B, 12, 256] of these scenes; of some, less is said, and of a few nothing."""
    choices, said = leave_out(scenes.choices[rows], scenes.said[rows], rng)
    states = code_scenes(choices, scenes.colours[rows], said)
    states[torch.rand(len(rows), generator=rng) < UNSAID] = not_said()
    return states


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a run learns. minutes: wall time, all runs together. tokens: image tokens in a step. whole_share: the last part of
    the time, in which whole canvases are learned from instead of windows.
    """

    minutes: float
    tokens: int = 6400
    whole_share: float = 0.3
    optimizer: str = "muon"
    rate: float = LEARNING_RATE
    compile: bool = True
    config: MMDiTConfig = MINI

    def rate_at(self, step: int, share: float) -> float:
        """Warm up over 100 steps, hold, and fall linearly over the second half."""
        return self.rate * min(1, (step + 1) / 100) * max(min(1, (1 - share) / 0.5), 0.02)


def train(plan: Plan, folder: Path, seed: int = 0) -> MMDiT:
    """Train until the plan's minutes are spent; resumes from and writes into `folder`. A line and a point every 50 steps."""
    torch.manual_seed(seed)
    network = start_quiet(MMDiT(plan.config))
    optimizer = Optimizers(network, plan.rate, muon="blocks." if plan.optimizer == "muon" else None)
    average = WeightAverage(network, decay=0.998)
    step, before = load_state(folder / RESUME_FILE, network, optimizer, average)
    buckets = load_buckets(folder / "latents")
    for block in network.blocks if plan.compile else ():
        block.compile(dynamic=False)
    rng, started, spent, seen_samples, window = Random(seed + step), time.monotonic(), before, 0, []
    torch.manual_seed(seed + step)
    while spent < plan.minutes * 60:
        share = spent / (plan.minutes * 60)
        optimizer.set_rate(plan.rate_at(step, share))
        bucket = rng.choice(buckets)
        if share < 1 - plan.whole_share:
            seen, there = choose_window(bucket, rng)
            size = plan.tokens // len(seen)
            rows = there[torch.randint(0, len(there), (size,))]
            clean = bucket.tokens[rows[:, None], seen].float()
        else:
            seen, size = None, plan.tokens // bucket.tokens.shape[1]
            rows = torch.randint(0, len(bucket.tokens), (size,))
            clean = bucket.tokens[rows].float()
        loss = flow_loss(network, clean, draw_states(bucket.scenes, rows), bucket.grid, seen)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update(network)
        step, seen_samples, spent = step + 1, seen_samples + size, before + time.monotonic() - started
        window.append(loss.item())
        if step % 50 == 0:
            line = {"step": step, "spent_s": round(spent), "loss": round(sum(window) / len(window), 4),
                    "samples_s": round(seen_samples / (spent - before), 1)}
            window.clear()
            write_point(folder / "mmdit_curve.jsonl", line)
            print(line, flush=True)
        if step % 400 == 0:
            _save(folder, network, optimizer, average, step, spent)
    return _save(folder, network, optimizer, average, step, spent)


def load_buckets(folder: Path) -> list[Bucket]:
    """Every canvas that has shards."""
    canvases = sorted({tuple(int(side) for side in file.name.split("-")[0].split("x")) for file in folder.glob("*x*-[0-9]*.pt")})
    if not canvases:
        raise FileNotFoundError(f"{folder}: no shards; run generator.training.prepare first")
    return [load_bucket(folder, (canvas[0], canvas[1])) for canvas in canvases]


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
    parser.add_argument("--tokens", type=int, default=Plan.tokens, help="image tokens in a step")
    parser.add_argument("--whole-share", type=float, default=Plan.whole_share, help="of the time, on whole canvases at the end")
    parser.add_argument("--optimizer", choices=("muon", "adamw"), default=Plan.optimizer)
    parser.add_argument("--rate", type=float, default=LEARNING_RATE)
    chosen = parser.parse_args()
    train(Plan(minutes=chosen.minutes, tokens=chosen.tokens, whole_share=chosen.whole_share, optimizer=chosen.optimizer,
               rate=chosen.rate), chosen.folder)


if __name__ == "__main__":
    main()
