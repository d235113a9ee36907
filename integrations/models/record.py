"""What a pulled model's folder says of itself: `fengmian-model.json`, which travels with the folder when it is copied.

generator/revision.py takes the hashes of its files from it instead of reading 57 GB.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from integrations.errors import Refused
from integrations.models.catalogue import Licence
from integrations.models.hub import PullFailed, RepoFile, check_path

RECORD_FILE = "fengmian-model.json"
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Record:
    """One pull. whole: False while files are missing. Every file of a whole one has its sha256."""

    name: str
    kind: str
    source: str
    repo: str
    revision: str
    licence: Licence
    settings: str
    whole: bool
    files: tuple[RepoFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def as_json(self) -> dict[str, Any]:
        """As plain values, files by their path."""
        told = [{name: value for name, value in asdict(file).items() if value != ""} for file in self.files]
        return {**asdict(self), "files": {file.pop("path"): file for file in told}}


def read_record(folder: Path) -> Record | None:
    """The record in `folder`, under the folder's own name, or None. Raises Refused for one that cannot be read."""
    try:
        content = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        files = tuple(RepoFile(path=path, **told) for path, told in content.pop("files").items())
        for file in files:  # the folder may come from elsewhere
            check_path(file.path)
        return Record(**{**content, "name": folder.name, "licence": Licence(**content["licence"]), "files": files})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise Refused(f"models: {folder / RECORD_FILE} is no record of a pull ({type(exc).__name__}); "
                      "move the folder away") from exc


def write_record(folder: Path, record: Record) -> None:
    """Write it whole or not at all. Raises PullFailed."""
    draft = folder / f"{RECORD_FILE}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(record.as_json(), ensure_ascii=False, indent=1) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, folder / RECORD_FILE)
    except OSError as exc:
        raise PullFailed(f"models: cannot write {folder / RECORD_FILE}: {exc.strerror or exc}") from exc


def check_bytes(path: Path, file: RepoFile, tell: Callable[[int], None] = lambda count: None) -> RepoFile:
    """`file` with the sha256 of what lies at `path`. Raises ValueError saying how they differ. tell: hears bytes read."""
    try:
        size = path.stat().st_size
        if size != file.size:
            raise ValueError(f"it has {size} bytes instead of {file.size}")
        sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        with path.open("rb") as stream:
            while piece := stream.read(PIECE_BYTES):
                sha256.update(piece)
                if not file.sha256:
                    git.update(piece)
                tell(len(piece))
    except FileNotFoundError:
        raise ValueError("it is missing") from None
    except OSError as exc:
        raise ValueError(f"it cannot be read: {exc.strerror or exc}") from None
    if file.sha256 and sha256.hexdigest() != file.sha256:
        raise ValueError(f"its SHA-256 is {sha256.hexdigest()} instead of {file.sha256}")
    if not file.sha256 and git.hexdigest() != file.git_sha1:
        raise ValueError(f"its git hash is {git.hexdigest()} instead of {file.git_sha1}")
    return replace(file, sha256=sha256.hexdigest())
