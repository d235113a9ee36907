"""Loss curves: a JSON line for each point while training, a picture afterwards. `python -m generator.training.curves --help`."""

import argparse
import json
from pathlib import Path

PARTS = {"vae": "autoencoder", "text": "text encoder", "mmdit": "diffusion transformer"}
"""Each writes FOLDER/<part>_curve.jsonl with step, spent_s and loss."""


def write_point(file: Path, point: dict[str, float]) -> None:
    """Add a point to a curve."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(point) + "\n")


def read_points(file: Path) -> list[dict[str, float]]:
    """The points in order, without those of a run that was cut off and taken up again before them."""
    kept: list[dict[str, float]] = []
    for line in reversed(file.read_text(encoding="utf-8").splitlines()):
        point = json.loads(line)
        if not kept or point["spent_s"] < kept[-1]["spent_s"]:
            kept.append(point)
    return kept[::-1]


def draw(folder: Path, target: Path) -> None:
    """All curves of a training folder, side by side, loss over minutes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(PARTS), figsize=(13, 3.4))
    for axis, (part, title) in zip(axes, PARTS.items(), strict=True):
        points = read_points(folder / f"{part}_curve.jsonl")
        minutes, losses = zip(*((point["spent_s"] / 60, point["loss"]) for point in points), strict=True)
        axis.plot(minutes, losses, color="#1F3C88", linewidth=1.2)
        axis.set(title=title, xlabel="minutes on two cores", ylabel="loss", yscale="log")
        axis.grid(alpha=0.3, which="both")
    figure.tight_layout()
    figure.savefig(target, dpi=90)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    parser.add_argument("--out", type=Path, default=Path("docs/training-curves.png"))
    chosen = parser.parse_args()
    draw(chosen.folder, chosen.out)


if __name__ == "__main__":
    main()
