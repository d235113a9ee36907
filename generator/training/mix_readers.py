"""Averages the weights of several readers that one was trained on from. `python -m generator.training.mix_readers OUT IN IN ...`

Source: Wortsman et al. 2022, "Model soups": runs with one start end in one valley, whose middle is better than its rim.
"""

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

FILE = "model.safetensors"


def mix(out: Path, readers: list[Path]) -> None:
    """Write to `out` a reader like the last of `readers`, with the mean of all their weights. Raises ValueError."""
    weights = [load_file(reader / FILE) for reader in readers]
    shapes = [{name: tensor.shape for name, tensor in each.items()} for each in weights]
    if any(each != shapes[0] for each in shapes):
        raise ValueError(f"readers: {', '.join(map(str, readers))} do not have the same tensors")
    mean = {name: torch.stack([each[name].float() for each in weights]).mean(0).to(tensor.dtype)
            for name, tensor in weights[0].items()}
    shutil.copytree(readers[-1], out, dirs_exist_ok=True)
    save_file(mean, out / FILE)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("readers", type=Path, nargs="+")
    chosen = parser.parse_args()
    mix(chosen.out, chosen.readers)


if __name__ == "__main__":
    main()
