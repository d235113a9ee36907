"""The whole story's times: python -m benchmarks.story FOLDER_OF_POSTS. Settings as for fengmian; state in a new folder.

One JSON line: --help, a cold process with its peak memory, the same again from the cache, and in this process, warm, for
every post twice: generation, everything outside it, the whole story from the cache, and the look-up in cache and store alone.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FENGMIAN = [sys.executable, "-m", "flows.cli"]
SIZE = (1024, 1024)


def time_process(*words: str) -> float:
    began = time.perf_counter()
    subprocess.run([*FENGMIAN, *words], check=True, stdout=subprocess.DEVNULL)
    return round(time.perf_counter() - began, 3)


def time_posts(source: str, out: Path) -> dict[str, float]:
    """Medians and worst cases in milliseconds; the first post, which loads everything, does not count."""
    from flows.cover_post import cover_post
    from flows.record import Wishes
    from flows.wiring import ports

    painted, outside, hits, lookups = [], [], [], []
    for post_id in list(ports().open_source(source).list_posts()):
        for _ in range(2):
            began = time.perf_counter()
            record = cover_post(source, post_id, Wishes(out=str(out), seed=1, size=SIZE))
            spent = (time.perf_counter() - began - record.timings_s["generate"]) * 1000
            (hits if record.cached else outside).append(spent)
            if record.cached:
                lookups.append(record.timings_s["store"] * 1000)
            else:
                painted.append(record.timings_s["generate"] * 1000)
    result = {}
    measured = {"generate_1024_ms": painted[1:] or painted, "outside_generation_ms": outside[1:] or outside,
                "story_from_cache_ms": hits, "cache_lookup_ms": lookups}
    for name, values in measured.items():
        result |= {name: round(statistics.median(values), 1), f"{name}_worst": round(max(values), 1)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = str(parser.parse_args().folder)
    with tempfile.TemporaryDirectory() as state:
        os.environ["FENGMIAN_STATE_FOLDER"] = state
        from flows.wiring import ports

        first = str(Path(folder) / next(iter(ports().open_source(folder).list_posts())))
        out = Path(state) / "out"
        report = {"help_s": min(time_process("--help") for _ in range(3))}
        for name in ("cold_process_s", "cached_process_s"):
            report[name] = time_process("cover", first, "--out", str(out))
            report.setdefault("peak_memory_mb", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
        print(json.dumps(report | time_posts(folder, out)))


if __name__ == "__main__":
    main()
