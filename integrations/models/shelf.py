"""The folder that pulled models stand in, one folder each: pulling, checking and removing them. Knows no hub by name."""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from integrations.errors import NotFound, Refused
from integrations.models.catalogue import Model, find_model
from integrations.models.hub import ModelHub, PullFailed, RepoFile, choose
from integrations.models.record import RECORD_FILE, Record, check_bytes, read_record, write_record

NAME = re.compile("[a-z0-9][a-z0-9._-]{0,63}")


class PullWatcher(Protocol):
    """Who looks on."""

    def check(self, record: Record) -> None:
        """What is here already is hashed first, all of it."""
        ...

    def begin(self, record: Record, here: int) -> None:
        """What is pulled, and how many bytes of it are here already."""
        ...

    def tell(self, count: int) -> None:
        """So many bytes more, read or brought; fewer than none where a file is begun anew."""
        ...

    def place(self, file: RepoFile) -> None:
        """A file is whole and checked."""
        ...


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A file that is not what the record says, and why."""

    path: str
    reason: str


class ModelShelf:
    """folder: made on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, name: str) -> Path:
        """Where that model stands, or would. Raises Refused for what is no name."""
        if not NAME.fullmatch(name):
            raise Refused(f"models: {name[:80]!r} is no name of a model: small letters, digits, dots and dashes")
        return self.folder / name

    def find(self, name: str) -> Record | None:
        """What has been pulled under that name, whole or in part. Raises Refused for a record that cannot be read."""
        return read_record(self.folder / name) if NAME.fullmatch(name) else None

    def records(self) -> list[Record]:
        """Everything pulled, whole or in part, by name. Raises Refused for a record that cannot be read."""
        names = sorted(path.name for path in self.folder.iterdir()) if self.folder.is_dir() else []
        return [record for name in names if (record := self.find(name))]

    def here(self, record: Record) -> int:
        """How many of its bytes are here, parts of files included."""
        folder = self.folder / record.name
        return sum(min(file.size, max(_size(folder / file.path), _size(_part(folder, file)))) for file in record.files)

    def pull(self, model: Model, hub: ModelHub, revision: str, watcher: PullWatcher) -> Record:
        """Bring what is missing, checked against the hub's hashes; a killed pull goes on, a damaged model is mended.

        revision: commit, tag or branch; empty keeps to the recorded commit, or takes the hub's branch the first time.
        Raises NotFound, Refused, Unavailable, PullFailed.
        """
        with self._alone(model.name):
            folder = self.place(model.name)
            old = read_record(folder)
            if old is None and folder.is_dir() and any(path.suffix != ".part" for path in folder.iterdir()):
                raise Refused(f"models: {folder} is there but was not pulled; move it away, or set models.folder")
            if old and old.whole:
                watcher.check(old)
                damages = self.verify(old, watcher.tell)
                if not damages and revision in ("", old.revision):
                    return old
                for damage in damages:
                    (folder / damage.path).unlink(missing_ok=True)
            if old and old.source == hub.source and revision in ("", old.revision):
                plan = replace(old, whole=False)
            else:
                plan = self._plan(model, hub, revision or model.branch(hub.source))
                _clear(folder, old.files if old else (), plan.files)
            write_record(folder, plan)
            return self._bring_all(plan, hub, watcher)

    def _bring_all(self, plan: Record, hub: ModelHub, watcher: PullWatcher) -> Record:
        folder, here = self.folder / plan.name, self.here(plan)
        free = shutil.disk_usage(folder).free
        if plan.size - here > free:
            raise PullFailed(f"models: {plan.name} needs {tell_bytes(plan.size - here)} more; "
                             f"{self.folder} has {tell_bytes(free)} free")
        watcher.begin(plan, here)
        for file in plan.files:
            if not (folder / file.path).exists() or _size(folder / file.path) != file.size:
                _bring(folder, plan, file, hub, watcher)
        record = replace(plan, whole=True, files=tuple(_finish(folder, file) for file in plan.files))
        write_record(folder, record)
        return record

    def verify(self, record: Record, tell: Callable[[int], None] = lambda count: None) -> list[Damage]:
        """Hash every file again; what is not as recorded. tell: hears how many bytes were read."""
        damages, folder = [], self.folder / record.name
        for file in record.files:
            try:
                check_bytes(folder / file.path, file, tell)
            except ValueError as exc:
                damages.append(Damage(path=file.path, reason=str(exc)))
        return damages

    def remove(self, name: str) -> bool:
        """Delete what was pulled under that name. False if files of other people keep its folder there.

        Raises NotFound for what was not pulled, Refused for a folder that no pull made, PullFailed.
        """
        folder = self.place(name)
        if not folder.exists():
            raise NotFound(f"models: {find_model(name).name!r} has not been pulled")
        with self._alone(name):
            record = read_record(folder)
            if record is None or folder.is_symlink():
                raise Refused(f"models: {folder} was not made by a pull and is left alone")
            _clear(folder, record.files, ())
            (folder / RECORD_FILE).unlink()
            for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
                _drop_if_empty(path)
            _drop_if_empty(folder)
        return not folder.exists()

    def _plan(self, model: Model, hub: ModelHub, revision: str) -> Record:
        repo = model.repo(hub.source)
        listing = hub.list_files(repo, revision)
        return Record(name=model.name, kind=model.kind, source=hub.source, repo=repo, revision=listing.revision,
                      licence=model.licence, settings=model.settings, whole=False, files=choose(listing, model.files))

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """One process at a time; the lock ends with the process that holds it, however that ends. Raises PullFailed."""
        handle = -1
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / f".{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise PullFailed(f"models: another process is at work on {name}; wait until it is done") from None
        except OSError as exc:
            raise PullFailed(f"models: {exc.filename or self.folder}: {exc.strerror or exc}") from exc
        finally:
            if handle >= 0:
                os.close(handle)


def tell_bytes(count: int) -> str:
    """A size for people, in powers of ten as disks and hubs count."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _bring(folder: Path, plan: Record, file: RepoFile, hub: ModelHub, watcher: PullWatcher) -> None:
    part = _part(folder, file)
    part.parent.mkdir(parents=True, exist_ok=True)
    hub.fetch(plan.repo, plan.revision, file, part, watcher.tell)
    try:
        check_bytes(part, file)
    except ValueError as exc:
        part.unlink(missing_ok=True)
        raise PullFailed(f"models: {file.path} from {hub.source} is damaged and was deleted: {exc}") from None
    os.replace(part, folder / file.path)
    watcher.place(file)


def _finish(folder: Path, file: RepoFile) -> RepoFile:
    """`file` with its sha256, which the hub does not tell of small files."""
    try:
        return file if file.sha256 else check_bytes(folder / file.path, file)
    except ValueError as exc:
        (folder / file.path).unlink(missing_ok=True)
        raise PullFailed(f"models: {file.path} is damaged and was deleted: {exc}; pull again") from None


def _clear(folder: Path, old: tuple[RepoFile, ...], wanted: tuple[RepoFile, ...]) -> None:
    """Delete the old files, and parts of them, that are not wanted with the same bytes."""
    kept = {(file.path, file.size, file.sha256) for file in wanted if file.sha256}
    for file in old:
        if (file.path, file.size, file.sha256) not in kept:
            (folder / file.path).unlink(missing_ok=True)
            _part(folder, file).unlink(missing_ok=True)


def _part(folder: Path, file: RepoFile) -> Path:
    return folder / f"{file.path}.part"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _drop_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
