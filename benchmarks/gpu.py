"""Qwen-Image's transformer at full size with random weights on one GPU: ours and diffusers', in one run.

python -m benchmarks.gpu [--out FILE] [--minutes 9]. Self-contained: needs torch, diffusers and this project, no weights and
no network. On a machine without a GPU it runs the same code at a small size, to show that it would (--small forces that).

For each picture size and batch: seconds a step (guidance 4: two sequences a picture) and for 50 steps, eager and compiled,
bfloat16 and float8, with step caching, peak memory, and the share of the matrix-product ceiling that this run measured. Every
row is printed as soon as it is known, so that a run that is cut short is not lost; the rows that decide come first.
"""

import argparse
import dataclasses
import gc
import json
import sys
import time

import torch

from generator.config import QWEN_IMAGE
from generator.mmdit import MMDiT
from generator.parts import COMPILE_MODES
from generator.precision import finish_linear
from generator.sampler import guide
from generator.step_cache import StepCache

TEXT_TOKENS = 64
STEPS = 50
GUIDANCE = 4.0
WARM_UP, TIMED = 2, 6
SMALL = dataclasses.replace(QWEN_IMAGE, num_layers=2, attention_head_dim=32, num_attention_heads=4, joint_attention_dim=64,
                            axes_dims_rope=(8, 12, 12))


class Machine:
    """The device, its clock and its memory."""

    def __init__(self, small):
        self.device = torch.device("cpu" if small else "cuda")
        self.is_gpu, self.dtype = not small, torch.bfloat16

    def wait(self):
        if self.is_gpu:
            torch.cuda.synchronize()

    def clear(self):
        gc.collect()
        if self.is_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    @property
    def peak_gb(self):
        return round(torch.cuda.max_memory_allocated() / 1e9, 2) if self.is_gpu else None

    def seconds(self, call, count=TIMED):
        """Median seconds of a call, warmed."""
        for _ in range(WARM_UP):
            call()
        found = []
        for _ in range(count):
            self.wait()
            started = time.perf_counter()
            call()
            self.wait()
            found.append(time.perf_counter() - started)
        return sorted(found)[len(found) // 2]

    def ceiling(self):
        """TFLOP/s of a plain square product in bfloat16, and in float8 where the GPU has it."""
        side = 8192 if self.is_gpu else 512
        left, right = (torch.randn(side, side, device=self.device, dtype=self.dtype) for _ in range(2))
        told = {"bfloat16": 2 * side**3 / self.seconds(lambda: left @ right) / 1e12}
        if self.is_gpu and torch.cuda.get_device_capability() >= (8, 9):
            narrow, one = torch.float8_e4m3fn, torch.ones((), device=self.device)
            a, b = left.to(narrow), right.to(narrow).t()
            told["float8"] = 2 * side**3 / self.seconds(
                lambda: torch._scaled_mm(a, b, scale_a=one, scale_b=one, out_dtype=self.dtype, use_fast_accum=True)) / 1e12
        return told


def work_tflop(config, tokens):
    """Of one forward of one sequence: linear layers of both streams, and the joint attention."""
    linear = 2 * 12 * config.width**2 * (tokens + TEXT_TOKENS) * config.num_layers
    return (linear + 4 * (tokens + TEXT_TOKENS) ** 2 * config.width * config.num_layers) / 1e12


def build_ours(machine, config, precision, compiled):
    """Random weights, each layer made on the device and narrowed at once, as loading does."""
    with torch.device("meta"):
        network = MMDiT(config)
    for name in [name for name, _ in network.named_modules()]:
        layer = network.get_submodule(name)
        for leaf, parameter in list(layer.named_parameters(recurse=False)):
            value = torch.empty(parameter.shape, device=machine.device, dtype=machine.dtype).normal_(0, 0.02)
            setattr(layer, leaf, torch.nn.Parameter(value, requires_grad=False))
        if isinstance(layer, torch.nn.Linear):
            parent, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(parent), leaf, finish_linear(layer, precision, is_compiled=compiled != "off"))
    for block in network.blocks if compiled != "off" else ():
        block.compile(mode=COMPILE_MODES[compiled, machine.is_gpu])
    return network.eval()


def build_reference(machine, config, compiled):
    from diffusers import QwenImageTransformer2DModel

    sizes = {name: value for name, value in dataclasses.asdict(config).items() if name != "theta"}
    with torch.device("meta"):
        network = QwenImageTransformer2DModel(**sizes)
    network = network.to(machine.dtype).to_empty(device=machine.device).eval()
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.02)
    network.pos_embed = type(network.pos_embed)(theta=10000, axes_dim=list(config.axes_dims_rope), scale_rope=True)
    if compiled != "off":
        network.compile_repeated_blocks(fullgraph=False, mode=COMPILE_MODES[compiled, machine.is_gpu])
    return network


def inputs(machine, config, grid, batch):
    like = {"device": machine.device, "dtype": machine.dtype}
    return (torch.randn(batch, grid[0] * grid[1], config.in_channels, **like),
            [torch.randn(TEXT_TOKENS, config.joint_attention_dim, **like) for _ in range(batch)],
            [torch.randn(4, config.joint_attention_dim, **like) for _ in range(batch)])


def our_step(network, img, positive, negative, grid, graphs=False):
    """One guided step: both halves of the guidance as one batch, nothing padded."""
    modulation = network.modulate(torch.tensor([0.5]))

    def step():
        if graphs:
            torch.compiler.cudagraph_mark_step_begin()
        out = network(torch.cat([img, img]), positive + negative, modulation, grid=grid)
        return guide(out[:len(img)], out[len(img):], GUIDANCE)
    return step


def reference_step(network, img, positive, negative, grid):
    """As diffusers' pipeline does it: two forwards."""
    shapes, sigma = [[(1, *grid)]] * len(img), torch.full((len(img),), 0.5, device=img.device, dtype=img.dtype)
    halves = [torch.stack(positive), torch.stack(negative)]

    def step():
        out = [network(hidden_states=img, encoder_hidden_states=txt, timestep=sigma, img_shapes=shapes, return_dict=False)[0]
               for txt in halves]
        return guide(*out, GUIDANCE)
    return step


def cached_picture(machine, network, img, positive, negative, grid, bound):
    """Seconds of a whole 50-step picture with step caching, along a walk from noise, and how many steps were computed."""
    levels = torch.linspace(1, 0, STEPS + 1)
    modulation = network.modulate(levels[:-1])

    cache, tokens = StepCache(bound), img.float()
    machine.wait()
    started = time.perf_counter()
    for step in range(STEPS):
        out = network(torch.cat([tokens, tokens]).to(machine.dtype), positive + negative, modulation.at(step), grid=grid,
                      cache=cache).float()
        tokens = tokens + float(levels[step + 1] - levels[step]) * guide(out[:len(img)], out[len(img):], GUIDANCE)
    machine.wait()
    return time.perf_counter() - started, cache.computed


def plan(small):
    """(who, precision, compiled, side, batch), what decides first."""
    sides = (128, 160) if small else (1024, 1328)
    rest = [(side, batch) for side in sides for batch in (1, 2, 4) if (side, batch) != (sides[0], 1)]
    rows = [("ours", "bfloat16", "blocks", sides[0], 1), ("diffusers", "bfloat16", "blocks", sides[0], 1),
            ("ours", "float8", "blocks", sides[0], 1), ("ours", "bfloat16", "off", sides[0], 1),
            ("diffusers", "bfloat16", "off", sides[0], 1), ("ours", "bfloat16", "graphs", sides[0], 1)]
    rows += [("ours", "bfloat16", "blocks", side, batch) for side, batch in rest]
    rows += [("ours", "float8", "blocks", side, batch) for side, batch in rest]
    return [*rows, ("diffusers", "bfloat16", "blocks", sides[1], 1), ("ours", "float8", "off", sides[0], 1)]


def measure_row(machine, network, config, row):
    who, precision, compiled, side, batch = row
    grid = (side // 16, side // 16)
    img, positive, negative = inputs(machine, config, grid, batch)
    step = (our_step(network, img, positive, negative, grid, compiled == "graphs") if who == "ours"
            else reference_step(network, img, positive, negative, grid))
    machine.clear()
    seconds = machine.seconds(step)
    told = {"seconds_a_step": round(seconds, 4), "seconds_50_steps": round(seconds * STEPS, 2), "peak_gb": machine.peak_gb,
            "tflop_s": round(2 * batch * work_tflop(config, grid[0] * grid[1]) / seconds, 2)}
    if (who, precision, compiled, batch) == ("ours", "bfloat16", "blocks", 1) and row == plan(not machine.is_gpu)[0]:
        for bound in (0.1, 0.25):
            spent, computed = cached_picture(machine, network, img, positive, negative, grid, bound)
            told[f"step_cache_{bound}"] = {"seconds": round(spent, 2), "computed_steps": computed}
    return told


@torch.inference_mode()
def run(small, minutes, tell):
    machine, config = Machine(small), SMALL if small else QWEN_IMAGE
    started = time.monotonic()
    ceiling = machine.ceiling()
    tell({"device": torch.cuda.get_device_name() if machine.is_gpu else "cpu, small size", "torch": torch.__version__,
          "ceiling_tflop_s": {name: round(value, 2) for name, value in ceiling.items()}})
    built, network = None, None
    for row in plan(small):
        if time.monotonic() - started > minutes * 60:
            tell({"stopped": f"after {minutes} minutes, before {row}"})
            return
        try:
            if built != row[:3]:
                built, network = None, None
                machine.clear()
                who, precision, compiled = row[:3]
                network = (build_ours(machine, config, precision, compiled) if who == "ours"
                           else build_reference(machine, config, compiled))
                built = row[:3]
            torch.compiler.reset()  # kernels for this row's shapes, not for any
            told = measure_row(machine, network, config, row)
            told["share_of_ceiling"] = round(told["tflop_s"] / ceiling.get(row[1], ceiling["bfloat16"]), 3)
        except Exception as exc:  # one row's trouble (memory, a compiler) must not lose the others
            told = {"failed": f"{type(exc).__name__}: {' '.join(str(exc).split())[:300]}"}
        tell(dict(zip(("who", "precision", "compiled", "side", "batch"), row, strict=True)) | told)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--out", help="file that also gets the rows")
    chosen = parser.parse_args()
    out = open(chosen.out, "a", encoding="utf-8") if chosen.out else None  # noqa: SIM115 (open as long as the process)

    def tell(row):
        for stream in filter(None, (sys.stdout, out)):
            print(json.dumps(row), file=stream, flush=True)

    run(chosen.small or not torch.cuda.is_available(), chosen.minutes, tell)


if __name__ == "__main__":
    main()
