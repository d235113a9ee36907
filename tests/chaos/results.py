"""What was tried and what happened: JSON lines, one for each round, and a table of all."""

import json
import statistics
from collections import defaultdict
from pathlib import Path

HARM = ("lost", "duplicates", "orphans", "wrong", "cache", "ledger", "jobs", "stuck")


def read(file: Path) -> list[dict]:
    """The rounds so far; a line that a killed process left half written does not count."""
    rounds = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            rounds.append(json.loads(line))
        except ValueError:
            continue
    return rounds


def append(file: Path, played: dict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lines:
        lines.write(json.dumps(played) + "\n")


def count_faults(rounds: list[dict]) -> dict[str, int]:
    counted = defaultdict(int)
    for played in rounds:
        counted[played["fault"]] += len(played["faults"])
    return counted


def as_table(rounds: list[dict]) -> str:
    """Markdown."""
    head = ("fault", "times", "rounds", "posts covered", *HARM, "recovery s (median)", "recovery s (worst)")
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    by_fault = defaultdict(list)
    for played in rounds:
        by_fault[played["fault"]].append(played)
    for fault, those in by_fault.items():
        recoveries = [each["recovery_s"] for played in those for each in played["faults"] if each["recovery_s"] is not None]
        harm = [sum(len(played["harm"].get(kind, [])) for played in those) for kind in HARM]
        covered = sum(played["covered"] for played in those), sum(played["posts"] for played in those)
        cells = [fault, sum(len(played["faults"]) for played in those), len(those), f"{covered[0]} of {covered[1]}", *harm,
                 f"{statistics.median(recoveries):.0f}" if recoveries else "-", f"{max(recoveries):.0f}" if recoveries else "-"]
        lines.append(" | ".join(map(str, cells)))
    return "\n".join(f"| {line} |" for line in lines)
