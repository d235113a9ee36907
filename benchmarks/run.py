"""Every benchmark, one after another on this machine, and a table of the figures beside their bounds.

python -m benchmarks.run [FOLDER_OF_POSTS] [--write docs/benchmarks.md]. Each part runs in a process of its own, so that
none sees another's memory; a part may also be run alone.
"""

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path

import torch

BOUNDS = (
    ("story", "help_s", "`fengmian --help`, s", 0.5),
    ("story", "cold_process_s", "cold process `fengmian cover`, s", 20),
    ("story", "cached_process_s", "second run of the same article, s", 3),
    ("story", "peak_memory_mb", "peak memory of the cold process, MB", 1536),
    ("story", "generate_1024_ms", "warm 1024x1024 picture, ms", 5000),
    ("story", "outside_generation_ms", "everything except generation, ms", 300),
    ("story", "cache_lookup_ms", "cache hit: look-up in cache and store, ms", 20),
    ("story", "story_from_cache_ms", "cache hit: the whole story, ms", None),
    ("words", "check_ms", "20,000 words against 10,000 characters, ms", None),
)


def run_part(name, *arguments):
    print(f"benchmarks.{name} …", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def write_table(report):
    """Markdown: figures with bounds, then our networks against diffusers."""
    lines = [f"{platform.machine()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, torch "
             f"{torch.__version__}", "", "| figure | measured | bound |", "|---|---:|---:|"]
    for part, key, title, bound in BOUNDS:
        lines.append(f"| {title} | {report[part][key]} | {'' if bound is None else f'≤ {bound}'} |")
    lines += ["", "| same random weights, best of rounds taken in turns | diffusers s | ours s | ratio | ours bfloat16, ratio "
              "| largest difference |", "|---|---:|---:|---:|---:|---:|"]
    for row in report["generator"]["rows"]:
        lines.append(f"| {row['what']} | {row['reference']:.3f} | {row['ours']:.3f} | {row['ratio']:.2f} "
                     f"| {row.get('ratio bfloat16', '')} | {row['difference']:.0e} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="examples", help="posts for the story (default: examples)")
    parser.add_argument("--write", type=Path, help="also write the table into this file")
    chosen = parser.parse_args()
    table = write_table({"story": run_part("story", chosen.folder), **{name: run_part(name) for name in ("words", "generator")}})
    print(table)
    if chosen.write:
        head = "# Benchmarks\n\nWritten by `make bench`; each figure is from that one run.\n\n"
        chosen.write.write_text(head + table, encoding="utf-8")


if __name__ == "__main__":
    main()
