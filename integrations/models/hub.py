"""The port to a model hub, in our words: which files a repository holds at a commit, and the bytes of one."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from integrations.errors import IntegrationError, Refused
from integrations.models.catalogue import Source

PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
"""Weights that can run code as they are loaded."""
MAX_PATH_CHARACTERS = 200


class PullFailed(IntegrationError):
    """This machine or those bytes are in the way: no room, another process, a hash that does not match. Not tried again."""


@dataclass(frozen=True, kw_only=True)
class RepoFile:
    """One file of a repository. path: with slashes. At least one hash is known: of the bytes, or of the git blob."""

    path: str
    size: int
    sha256: str = ""
    git_sha1: str = ""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a repository holds. revision: the commit that was looked at, 40 hex digits."""

    revision: str
    files: tuple[RepoFile, ...]


class ModelHub(Protocol):
    """A place that models are pulled from."""

    @property
    def source(self) -> Source:
        """Its name in the settings."""
        ...

    def list_files(self, repo: str, revision: str) -> Listing:
        """The files of `repo` at a commit, tag or branch. Raises NotFound, Refused, Unavailable."""
        ...

    def fetch(self, repo: str, revision: str, file: RepoFile, part: Path, tell: Callable[[int], None]) -> None:
        """Write into `part` what it lacks of the file, keeping what it has.

        tell: hears how many bytes were written; fewer than none where the hub began anew. Raises NotFound, Refused,
        Unavailable, PullFailed for a disk that takes no more.
        """
        ...


def choose(listing: Listing, patterns: Collection[str]) -> tuple[RepoFile, ...]:
    """The files that a model needs: those of the patterns, and no pickle beside safetensors.

    Raises Refused for a repository with a name that leaves the folder, a file without hash, or none of the files.
    """
    for file in listing.files:
        check_path(file.path)
    chosen = [file for file in listing.files if any(_matches(file.path, pattern) for pattern in patterns)]
    if any(file.path.endswith(".safetensors") for file in chosen):
        chosen = [file for file in chosen if PurePosixPath(file.path).suffix not in PICKLES]
    if not any(file.size for file in chosen):
        raise Refused(f"models: commit {listing.revision[:12]} holds none of {', '.join(patterns)}")
    for file in chosen:
        if not (file.sha256 or file.git_sha1):
            raise Refused(f"models: the hub tells no hash of {file.path}; what cannot be checked is not pulled")
    return tuple(sorted(chosen, key=lambda file: file.path))


def _matches(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and PurePosixPath(path).match(pattern)


def check_path(path: str) -> None:
    """Raise Refused for a name that would leave the folder, or that no ordinary file has."""
    parts = path.split("/")
    if (any(part in ("", ".", "..") or part.endswith(".part") for part in parts) or len(path) > MAX_PATH_CHARACTERS
            or not path.isprintable() or any(character in path for character in "\\:")):
        raise Refused(f"models: a file is named {path[:MAX_PATH_CHARACTERS]!r}, which is no plain path inside the folder")
