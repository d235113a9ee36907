"""Loading a large transformer: seconds and peak memory, ours and diffusers', each in a process of its own.

python -m benchmarks.loading [--gigabytes 4]; one JSON line. The checkpoint is synthetic, bfloat16, in shards as published.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from safetensors.torch import save_file

BLOCK_PARAMETERS = 339_800_000
"""Of one block at Qwen-Image's full width."""
SHARDS = 5


def write_checkpoint(folder, gigabytes):
    """Random weights at full width, as many blocks as it takes; the bytes on disk."""
    import dataclasses

    import torch

    from generator.config import QWEN_IMAGE
    from generator.mmdit import MMDiT
    from generator.names import TRANSFORMER_NAMES, published_names

    blocks = max(1, -(-int(gigabytes * 1e9) // (2 * BLOCK_PARAMETERS)))
    config = dataclasses.replace(QWEN_IMAGE, num_layers=blocks)
    with torch.device("meta"):
        wanted = MMDiT(config).state_dict()
    sizes = [(name, (tensor.shape[0] // len(names), *tensor.shape[1:])) for full, tensor in wanted.items()
             for names in [published_names(full, TRANSFORMER_NAMES)] for name in names]
    weight_map, total = {}, 0
    for shard in range(SHARDS):
        part = sizes[shard * len(sizes) // SHARDS:(shard + 1) * len(sizes) // SHARDS]
        file = f"diffusion_pytorch_model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        save_file({name: torch.randn(size, dtype=torch.bfloat16).mul_(0.01) for name, size in part}, folder / file,
                  metadata={"format": "pt"})
        weight_map |= {name: file for name, _ in part}
        total += (folder / file).stat().st_size
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name != "theta"}
    (folder / "config.json").write_text(json.dumps({"_class_name": "QwenImageTransformer2DModel", **settings}))
    return total


class Peak(threading.Thread):
    """Watches this process's own memory (without pages of files, which the system takes back as it likes), in bytes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.anonymous, self.all, self._on = 0, 0, True

    def run(self):
        while self._on:
            told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            read = {name: int(told[name].split()[0]) * 1024 for name in ("RssAnon", "VmRSS")}
            self.anonymous, self.all = max(self.anonymous, read["RssAnon"]), max(self.all, read["VmRSS"])
            time.sleep(0.01)

    def stop(self):
        self._on = False
        self.join()


def load(who, folder):
    """In a process of its own: seconds and peaks above what the libraries took."""
    if who == "diffusers":
        import torch
        from diffusers import QwenImageTransformer2DModel

        def run():
            return QwenImageTransformer2DModel.from_pretrained(folder, torch_dtype=torch.bfloat16)
    else:
        from generator.checkpoint import load_transformer

        def run():
            return load_transformer(folder, precision="float8" if who == "ours float8" else "bfloat16")
    base = Peak()
    base.start()
    time.sleep(0.1)
    base.stop()
    peak = Peak()
    peak.start()
    started = time.monotonic()
    network = run()
    use(network)
    seconds = time.monotonic() - started
    peak.stop()
    return {"seconds": round(seconds, 2), "peak_gb": round((peak.anonymous - base.anonymous) / 1e9, 2),
            "peak_with_file_pages_gb": round((peak.all - base.all) / 1e9, 2)}


def use(network):
    """One forward of a few tokens: what is mapped lazily is read now."""
    import torch

    like = next(parameter for parameter in network.parameters() if parameter.ndim == 1)
    img, txt, sigma = torch.zeros(1, 16, 64, dtype=like.dtype), torch.zeros(1, 8, 3584, dtype=like.dtype), torch.tensor([0.5])
    with torch.inference_mode():
        if type(network).__name__ == "MMDiT":
            network(img, txt, sigma, grid=(4, 4))
        else:
            network(hidden_states=img, encoder_hidden_states=txt, timestep=sigma.to(img), img_shapes=[[(1, 4, 4)]])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--load", nargs=2, metavar=("WHO", "FOLDER"), help="what the parent process asks of its children")
    chosen = parser.parse_args()
    if chosen.load:
        print(json.dumps(load(chosen.load[0], Path(chosen.load[1]))))
        return
    with tempfile.TemporaryDirectory() as place:
        size = write_checkpoint(Path(place), chosen.gigabytes)
        rows = []
        for who in ("ours", "diffusers", "ours", "diffusers", "ours float8"):  # the first of each warms the file cache
            done = subprocess.run([sys.executable, "-m", "benchmarks.loading", "--load", who, place], check=True,
                                  stdout=subprocess.PIPE, text=True)
            rows.append({"who": who, **json.loads(done.stdout.splitlines()[-1])})
            print(rows[-1], file=sys.stderr, flush=True)
    print(json.dumps({"checkpoint_gb": round(size / 1e9, 2), "peak_share": round(rows[2]["peak_gb"] * 1e9 / size, 2),
                      "rows": rows[2:]}))


if __name__ == "__main__":
    main()
