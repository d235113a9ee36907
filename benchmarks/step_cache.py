"""Step caching on the bundled model: speed-up against PSNR to the exact picture and against the evaluation's scores.

python -m benchmarks.step_cache [--count 48]; one JSON line. The same held-out prompts for every bound.
"""

import argparse
import json
import time

import numpy as np

from generator.evaluation.aesthetic import load_scorer
from generator.evaluation.judge import load_judge
from generator.evaluation.report import paint_prompts, read_prompts, score_picture
from generator.options import ModelOptions
from generator.pipeline import CoverPainter

BOUNDS = (0.0, 0.05, 0.1, 0.15, 0.25, 0.4)
STEPS, GUIDANCE = 24, 1.0


def psnr(ours, exact):
    error = np.mean((ours.astype(np.float32) - exact.astype(np.float32)) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=48)
    count = parser.parse_args().count
    prompts, judge, scorer, rows, exact = read_prompts(count), load_judge(), load_scorer(), [], None
    for bound in BOUNDS:
        painter = CoverPainter(options=ModelOptions(step_cache=bound))
        paint_prompts(painter, prompts[:2], STEPS, GUIDANCE)
        started = time.monotonic()
        pictures = paint_prompts(painter, prompts, STEPS, GUIDANCE)
        seconds = time.monotonic() - started
        exact = exact or pictures
        each = [psnr(ours, theirs) for ours, theirs in zip(pictures, exact, strict=True)]
        scores = [score_picture(judge, scorer, prompt, picture) for prompt, picture in zip(prompts, pictures, strict=True)]
        means = {name: round(float(np.mean([row[name] for row in scores if name in row])), 3) for name in ("motif", "palette")}
        rows.append({"bound": bound, "seconds": round(seconds / count, 3), "psnr_db": round(float(np.mean(each)), 1),
                     "worst_psnr_db": round(float(min(each)), 1), **means})
    for row in rows:
        row["speed_up"] = round(rows[0]["seconds"] / row["seconds"], 2)
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
