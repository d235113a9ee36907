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
    ("loading", "peak_share", "loading a 4 GB transformer: peak memory of its size", 2),
    ("words", "check_ms", "20,000 words against 10,000 characters, ms", None),
)


PARTS = ("story", "words", "generator", "loading", "batches", "step_cache")
KEPT = Path("build/benchmarks")
BATCHES = ("batch 1", "batch 2", "batch 4", "batch 8")


def run_part(name, *arguments):
    """One part in a process of its own; what it told is kept in build/benchmarks, for a later part may fail."""
    print(f"benchmarks.{name} …", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.json").write_text(done.stdout.splitlines()[-1])


def write_figures(report):
    """Markdown: figures with their bounds."""
    lines = ["| figure | measured | bound |", "|---|---:|---:|"]
    return lines + [f"| {title} | {report[part][key]} | {'' if bound is None else f'≤ {bound}'} |"
                    for part, key, title, bound in BOUNDS]


def write_networks(rows):
    """Our networks against diffusers."""
    lines = ["| same random weights, best of rounds taken in turns | diffusers s | ours s | ratio | ours bfloat16, ratio "
             "| largest difference |", "|---|---:|---:|---:|---:|---:|"]
    for row in rows:
        lines.append(f"| {row['what']} | {row['reference']:.3f} | {row['ours']:.3f} | {row['ratio']:.2f} "
                     f"| {row.get('ratio bfloat16', '')} | {row['difference']:.0e} |")
        if "memory" in row:
            theirs, ours = (size / 2**20 for size in row["memory"])
            lines.append(f"| … memory above the weights, MB | {theirs:.0f} | {ours:.0f} | {theirs / ours:.2f} | | |")
    return lines


def write_loading(report):
    """Seconds and memory until a large transformer has answered once."""
    lines = [f"Loading a transformer of {report['checkpoint_gb']} GB (bfloat16, full width), up to its first forward:", "",
             "| who | s | own memory at its peak, GB | with pages of the file, GB |", "|---|---:|---:|---:|"]
    return lines + [f"| {row['who']} | {row['seconds']} | {row['peak_gb']} | {row['peak_with_file_pages_gb']} |"
                    for row in report["rows"]]


def write_batches(rows):
    """Whether batches pay, and that they change nothing."""
    differ = max(row[batch]["bytes_that_differ"] for row in rows for batch in BATCHES)
    lines = [f"Batches, bundled model, 12 steps, guidance 3: seconds a picture. Share of bytes that differ from single calls: "
             f"at most {differ:g}.", "", "| precision, size | 1 | 2 | 4 | 8 |", "|---|---:|---:|---:|---:|"]
    return lines + [f"| {row['precision']}, {row['size']} | " + " | ".join(f"{row[batch]['seconds']}" for batch in BATCHES) + " |"
                    for row in rows]


def write_step_cache(rows):
    """What step caching saves and costs."""
    count = rows[0]["pictures"] if rows else 0
    lines = [f"Step caching (`generator.step_cache`), bundled model, 24 steps, the same {count} held-out captions:", "",
             "| bound | s a picture | speed-up | PSNR to exact, dB (worst) | motif | place | palette ΔE |",
             "|---:|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        psnr = f"{row['psnr_db']} ({row['worst_psnr_db']})" if row["psnr_db"] < float("inf") else "same bytes"
        lines.append(f"| {row['bound'] or 'exact'} | {row['seconds']} | {row['speed_up']:.2f} | {psnr} | {row['motif']:.3f} "
                     f"| {row['place']:.3f} | {row['palette_delta_e']} |")
    return lines


def write_tables(report):
    """The whole page below its head."""
    machine = (f"{platform.machine()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, torch "
               f"{torch.__version__}")
    parts = [[machine], write_figures(report), write_networks(report["generator"]["rows"]), write_loading(report["loading"]),
             write_batches(report["batches"]["rows"]), write_step_cache(report["step_cache"]["rows"])]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="examples", help="posts for the story (default: examples)")
    parser.add_argument("--write", type=Path, help="also write the table into this file")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="run these; take the others from the last run")
    chosen = parser.parse_args()
    for name in chosen.only:
        run_part(name, *([chosen.folder] if name == "story" else []))
    table = write_tables({name: json.loads((KEPT / f"{name}.json").read_text()) for name in PARTS})
    print(table)
    if chosen.write:
        head = "# Benchmarks\n\nWritten by `make bench`; each section is from one run of its part.\n\n"
        chosen.write.write_text(head + table, encoding="utf-8")


if __name__ == "__main__":
    main()
