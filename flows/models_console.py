"""What `fengmian models` shows a person: progress, tables, findings. Decides nothing."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column, Table

from flows.console import errors, make_console, print_json
from flows.pull_model import pull_model
from flows.wiring import ports
from integrations.errors import NotFound
from integrations.models.catalogue import Licence, catalogue, find_model
from integrations.models.hub import RepoFile
from integrations.models.record import Record
from integrations.models.shelf import PullWatcher, tell_bytes


class ByteBar(AbstractContextManager["ByteBar"], PullWatcher):
    """One bar over all bytes on standard error, or a line per file where that is no terminal."""

    def __init__(self) -> None:
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                             TimeRemainingColumn(), console=errors, transient=True, disable=not errors.is_terminal)
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def check(self, record: Record) -> None:
        """What is here already is hashed first."""
        self._bar.reset(self._task, total=record.size, description=f"checking {record.name}")

    def begin(self, record: Record, here: int) -> None:
        """Show the whole size, and what is here of it."""
        self._bar.reset(self._task, total=record.size, completed=here, description=record.name)
        self._say(f"{record.name}: {len(record.files)} files, {tell_bytes(record.size)}, {tell_bytes(here)} of them here; "
                  f"{record.repo} at {record.revision[:12]} from {record.source}")

    def tell(self, count: int) -> None:
        """So many bytes more."""
        self._bar.advance(self._task, count)

    def place(self, file: RepoFile) -> None:
        """A line for a file, where there is no bar."""
        self._say(f"{file.path}: {tell_bytes(file.size)}, checked")

    def _say(self, line: str) -> None:
        if not errors.is_terminal:
            errors.print(line, markup=False, soft_wrap=True)


def pull(name: str, revision: str, as_json: bool) -> None:
    """Pull it, then say where it is and how to use it."""
    with ByteBar() as bar:
        record = pull_model(name, revision, bar)
    if as_json:
        print_json({**record.as_json(), "folder": str(ports().models.place(name))})
        return
    print(f"{name}: {record.repo} at {record.revision}, {tell_bytes(record.size)} in {ports().models.place(name)}")
    print(f"  licence {_tell_licence(record.licence)}: {record.licence.url}")
    print(f"  settings {record.settings}")


def list_models(as_json: bool) -> None:
    """The catalogue, then what else was pulled."""
    found = {record.name: record for record in ports().models.records()}
    rows = [_describe(name, found.get(name)) for name in [*catalogue(), *(name for name in found if name not in catalogue())]]
    if as_json:
        for row in rows:
            print_json(row)
        return
    table = Table(Column("name", no_wrap=True), "kind", Column("licence", no_wrap=True),
                  Column("size", justify="right", no_wrap=True), "state", "title", box=None, pad_edge=False)
    for row in rows:
        licence = _tell_licence(Licence(id=row["licence"], commercial=row["commercial"]))
        table.add_row(row["name"], row["kind"], licence, tell_bytes(row["size"]), _tell_state(row), row["title"])
    make_console().print(table)


def verify(name: str | None, as_json: bool) -> int:
    """Hash one model, or every whole one; 1 if a file is damaged."""
    shelf = ports().models
    records = [_find(name)] if name is not None else [record for record in shelf.records() if record.whole]
    is_sound = True
    for record in records:
        with ByteBar() as bar:
            bar.check(record)
            damages = shelf.verify(record, bar.tell)
        is_sound = is_sound and not damages
        if as_json:
            print_json({"name": record.name, "revision": record.revision, "sound": not damages,
                        "damaged": [{"path": damage.path, "reason": damage.reason} for damage in damages]})
            continue
        remedy = f"damaged; `fengmian models pull {record.name}` mends them"
        print(f"{record.name}: " + (f"{len(damages)} of {len(record.files)} files are {remedy}" if damages
                                    else f"{len(record.files)} files are sound"))
        for damage in damages:
            print(f"  {damage.path}: {damage.reason}")
    if not records and not as_json:
        print("nothing is pulled")
    return 0 if is_sound else 1


def remove(name: str) -> None:
    """Delete a pulled model and say so."""
    shelf = ports().models
    is_gone = shelf.remove(name)
    print(f"{name}: removed" + ("" if is_gone else f"; files that no pull brought stay in {shelf.place(name)}"))


def _find(name: str) -> Record:
    if record := ports().models.find(name):
        return record
    raise NotFound(f"models: {find_model(name).name!r} has not been pulled")


def _describe(name: str, record: Record | None) -> dict[str, Any]:
    known = catalogue().get(name)
    told = record or known
    assert told is not None  # a name comes from the catalogue or from a record
    state = "not pulled" if record is None else "pulled" if record.whole else "partial"
    return {"name": name, "title": known.title if known else "", "kind": told.kind, "licence": told.licence.id,
            "commercial": told.licence.commercial, "size": told.size, "state": state,
            "revision": record.revision if record else "", "here": ports().models.here(record) if record else 0,
            "settings": told.settings}


def _tell_state(row: dict[str, Any]) -> str:
    if row["state"] == "pulled":
        return f"pulled at {row['revision'][:12]}"
    return f"partial, {tell_bytes(row['here'])} here" if row["state"] == "partial" else row["state"]


def _tell_licence(licence: Licence) -> str:
    return licence.id if licence.commercial else f"{licence.id} (not for publishing)"
