"""Git: the one way our adapters call git. Each call has a time limit, asks nobody for a password, and fails in our words."""

import fcntl
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integrations.errors import Refused, Unavailable

MAX_MESSAGE = 300
WAIT_S = 0.1
_USERINFO = re.compile(r"://[^/@\s]*@")


class Git:
    """One working tree."""

    def __init__(self, folder: Path, timeout_s: float) -> None:
        """timeout_s: for one call, its hooks and the network included."""
        self.folder = folder
        self._timeout_s = timeout_s

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time in this block, of all that call this. Raises Unavailable where another one takes longer than a
        call may, Refused outside any repository.
        """
        place = Path(self.ask("rev-parse", "--absolute-git-dir").strip()) / "fengmian.lock"
        until = time.monotonic() + self._timeout_s
        with place.open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise Unavailable(f"git: another process has worked in {self.folder} for {self._timeout_s:g} s") from None
                    time.sleep(WAIT_S)
            yield  # the lock ends with the file, and with the process

    def ask(self, *words: str) -> str:
        """What git prints. Raises Refused with git's own words where it fails, Unavailable."""
        status, output, complaint = self._run(words)
        if status:
            raise Refused(f"git: {words[0]} in {self.folder}: {complaint or f'it ended with {status}'}")
        return output

    def succeeds(self, *words: str) -> bool:
        """Whether git ends well. Raises Unavailable."""
        return self._run(words)[0] == 0

    def reach(self, *words: str) -> None:
        """A call that needs the remote; its failure may pass. Raises Unavailable with git's own words."""
        status, _, complaint = self._run(words)
        if status:
            raise Unavailable(f"git: {words[0]} in {self.folder}: {complaint or f'it ended with {status}'}")

    def _run(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        """Exit status, output and complaint, on one line and without a password that an address may hold."""
        # A session of its own: without a terminal nothing can ask for a password, and its children end with it.
        try:
            process = subprocess.Popen(
                ["git", "-C", str(self.folder), "-c", "core.quotePath=false", *words], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        except OSError as exc:
            raise Refused(f"git: it cannot be started, so {self.folder} is no source of posts: {exc.strerror}") from exc
        try:
            output, complaint = process.communicate(timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"git: {words[0]} in {self.folder} did not end within {self._timeout_s:g} s") from None
        finally:
            if process.poll() is None:  # also for Ctrl-C
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        told = " ".join(_USERINFO.sub("://", complaint.decode("utf-8", "replace")).split())
        return process.returncode, output.decode("utf-8", "replace"), told[-MAX_MESSAGE:]
