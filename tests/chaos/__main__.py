"""The long chaos run: python -m tests.chaos [--times 20] [--posts 50] [--results build/chaos.jsonl]; goes on where it stopped."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.chaos import results
from tests.chaos.monkey import FAULTS
from tests.chaos.rounds import Round
from tests.chaos.world import settle_here, world_in


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="of each fault")
    parser.add_argument("--posts", type=int, default=50)
    parser.add_argument("--in-a-round", type=int, default=5, help="faults of one kind")
    parser.add_argument("--faults", default=",".join(FAULTS), help="kinds, by comma")
    parser.add_argument("--results", type=Path, default=Path("build/chaos.jsonl"))
    parser.add_argument("--folder", type=Path, help="of the world's logs; default: a temporary one")
    chosen = parser.parse_args()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: sys.exit(130))  # everything that was started is ended
    with tempfile.TemporaryDirectory(prefix="fengmian-chaos-") as temporary, pytest.MonkeyPatch.context() as patch:
        folder = chosen.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with world_in(folder) as world:
            settle_here(world, patch)
            print(f"up after {time.monotonic() - began:.0f} s", flush=True)
            for kind in chosen.faults.split(","):
                play_until(world, kind, chosen)
    rounds = results.read(chosen.results)
    print(results.as_table(rounds))
    return int(any(played["harm"] for played in rounds))


def play_until(world, kind, chosen):
    while (left := chosen.times - results.count_faults(results.read(chosen.results))[kind]) > 0:
        seed = len(results.read(chosen.results)) + 1
        print(f"{kind}: {left} to go, seed {seed}", flush=True)
        played = Round(world, [kind] * min(left, chosen.in_a_round), chosen.posts, seed).play()
        results.append(chosen.results, played)
        told = {name: value for name, value in played.items() if name not in ("swept", "faults")}
        print(f"  {told}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
