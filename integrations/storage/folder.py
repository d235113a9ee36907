"""FolderImageStore: pictures as files in a folder, for a static site or one machine."""

import errno
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from integrations.errors import Unavailable
from integrations.ports import ImageStore
from integrations.storage.naming import check_base_url, check_name, check_put, holds, is_name, public_address

logger = logging.getLogger(__name__)

# What link() answers on file systems that know no second name for a file (SMB, exFAT, some FUSE).
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class FolderImageStore(ImageStore):
    """folder: made on first use. base_url: what readers see instead of the folder; None returns file paths.

    A reader sees a whole file or none. A file cut short by a dying disk or a full one is a miss, and put mends it.
    """

    def __init__(self, folder: Path, base_url: str | None = None) -> None:
        if base_url is not None:
            check_base_url(base_url)
        self._folder = Path(folder)
        self._base_url = base_url

    def put(self, name: str, data: bytes, content_type: str) -> str:
        """Store `data` once and return where readers find it; an intact file of that name is left alone."""
        check_put(name, data, content_type)
        path = self._folder / name
        try:
            found = _read(path)
            if found is None or not holds(name, found):
                _write(path, data, _place if found is None else os.replace)
        except OSError as exc:
            raise Unavailable(f"folder: cannot store {path}: {exc.strerror or exc}") from exc
        return self.address(name)

    def address(self, name: str) -> str:
        """The file's path, or its public address where there is one."""
        return str((self._folder / name).absolute()) if self._base_url is None else public_address(self._base_url, name)

    def get(self, name: str) -> bytes | None:
        """The bytes stored under `name`; None if there is no such file, or a damaged one."""
        check_name(name)
        try:
            found = _read(self._folder / name)
        except OSError as exc:
            raise Unavailable(f"folder: cannot read {self._folder / name}: {exc.strerror or exc}") from exc

        if found is None or holds(name, found):
            return found
        logger.warning("folder: %s holds %d other bytes and counts as missing", self._folder / name, len(found))
        return None

    def list_names(self, older_than: float) -> Iterator[str]:
        """The pictures last written before that moment, in seconds since the epoch."""
        try:
            for path in sorted(self._folder.glob("??/*")):
                name = f"{path.parent.name}/{path.name}"
                if is_name(name) and path.is_file() and path.stat().st_mtime < older_than:
                    yield name
        except OSError as exc:
            raise Unavailable(f"folder: cannot list {self._folder}: {exc.strerror or exc}") from exc

    def delete(self, name: str) -> None:
        """Take the file away, if it is there."""
        check_name(name)
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as exc:
            raise Unavailable(f"folder: cannot delete {self._folder / name}: {exc.strerror or exc}") from exc


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes, place: Callable[[Path, Path], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # Not a tempfile: those are 0600, and the web server must be able to read this.
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        place(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _place(draft: Path, path: Path) -> None:
    """Give the finished draft its name, unless another writer of the same bytes was first."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError as exc:
        if exc.errno not in NO_LINKS:
            raise
        os.replace(draft, path)  # still whole or absent; a file replaced here has the same bytes by its name


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
