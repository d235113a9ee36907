"""Starting a real server for a test session and ending it again, whatever it started in turn."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

INSTALL = "run tests/services/install.sh as root"


class NotStarted(Exception):
    """A service is missing or did not come up. The message says what to install or where its log is."""


def needs(*programs: str, remedy: str = INSTALL) -> None:
    """Raise NotStarted unless every program is on the PATH."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise NotStarted(f"{', '.join(missing)} not found; {remedy}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Command:
    words: list[str]
    log: Path
    environment: dict[str, str]


class Server:
    """A command in a session of its own, that can be ended and started again with the same words, on the same port."""

    def __init__(self, command: Command, is_up: Callable[[], bool], within_s: float) -> None:
        self.command, self.is_up, self._within_s = command, is_up, within_s
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Begin, and wait until it answers. Raises NotStarted, nothing left behind."""
        self.launch()
        try:
            wait_until(self.is_up, self.process, self._within_s, self.command)
        except BaseException:
            self.end()
            raise

    def launch(self) -> None:
        """Begin."""
        with self.command.log.open("ab") as log:
            self.process = subprocess.Popen(self.command.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.command.environment, start_new_session=True)

    def end(self) -> None:
        """End its whole process group, if it lives."""
        if self.process is not None:
            end_group(self.process)

    def kill(self) -> None:
        """End its whole process group at once, without a word to it."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)

    @property
    def lives(self) -> bool:
        """Whether its first process does."""
        return self.process is not None and self.process.poll() is None


@contextmanager
def serving(command: Command, is_up: Callable[[], bool], within_s: float) -> Iterator[Server]:
    """The command, up and answering; its whole process group is ended afterwards."""
    server = Server(command, is_up, within_s)
    server.start()
    try:
        yield server
    finally:
        server.end()


@contextmanager
def running(command: Command, is_up: Callable[[], bool], within_s: float) -> Iterator[subprocess.Popen]:
    """The same, for those who want no more than its process."""
    with serving(command, is_up, within_s) as server:
        yield server.process


def wait_until(is_up: Callable[[], bool], process: subprocess.Popen, within_s: float, command: Command) -> None:
    deadline = time.monotonic() + within_s
    while not is_up():
        if process.poll() is not None:
            raise NotStarted(f"{command.words[0]} ended with {process.returncode}: {last_line(command.log)}")
        if time.monotonic() > deadline:
            raise NotStarted(f"{command.words[0]} did not answer within {within_s:g} s: {last_line(command.log)}")
        time.sleep(0.05)


def end_group(process: subprocess.Popen, patience_s: float = 5) -> None:
    """End the process and everything it started: by group id, since workers may outlive their parent."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + patience_s
        while group_lives(process) and time.monotonic() < deadline:
            time.sleep(0.05)
    process.wait(timeout=patience_s)


def group_lives(process: subprocess.Popen) -> bool:
    process.poll()  # collects the leader, which would count as living otherwise
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line for line in reversed(lines) if line.strip()), "its log is empty")


@contextmanager
def or_skip(request: pytest.FixtureRequest, name: str) -> Iterator[None]:
    """A service that cannot start skips its tests with one line, or fails them under --require-services."""
    try:
        yield
    except NotStarted as exc:
        if request.config.getoption("--require-services"):
            pytest.fail(f"{name}: {exc}", pytrace=False)
        pytest.skip(f"{name}: {exc}")
