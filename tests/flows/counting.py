"""A painter that counts what it paints, and a command line whose painter leaves a tally that other processes can read.

python -m tests.flows.counting WORDS...: as `fengmian WORDS`. TALLY names a file that gets "begun SEED" and
"done SEED" for every picture; SLOWLY, in seconds, is how long each takes at least.
"""

import os
import sys
import time
from pathlib import Path

from flows import cli, wiring
from integrations.ports import ImageGenerator


class CountingPainter(ImageGenerator):
    def __init__(self, painter: ImageGenerator, tally: Path | None = None, seconds: float = 0):
        self._painter, self._tally, self._seconds = painter, tally, seconds
        self.seeds: list[int] = []

    @property
    def checkpoint(self):
        return self._painter.checkpoint

    @property
    def calls(self) -> int:
        return len(self.seeds)

    def generate(self, request, progress=None):
        self.seeds.append(request.seed)
        self._tell(f"begun {request.seed}")
        time.sleep(self._seconds)
        picture = self._painter.generate(request, progress)
        self._tell(f"done {request.seed}")
        return picture

    def redo(self, request, picture):
        self.seeds.append(request.seed)
        return self._painter.redo(request, picture)

    def generate_many(self, requests, progress=None):
        return (self.generate(request, progress) for request in requests)

    def _tell(self, line: str) -> None:
        if self._tally:
            with self._tally.open("a") as file:
                file.write(f"{line}\n")


if __name__ == "__main__":
    ports = wiring.ports()
    ports.generator = CountingPainter(ports.generator, Path(os.environ["TALLY"]), float(os.environ.get("SLOWLY", 0)))
    sys.exit(cli.run(sys.argv[1:]))
