"""GitCheckout: the folder of a Git repository that a push has to reach before its posts can be read."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from integrations.errors import Refused, Unavailable

TIMEOUT_S = 60


@dataclass(frozen=True)
class GitCheckout:
    """folder: anywhere inside the working tree. pulls: whether we fetch and fast-forward it, or somebody else does."""

    folder: Path
    pulls: bool = False

    def bring(self, commit: str) -> None:
        """See that `commit` is in the folder's history. Raises Unavailable while it is not, Refused where it never will be."""
        if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
            raise Refused(f"git: {commit[:80]!r} is not the id of a commit")
        if self._has(commit):
            return
        if self.pulls:
            code, said = self._git("pull", "--ff-only", "--quiet")
            if code and "fast-forward" in said:
                raise Refused(f"git: {self.folder} has diverged from what was pushed: {said}")
            if code:
                raise Unavailable(f"git: {self.folder} cannot be pulled: {said}")
            if self._has(commit):
                return
        raise Unavailable(f"git: {self.folder} is not at commit {commit[:12]} yet")

    def _has(self, commit: str) -> bool:
        return self._git("merge-base", "--is-ancestor", commit, "HEAD")[0] == 0

    def _git(self, *words: str) -> tuple[int, str]:
        """The exit code and what it said; it never asks anybody for a password."""
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        try:
            done = subprocess.run(["git", "-C", str(self.folder), *words], stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=TIMEOUT_S, env=environment, text=True, errors="replace")
        except subprocess.TimeoutExpired as exc:
            raise Unavailable(f"git: {words[0]} did not end within {TIMEOUT_S} s in {self.folder}") from exc
        except OSError as exc:
            raise Unavailable(f"git: cannot be run in {self.folder}: {exc.strerror}") from exc
        return done.returncode, " ".join(done.stderr.split())[:300]
