"""Placement: what fits where, computed from the files' headers before a single weight is loaded."""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from generator.errors import GeneratorError
from generator.names import VAE_UNUSED
from generator.options import ModelOptions, Precision
from generator.qwen_text import UNUSED as TEXT_UNUSED
from generator.shards import Shards

GIB = 2**30
BYTES: dict[Precision, int] = {"float32": 4, "bfloat16": 2, "float8": 1}
"""Of a weight in a linear layer; others take at least two."""
MARGIN = 1.05
"""What allocators and libraries take beside the tensors."""


class DoesNotFit(GeneratorError):
    """The networks and their work need more memory than there is. The message says which settings would fit."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes. transformer, text_encoder, vae: weights; work: of one picture (two sequences, where guided) in the making."""

    transformer: int
    text_encoder: int
    vae: int
    work: int

    def by_device(self, options: ModelOptions) -> dict[str, int]:
        """Bytes at the same time on each device."""
        device, text_device = (str(_indexed(name)) for name in (options.device, options.text_device or options.device))
        if text_device == device and options.offload == "in_turn":
            return {device: int((max(self.transformer + self.work, self.text_encoder) + self.vae) * MARGIN)}
        needs = {device: self.transformer + self.vae + self.work}
        needs[text_device] = needs.get(text_device, 0) + self.text_encoder
        return {device: int(need * MARGIN) for device, need in needs.items()}


def _indexed(device: str) -> torch.device:
    """ "cuda" is "cuda:0"."""
    place = torch.device(device)
    return torch.device(place.type, 0) if place.type == "cuda" and place.index is None else place


def weigh(folder: Path, precision: Precision, unused: str = "") -> int:
    """Bytes of the weights in `folder` once loaded in `precision`; tensors whose names match `unused` are not."""
    per_weight, total = BYTES[precision], 0
    for name, shape in Shards.in_folder(folder).shapes.items():
        if not (unused and re.fullmatch(unused, name)):
            is_linear = len(shape) == 2 and "embed_tokens" not in name
            total += math.prod(shape) * (per_weight if is_linear else max(per_weight, 2))
    return total


def work_bytes(tokens: int, width: int, pixels: int, vae_width: int, precision: Precision, sequences: int = 2) -> int:
    """Bytes that live at once while a picture is made: the transformer's activations, or the decoder's, whichever are more.

    tokens: of the picture. sequences: how many go through the transformer together. On a CPU `benchmarks.generator` measured 18
    widths a token (151 MB for 2 x 1,024 tokens of width 1,024) and 3 maps of full size (613 MB for 512x512 by 192); a little more
    is taken.
    """
    per_value = 4 if precision == "float32" else 2
    return max(sequences * tokens * width * 20, 4 * pixels * vae_width) * per_value


def measure(folder: Path, options: ModelOptions, work: int) -> Need:
    """What the checkpoint in `folder` needs. Raises CheckpointError."""
    vae_precision: Precision = "float32" if options.precision == "float32" else "bfloat16"
    return Need(transformer=weigh(folder / "transformer", options.precision), work=work,
                text_encoder=weigh(folder / "text_encoder", options.precision, TEXT_UNUSED),
                vae=weigh(folder / "vae", vae_precision, VAE_UNUSED.pattern) // (3 if _has_time_axis(folder / "vae") else 1))


def _has_time_axis(folder: Path) -> bool:
    return any(len(shape) == 5 for shape in Shards.in_folder(folder).shapes.values())


def free_bytes(device: str) -> int | None:
    """What can be taken on `device` now; None where that cannot be known."""
    place = torch.device(device)
    if place.type == "cuda":
        unused = torch.cuda.memory_reserved(place) - torch.cuda.memory_allocated(place)  # torch keeps it for us
        return int(torch.cuda.mem_get_info(place)[0]) + unused
    return _free_host_bytes() if place.type == "cpu" else None


def _free_host_bytes() -> int | None:
    """The system's available memory, or what a container's limit leaves, whichever is less. Pages of files count as free."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    match = re.search(r"MemAvailable:\s+(\d+) kB", told)
    free = int(match[1]) * 1024 if match else None
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        pages = re.findall(r"^(?:in)?active_file (\d+)$", Path("/sys/fs/cgroup/memory.stat").read_text(encoding="ascii"), re.M)
    except (OSError, ValueError):
        return free
    left = int(limit) - used + sum(map(int, pages)) if limit.isdigit() else None
    return free if left is None else min(left, free or left)


def batch_that_fits(options: ModelOptions, work: int, to_load: int = 0) -> int:
    """How many pictures that each take `work` bytes have room, from 1 to the largest batch allowed. to_load: bytes of weights
    that will come first.
    """
    free = free_bytes(options.device)
    return options.max_batch if free is None else max(1, min(options.max_batch, int(free / MARGIN - to_load) // max(1, work)))


def check_fit(folder: Path, options: ModelOptions, work: int, free: dict[str, int | None] | None = None) -> None:
    """Raise DoesNotFit, saying what is missing and which settings would fit. free: bytes by device; None: asked for now."""
    need = measure(folder, options, work)
    wanted = need.by_device(options)
    there = free if free is not None else {device: free_bytes(device) for device in wanted}
    short = [device for device in wanted if (has := there.get(device)) is not None and wanted[device] > has]
    if not short:
        return
    device = short[0]
    has = there[device] or 0
    ways = [f"{named} (needs {_gb(total)} GB)" for named, total in _ways(folder, options, work, device) if total <= has]
    raise DoesNotFit(
        f"{folder.name}: needs {_gb(wanted[device])} GB on {device} (transformer {_gb(need.transformer)}, text encoder "
        f"{_gb(need.text_encoder)}, autoencoder {_gb(need.vae)}, work {_gb(need.work)}), which has {_gb(has)} GB: "
        + (f"use {' or '.join(ways)}" if ways else "no setting makes it fit; use a smaller checkpoint or picture"))


def _ways(folder: Path, options: ModelOptions, work: int, device: str) -> list[tuple[str, int]]:
    """(settings, bytes on `device`) of the gentler ways, the least change first."""
    ways = []
    precisions: list[Precision] = [options.precision, *(p for p in ("bfloat16", "float8") if BYTES[p] < BYTES[options.precision])]
    for precision in precisions:
        for offload in ("none", "in_turn"):
            changed = replace(options, precision=precision, offload=offload)
            if BYTES[precision] <= BYTES[options.precision] and changed != options:
                named = [f"generator.dtype={precision}"] * (precision != options.precision)
                named += [f"generator.offload={offload}"] * (offload != options.offload)
                scaled = work // (2 if options.precision == "float32" and precision != "float32" else 1)
                ways.append((" with ".join(named), measure(folder, changed, scaled).by_device(changed).get(device, 0)))
    return ways


def _gb(size: int) -> str:
    return f"{size / GIB:.1f}" if size >= GIB / 10 else f"{size / GIB:.3f}"
