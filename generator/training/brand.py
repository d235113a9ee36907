"""Teaches a checkpoint a brand's look: flow matching of a LoRA beside the frozen transformer, on a few approved covers.

The purpose: a prompt that names only a topic comes out in the brand's palette and look, and the motif still follows the prompt.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint as recompute

from generator.checkpoint import load_transformer
from generator.errors import GeneratorError
from generator.grounding import Grounded, stack_shown
from generator.house import House
from generator.mmdit import MMDiT
from generator.options import ModelOptions
from generator.parts import Parts
from generator.schedule import ScheduleConfig, shift_schedule
from generator.training.average import WeightAverage
from generator.training.brand_house import find_offset
from generator.training.brand_lessons import Lesson, group_by_grid
from generator.training.brand_lora import attach_sides, write_sides
from generator.training.narrow import narrow

RATE_WIDTH = 0.7
"""Learning rate times the network's width: what one step of Adam changes in a product grows with the width (Yang et al. 2022)."""
MOST_RATE = 4e-3
BARE, EMPTY = 0.3, 0.15
"""Shares of samples that are asked for without colours and material, and with no prompt at all. The second is what guidance
leads away from: were it not the brand's too, guidance would paint the brand's look several times over."""
PRIOR = 0.15
"""Share of batches of what the checkpoint itself paints."""
HELD_OUT = 1 / 6
LEVELS = (0.25, 0.5, 0.75, 0.95)
"""Noise levels at which held-out pictures are measured."""
CHECKS, PATIENCE = 16, 5
"""Held-out measurements in a run, and how many without a better one end it."""
STEP_TOKENS = 4096
"""At most so many tokens of pictures are in a step, or one picture."""
DEEP = 12
"""From so many blocks on, their activations are computed twice instead of kept."""


@dataclass(frozen=True, kw_only=True)
class BrandPlan:
    """How to learn. minutes: wall time from the first step on. batch: pictures in a step, fewer where they are large. rate:
    None takes the one for the network's width. slack: by what share a later step's held-out loss may be above the lowest and the
    step still be taken instead.
    """

    minutes: float
    rank: int = 16
    seed: int = 0
    batch: int = 8
    rate: float | None = None
    slack: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a run stands. share: 0..1 of its time. held_out: the last measurement."""

    share: float
    step: int
    loss: float
    held_out: float
    minutes_left: float


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The end of a run. file: the LoRA as safetensors, of the step at which the held-out loss was lowest (or within the plan's
    slack of it); empty if it never fell below that of the checkpoint in the house without it. is_whole: whether nobody
    stopped it.
    """

    file: bytes
    steps: int
    loss_first: float
    loss_last: float
    held_out_before: float
    held_out_after: float
    is_whole: bool


def split_lessons(lessons: Sequence[Lesson], seed: int) -> tuple[list[Lesson], list[Lesson]]:
    """(learned from, held out): one in six is held out, and at least one. Raises ValueError for fewer than two."""
    if len(lessons) < 2:
        raise ValueError(f"pictures: there are {len(lessons)}; at least 2 are needed, one of them to check with")
    order = torch.randperm(len(lessons), generator=torch.Generator().manual_seed(seed)).tolist()
    count = max(1, round(len(lessons) * HELD_OUT))
    return [lessons[row] for row in order[count:]], [lessons[row] for row in order[:count]]


def learn_brand(folder: Path, options: ModelOptions, lessons: Sequence[Lesson], priors: Sequence[Lesson], plan: BrandPlan,
                hear: Callable[[Standing], None] = lambda standing: None, house: House | None = None) -> Learned:
    """Learn from `lessons`, which are told in `house`, until the minutes are spent or the held-out loss no longer falls; Ctrl-C
    ends it early.

    The checkpoint's files stay as they are; LoRAs and step cache of `options` take no part. Raises CheckpointError, and
    GeneratorError where the precision cannot be learned in.
    """
    if options.precision == "float8":
        raise GeneratorError("dtype: float8 weights cannot be learned beside; use bfloat16")
    rng = torch.Generator().manual_seed(plan.seed)
    network = load_transformer(folder / "transformer", options.device, options.precision, is_compiled=True)
    sides = attach_sides(network, plan.rank, rng)
    if network.config.num_layers >= DEEP:
        network.blocks = nn.ModuleList(Recomputed(block) for block in network.blocks)
    if house is not None:
        house = replace(house, offset=find_offset(network, lessons))
        network.prior.offset = house.offset
    run = Run(network, sides, Parts(folder, replace(options, loras=())).schedule, rng, house)
    return _learn(run, *split_lessons(lessons, plan.seed), priors, plan, hear)


class Recomputed(nn.Module):
    """A block that keeps no activations for the way back."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, *inputs: Any) -> Any:
        """As the block."""
        return recompute(self.block, *inputs, use_reentrant=False)


class Run:
    """A network with its sides, and how wrong it is about lessons."""

    def __init__(self, network: MMDiT, sides: nn.ModuleList, schedule: ScheduleConfig, rng: torch.Generator,
                 house: House | None = None) -> None:
        self.network, self.sides, self.schedule, self.rng, self.house = network, sides, schedule, rng, house
        self.device, self.dtype = network.img_in.weight.device, network.img_in.weight.dtype

    def draw(self, lessons: Sequence[Lesson], count: int) -> Tensor:
        """The loss of `count` of these lessons of one grid, each asked for in one of its ways, at noise levels as the sampler
        visits them.
        """
        chosen = [lessons[row] for row in torch.randint(0, len(lessons), (count,), generator=self.rng).tolist()]
        ways = torch.rand(count, generator=self.rng).tolist()
        told = [lesson.empty if way < EMPTY else lesson.bare if way < EMPTY + BARE else lesson.full
                for lesson, way in zip(chosen, ways, strict=True)]
        even = (torch.arange(count) + torch.rand(count, generator=self.rng).clamp_min(1e-4)) / count
        sigma = shift_schedule(even, self.schedule.mu(len(chosen[0].clean)))
        return self.loss(chosen, told, sigma, self.rng)

    def loss(self, lessons: Sequence[Lesson], told: Sequence[Grounded], sigma: Tensor, rng: torch.Generator) -> Tensor:
        """Mean squared error of the velocity over the tokens that show a picture. sigma: [B]."""
        clean = torch.stack([lesson.clean for lesson in lessons])                          # [B, T, C*4]
        noise = torch.randn(clean.shape, generator=rng)
        noisy = torch.lerp(clean, noise, sigma[:, None, None])
        with narrow(self.device.type), _attention(self.device):
            shown = stack_shown(told)
            out = self.network(noisy.to(self.device, self.dtype), [one.states.to(self.device, self.dtype) for one in told],
                               sigma.to(self.device), grid=lessons[0].grid,
                               shown=None if shown is None else shown.to(self.device))
        wrong = F.mse_loss(out.float(), (noise - clean).to(self.device), reduction="none").mean(-1)
        inside = torch.stack([lesson.inside for lesson in lessons]).to(self.device)
        return (wrong * inside).sum() / inside.sum().clamp_min(1)

    @torch.no_grad()
    def measure(self, lessons: Sequence[Lesson]) -> float:
        """The loss of these lessons, always with the same noise."""
        rng, losses = torch.Generator().manual_seed(0), []
        for group in group_by_grid(lessons).values():
            for level in LEVELS:
                for lesson in group:
                    losses.append(float(self.loss([lesson], [lesson.full], torch.tensor([level]), rng)))
        return sum(losses) / len(losses)


def _attention(device: torch.device) -> AbstractContextManager[Any]:
    """On a CPU the plain products are the fastest to go back through."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


@contextmanager
def _averaged(sides: nn.ModuleList, average: WeightAverage) -> Iterator[None]:
    """The sides as their average has them, for a while."""
    live = [parameter.detach().clone() for parameter in sides.parameters()]
    average.copy_to(sides)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(sides.parameters(), live, strict=True):
                parameter.copy_(value)


class Keeper:
    """Measures the averaged sides on held-out lessons now and then, and keeps the file of the best."""

    def __init__(self, run: Run, held_out: list[Lesson], slack: float) -> None:
        self.run, self.held_out, self.slack = run, held_out, slack
        self.average = WeightAverage(run.sides, decay=0.99)
        self.before = self.lowest = self.last = self.kept = run.measure(held_out)
        self.file, self.since = b"", 0  # checks since a file was kept

    def check(self) -> None:
        """Measure, and keep the sides if they are good enough."""
        with _averaged(self.run.sides, self.average):
            self.last, self.since = self.run.measure(self.held_out), self.since + 1
            if self.last < min(self.before, self.lowest * (1 + self.slack)):
                self.kept, self.since, self.file = self.last, 0, write_sides(self.run.sides, self.run.house)
        self.lowest = min(self.lowest, self.last)


def _learn(run: Run, lessons: list[Lesson], held_out: list[Lesson], priors: Sequence[Lesson], plan: BrandPlan,
           hear: Callable[[Standing], None]) -> Learned:
    rate = plan.rate or min(MOST_RATE, RATE_WIDTH / run.network.config.width)
    optimizer = torch.optim.AdamW(run.sides.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.01)
    keeper, losses, checks, is_whole = Keeper(run, held_out, plan.slack), list[float](), 0, True
    groups = list(group_by_grid(lessons).values())
    sizes = torch.tensor([len(group) for group in groups], dtype=torch.float)
    started, share = time.monotonic(), 0.0
    try:
        while share < 1 and keeper.since < PATIENCE:
            for setting in optimizer.param_groups:
                setting["lr"] = rate * min(1, (len(losses) + 1) / 20) * max(1 - share, 0.05)
            is_prior = bool(priors) and float(torch.rand(1, generator=run.rng)) < PRIOR
            group = priors if is_prior else groups[int(torch.multinomial(sizes, 1, generator=run.rng))]
            loss = run.draw(group, max(1, min(plan.batch, STEP_TOKENS // len(group[0].clean))))
            loss.backward()
            nn.utils.clip_grad_norm_(run.sides.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            keeper.average.update(run.sides)
            losses.append(loss.item())
            share = min((time.monotonic() - started) / (plan.minutes * 60), 1.0)
            if share * CHECKS >= checks + 1 or share >= 1:
                checks = int(share * CHECKS)
                keeper.check()
            hear(Standing(share=share, step=len(losses), loss=losses[-1], held_out=keeper.last,
                          minutes_left=plan.minutes * (1 - share)))
    except KeyboardInterrupt:
        is_whole = False
        keeper.check()
    some = max(1, min(50, len(losses) // 5))
    first, last = (sum(part) / max(1, len(part)) for part in (losses[:some], losses[-some:]))
    return Learned(file=keeper.file, steps=len(losses), loss_first=first, loss_last=last, held_out_before=keeper.before,
                   held_out_after=keeper.kept, is_whole=is_whole)
