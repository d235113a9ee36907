"""A site of one's own for every story: real adapters, and a tiny random checkpoint in the bundled model's layout."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flows import cli, wiring
from tests.flows.counting import CountingPainter
from tests.generator.tiny_bundled import write_tiny_bundled

REPOSITORY = Path(__file__).parents[2]
QUIET = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"
os.environ.setdefault(QUIET, "CRITICAL")  # read once, as Prefect is imported, by whichever test does that first

CHINESE = """---
title: 云原生架构的设计思路 # 标题
date: 2024-03-01
tags: [云原生, 架构]
---

云原生让小团队也能稳定地服务百万用户。容器与编排把部署变成了声明，弹性伸缩把容量变成了策略。
我们用三个月把单体应用拆成了十二个服务，并总结了其中的经验。
"""
ENGLISH = """+++
title = "How caching keeps small sites fast"
date = 2024-03-02
+++

Caching keeps a small site fast without more machines. We measured three layers of cache over a month,
and found that the edge answers nine requests out of ten.
"""
BLOCKED = """---
title: 周末去哪里玩
---

澳门赌场在线开户，百家乐平台注册送彩金，真人荷官在线发牌，稳赚不赔。
"""


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory):
    return write_tiny_bundled(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="session")
def painter(tiny_checkpoint):
    """The checkpoint, loaded once for all tests of this process."""
    from generator.pipeline import CoverPainter

    return CoverPainter(tiny_checkpoint)


@dataclass
class Answer:
    """What a command line gave back."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def record(self) -> dict:
        (record,) = self.records
        return record


@dataclass
class Site:
    """One site in a temporary folder, which is also the working directory."""

    folder: Path
    environment: dict[str, str]
    painter: CountingPainter
    capture: object = field(repr=False)

    @property
    def posts(self) -> Path:
        return self.folder / "posts"

    @property
    def covers(self) -> list[Path]:
        return sorted((self.folder / "covers").glob("*"))

    @property
    def stored(self) -> list[Path]:
        return sorted(path for path in (self.folder / "state" / "covers").rglob("*") if path.is_file())

    def post(self, name: str, text: str = CHINESE) -> Path:
        path = self.posts / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def settle(self, monkeypatch, **changes: str) -> None:
        """Change settings, by the names of their environment variables without the prefix."""
        for name, value in changes.items():
            self.environment[f"FENGMIAN_{name}"] = value
            monkeypatch.setenv(f"FENGMIAN_{name}", value)

    def run(self, *words: str) -> Answer:
        """A command line in this process, with fresh adapters around the one loaded checkpoint."""
        wiring.use(None)
        self.capture.readouterr()
        try:
            wiring.ports().generator = self.painter
        except Exception:
            wiring.use(None)  # settings that cannot be read: the command shall say so
        code = cli.run([str(word) for word in words])
        out, err = self.capture.readouterr()
        return Answer(code, out, err)

    def start(self, *words: str, program: str = "flows.cli", **options) -> subprocess.Popen:
        """A command line in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", program, *map(str, words)], cwd=self.folder, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c, **{"env": self.environment, **options})

    def start_counted(self, *words: str, slowly: float = 0) -> subprocess.Popen:
        """As `start`, by tests/flows/counting.py: what it paints is told in `tally`."""
        environment = {**self.environment, "TALLY": str(self.folder / "tally"), "SLOWLY": str(slowly)}
        return self.start(*words, program="tests.flows.counting", env=environment)

    @property
    def tally(self) -> list[str]:
        file = self.folder / "tally"
        return file.read_text().splitlines() if file.exists() else []

    def count(self, word: str) -> int:
        return sum(line.startswith(word) for line in self.tally)

    def wait_for(self, word: str, count: int) -> None:
        deadline = time.monotonic() + 60
        while self.count(word) < count:
            assert time.monotonic() < deadline, f"fewer than {count} pictures {word} after 60 s: {self.tally}"
            time.sleep(0.02)

    def finish(self, process: subprocess.Popen) -> Answer:
        out, err = process.communicate(timeout=120)
        return Answer(process.returncode, out.decode(), err.decode())


def hear_ctrl_c() -> None:
    """A shell that runs the tests in the background makes their children deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def site(tmp_path, monkeypatch, tiny_checkpoint, painter, capfd):
    for name in [name for name in os.environ if name.startswith(("FENGMIAN_", "PREFECT_")) and name != QUIET]:
        monkeypatch.delenv(name)
    environment = dict(os.environ) | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    site = Site(tmp_path, environment, CountingPainter(painter), capfd)
    site.posts.mkdir()
    monkeypatch.chdir(tmp_path)
    site.settle(monkeypatch, STATE_FOLDER=str(tmp_path / "state"), GENERATOR__CHECKPOINT=str(tiny_checkpoint),
                GENERATOR__STEPS="2", SAFETY__PUBLISH_UNSCREENED="tiny")
    yield site
    wiring.use(None)
