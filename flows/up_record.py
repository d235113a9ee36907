"""What `fengmian up` leaves in the state folder for `down`, `status` and the next `up`: who runs what, and the one log."""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Literal

import psutil

from flows.errors import FlowError

LOG_BYTES, LOG_FILES = 10_000_000, 5
MARK = "COVERS_UP"
"""Variable of every process below a supervisor: its state folder and the service, for what a dead one left behind."""
CLOCK_S = 2.0
"""By so much the start of a process may seem to move, which the system counts from its own."""
State = Literal["waiting", "starting", "healthy", "unhealthy", "crashed", "done", "stopped"]


class AlreadyUp(FlowError):
    """Another supervisor works on this state folder."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """One service as it is. since: when it came into this state, seconds since the epoch."""

    name: str
    state: State = "waiting"
    url: str = ""
    pid: int = 0
    restarts: int = 0
    since: float = 0
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A supervisor and its services. started: of its process; with the pid it names one process for good."""

    pid: int
    started: float
    services: tuple[Running, ...] = ()

    @property
    def is_alive(self) -> bool:
        """Whether that very process runs; a later one with its pid is another."""
        try:
            process = psutil.Process(self.pid)
            return bool(abs(process.create_time() - self.started) < CLOCK_S and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    @property
    def is_healthy(self) -> bool:
        """Whether everything is."""
        return self.is_alive and all(each.state in ("healthy", "done") for each in self.services)


@dataclass(frozen=True)
class UpFolder:
    """Where it is all kept. state_folder: the setting."""

    state_folder: Path
    _record: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_record", self.state_folder.absolute() / "up" / "record.json")

    @property
    def log(self) -> Path:
        """What every process says."""
        return self.state_folder.absolute() / "log" / "fengmian.log"

    def read(self) -> Record | None:
        """The last supervisor's word, None where there was none or it cannot be read."""
        try:
            told = json.loads(self._record.read_text(encoding="utf-8"))
            return replace(Record(**told), services=tuple(Running(**each) for each in told["services"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, services: tuple[Running, ...]) -> None:
        """Tell how things are; whoever reads sees the old or the new, never a half."""
        own = psutil.Process()
        text = json.dumps(asdict(Record(pid=own.pid, started=own.create_time(), services=services)), ensure_ascii=False)
        temporary = self._record.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._record)

    @contextmanager
    def held(self) -> Iterator[None]:
        """This process is the one supervisor for the while; the system lets go when it dies. Raises AlreadyUp."""
        self._record.parent.mkdir(parents=True, exist_ok=True)
        with (self._record.parent / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                record = self.read()
                raise AlreadyUp(f"already up{f', as process {record.pid}' if record else ''}; "
                                f"`fengmian status` tells more, `fengmian down` ends it") from None
            yield

    def mark(self, service: str) -> dict[str, str]:
        """The variable by which the processes of a service are known, children and grandchildren too."""
        return {MARK: f"{self.state_folder.absolute()}:{service}"}

    def family(self, *services: str) -> list[psutil.Process]:
        """The living processes of these services, of all where none is named, whoever is their parent now."""
        marks = tuple(self.mark(service)[MARK] for service in services)
        ours = self.mark("")[MARK]
        return [process for process in psutil.process_iter()
                if (mark := _mark_of(process)) and (mark in marks if marks else mark.startswith(ours))]

    @contextmanager
    def logging(self, echo: IO[str] | None) -> Iterator[logging.Logger]:
        """The one log, turned over when it grows; echo: where it is shown too."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        logger = logging.Logger("up")
        handlers: list[logging.Handler] = [RotatingFileHandler(self.log, maxBytes=LOG_BYTES, backupCount=LOG_FILES,
                                                               encoding="utf-8", errors="backslashreplace")]
        handlers[0].setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        if echo is not None:
            handlers.append(logging.StreamHandler(echo))
        for handler in handlers:
            logger.addHandler(handler)
        try:
            yield logger
        finally:
            for handler in handlers:
                handler.close()


def end(processes: list[psutil.Process], patience_s: float) -> None:
    """Ask each to end, and make it end where it does not in that time."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(processes, timeout=patience_s)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=patience_s)


def _mark_of(process: psutil.Process) -> str | None:
    if process.pid == os.getpid():
        return None
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # gone, or not ours
        return None
