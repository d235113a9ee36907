"""GitCheckout: the folder of a Git repository that a push has to reach before its posts can be read."""

import re
from dataclasses import dataclass
from pathlib import Path

from integrations.errors import Refused, Unavailable
from integrations.git import Git

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
        git = Git(self.folder, TIMEOUT_S)
        with git.locked():
            if git.succeeds("merge-base", "--is-ancestor", commit, "HEAD"):
                return
            if self.pulls:
                git.reach("fetch", "--quiet")
                try:
                    git.ask("merge", "--quiet", "--ff-only", "@{upstream}")
                except Refused as exc:
                    raise Refused(f"git: {self.folder} cannot follow what was pushed: it has diverged, or has changes of its "
                                  f"own: {exc}") from exc
                if git.succeeds("merge-base", "--is-ancestor", commit, "HEAD"):
                    return
        raise Unavailable(f"git: {self.folder} is not at commit {commit[:12]} yet")
