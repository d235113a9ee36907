"""ExpiringFolder: picture files that are kept for some hours, for who asked for them by address."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from integrations.ports import ImageStore
from integrations.storage.folder import FolderImageStore

SWEEP_EVERY_S = 300


class ExpiringFolder(ImageStore):
    """A folder store whose files are gone `keep_s` seconds after they were last put. Several processes may share it."""

    def __init__(self, folder: Path, keep_s: float) -> None:
        """Raises ValueError for a time that is not above 0."""
        if not keep_s > 0:
            raise ValueError(f"keep_s: {keep_s} is not above 0")
        self._folder, self._keep_s, self._swept = folder, keep_s, 0.0
        self._store = FolderImageStore(folder, None)

    def put(self, name: str, data: bytes, content_type: str) -> str:
        """Store `data` and return its path; the same name again is kept anew. Raises Unavailable, Refused."""
        self._sweep()
        path = self._store.put(name, data, content_type)
        with suppress(FileNotFoundError):
            Path(path).touch()
        return path

    def get(self, name: str) -> bytes | None:
        """The bytes stored under `name`, or None where there are none or no more. Raises Unavailable, Refused."""
        self._sweep()
        return self._store.get(name)

    def address(self, name: str) -> str:
        """Its path."""
        return self._store.address(name)

    def list_names(self, older_than: float) -> Iterator[str]:
        """The pictures last put before that moment, in seconds since the epoch."""
        return self._store.list_names(older_than)

    def delete(self, name: str) -> None:
        """Take the file away, if it is there."""
        self._store.delete(name)

    def _sweep(self) -> None:
        now = time.time()
        if now - self._swept < min(SWEEP_EVERY_S, self._keep_s):
            return
        self._swept = now
        for file in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):  # another process sweeps too
                if now - file.stat().st_mtime > self._keep_s:
                    file.unlink()
