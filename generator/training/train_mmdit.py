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
from torch import Tensor

from generator.checkpoint import save_transformer
from generator.config import MINI
from generator.mmdit import MMDiT
from generator.pipeline import PROJECT
from generator.studio.scene import sample_scene
from generator.text_encoder import PromptReader, load_prompt_reader
from generator.training.average import WeightAverage
from generator.training.captions import write_caption, write_unrelated
from generator.training.curves import write_point
from generator.training.resume import load_state, save_state

LEARNING_RATE = 1e-3
CONDITION_DROPOUT = 0.1
CAPTIONS = 3
"""Captions read of each scene in a run."""
UNRELATED = 1024


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Latents of one picture size. tokens: [N, h*w, C*4] bfloat16; seeds: the scene behind each."""

    tokens: Tensor
    seeds: list[int]
    grid: tuple[int, int]


def load_buckets(folder: Path, names: list[str]) -> list[Bucket]:
    """All prepared shards of the named buckets, in memory."""
    buckets = []
    for name in names:
        shards = [torch.load(file, weights_only=True) for file in sorted(folder.glob(f"{name}-[0-9]*.pt"))]
        if not shards:
            raise FileNotFoundError(f"{folder}: no shards of bucket {name}; run generator.training.prepare first")
        buckets.append(Bucket(tokens=torch.cat([shard["tokens"] for shard in shards]), grid=tuple(shards[0]["grid"]),
                              seeds=[seed for shard in shards for seed in shard["seeds"]]))
    return buckets


def start_quiet(network: MMDiT) -> MMDiT:
    """Every gate and the output at zero, so that the blocks start as the identity (Peebles and Xie 2023, adaLN-Zero)."""
    for name, parameter in network.named_parameters():
        if "modulation" in name or name.startswith("out."):
            torch.nn.init.zeros_(parameter)
    return network


class Reading:
    """What the text encoder, which stays as it is, makes of fresh captions of every scene: read once, drawn from at each step.

    Reading at each step took a fifth of the time.
    """

    def __init__(self, reader: PromptReader, bucket: Bucket, rng: Random) -> None:
        scenes = [sample_scene(Random(seed)) for seed in bucket.seeds]
        self._states = torch.stack([self._read(reader, [write_caption(scene, rng).text for scene in scenes])
                                    for _ in range(CAPTIONS)])                              # [K, N, S, W]
        self._unrelated = self._read(reader, [write_unrelated(rng) for _ in range(UNRELATED)])

    @staticmethod
    @torch.no_grad()
    def _read(reader: PromptReader, prompts: list[str]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            parts = [reader.read_batch(prompts[first:first + 64]).to(torch.bfloat16) for first in range(0, len(prompts), 64)]
        return torch.cat(parts)

    def draw(self, rows: Tensor) -> Tensor:
        """States [B, S, W] of one caption of each scene; some of a caption that has nothing to do with it."""
        states = self._states[torch.randint(0, CAPTIONS, rows.shape), rows]
        dropped = torch.rand(len(rows)) < CONDITION_DROPOUT
        states[dropped] = self._unrelated[torch.randint(0, UNRELATED, (int(dropped.sum()),))]
        return states.float()


def make_batch(bucket: Bucket, reading: Reading, size: int) -> tuple[Tensor, Tensor]:
    """(clean tokens [B, T, C], text states [B, S, W]) of random scenes."""
    rows = torch.randint(0, len(bucket.seeds), (size,))
    return bucket.tokens[rows].float(), reading.draw(rows)


def flow_loss(network: MMDiT, clean: Tensor, states: Tensor, grid: tuple[int, int]) -> Tensor:
    """Mean squared error of the velocity at logit-normal noise levels (Esser et al. 2024), a little towards high noise."""
    sigma = torch.sigmoid(torch.randn(len(clean)) + 0.3)
    noise = torch.randn_like(clean)
    noisy = torch.lerp(clean, noise, sigma[:, None, None])
    with torch.autocast("cpu", torch.bfloat16):
        out = network(noisy, states, sigma, grid=grid)
    return F.mse_loss(out.float(), noise - clean)


def train(minutes: float, folder: Path, names: list[str], tokens_a_step: int, seed: int = 0) -> None:
    """Train until `minutes` of wall time are spent (all runs together); resumes from and writes into `folder`."""
    torch.manual_seed(seed)
    network = start_quiet(MMDiT(MINI))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    average = WeightAverage(network, decay=0.999)
    step, spent = load_state(folder / "mmdit.pt", network, optimizer, average)
    reader = load_prompt_reader(folder / "text_encoder")
    buckets = load_buckets(folder / "latents", names)
    readings = [Reading(reader, bucket, Random(seed + step)) for bucket in buckets]
    print(f"read {CAPTIONS} captions of each of {sum(len(bucket.seeds) for bucket in buckets)} pictures", flush=True)
    before, started, seen, window = spent, time.monotonic(), 0, []
    torch.manual_seed(seed + step)
    while spent < minutes * 60:
        share = spent / (minutes * 60)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / 200) * max(min(1, (1 - share) / 0.5), 0.02)
        bucket, reading = buckets[step % len(buckets)], readings[step % len(buckets)]
        size = max(8, tokens_a_step // bucket.tokens.shape[1])
        loss = flow_loss(network, *make_batch(bucket, reading, size), bucket.grid)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update(network)
        step, seen, spent = step + 1, seen + size, before + time.monotonic() - started
        window.append(loss.item())
        if step % 50 == 0:
            line = {"step": step, "spent_s": round(spent), "loss": round(sum(window) / len(window), 4),
                    "samples_s": round(seen / (spent - before), 1)}
            window.clear()
            write_point(folder / "mmdit_curve.jsonl", line)
            print(line, flush=True)
        if step % 500 == 0:
            _save(folder, network, optimizer, average, step, spent)
    _save(folder, network, optimizer, average, step, spent)


def _save(folder: Path, network: MMDiT, optimizer: torch.optim.Optimizer, average: WeightAverage, step: int,
          spent: float) -> None:
    save_state(folder / "mmdit.pt", network, optimizer, average, step, spent)
    smooth = MMDiT(network.config)
    average.copy_to(smooth)
    export(smooth, folder)


def export(network: MMDiT, folder: Path) -> None:
    """Write folder/mini: a whole checkpoint in the published layout, ready to be used and shipped."""
    target = folder / "mini"
    save_transformer(network, target / "transformer", torch.bfloat16)
    for part in ("vae", "text_encoder"):
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
    parser.add_argument("--buckets", nargs="+", required=True)
    parser.add_argument("--tokens", type=int, default=4096, help="image tokens in a step")
    chosen = parser.parse_args()
    train(chosen.minutes, chosen.folder, chosen.buckets, chosen.tokens)


if __name__ == "__main__":
    main()
