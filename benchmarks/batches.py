"""Whether batches pay on this machine: the same pictures one by one, in batches, and of two sizes in turn.

python -m benchmarks.batches; one JSON line: seconds a picture, and how many bytes of the pictures differ.
"""

import argparse
import json
import time

from generator.options import ModelOptions
from generator.pipeline import CoverPainter, Order
from generator.request import CoverRequest

SIZES = ((320, 200), (640, 336), (1200, 630))
PROMPTS = ("云原生，主体位于右侧", "a red lighthouse on the left", "Kubernetes 集群 #2F4A3E #F4EFE6",
           "A minimal mountain, lots of space")
STEPS = 12
ROUNDS = 3


def paint(painter, requests, batch):
    pictures = []
    for first in range(0, len(requests), batch):
        pictures += painter.generate_batch([Order(request=request) for request in requests[first:first + batch]])
    return pictures


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = []
    for precision in ("float32", "bfloat16"):
        painter = CoverPainter(options=ModelOptions(max_batch=8, precision=precision))
        for width, height in SIZES:
            requests = [CoverRequest(prompt=PROMPTS[seed % 4], negative="", width=width, height=height, steps=STEPS, guidance=3.0,
                                     seed=seed, checkpoint=painter.checkpoint) for seed in range(8)]
            alone, best = paint(painter, requests, 1), {}
            for _ in range(ROUNDS):
                for batch in (1, 2, 4, 8):
                    started = time.perf_counter()
                    pictures = paint(painter, requests, batch)
                    seconds = (time.perf_counter() - started) / len(requests)
                    best[batch] = min(best.get(batch, (9e9, 0))[0], seconds), sum(
                        a != b for ours, theirs in zip(pictures, alone, strict=True)
                        for a, b in zip(ours.rgb, theirs.rgb, strict=True)) / sum(len(each.rgb) for each in alone)
            rows.append({"precision": precision, "size": f"{width}x{height}",
                         **{f"batch {batch}": {"seconds": round(seconds, 3), "bytes_that_differ": share}
                            for batch, (seconds, share) in best.items()}})
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
