"""What `fengmian train curate` is given: a folder or a manifest of pictures, and a policy. Opens no picture."""

import difflib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from flows.errors import BadInput
from flows.parsing import bad
from generator.curation.rules import BOUNDS, Policy

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MAX_MANIFEST_BYTES = 64 << 20
MAX_POLICY_BYTES = 1 << 20
Text = Annotated[str, BeforeValidator(lambda given: "" if given is None else given)]


class Line(BaseModel):
    """One line of a manifest. Other fields may stand there; they are not read."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    file: str = Field(min_length=1, max_length=4096)
    licence: Text = ""
    source: Text = ""
    title: Text = ""
    palette: tuple[str, ...] = Field(default=(), max_length=8)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One picture to decide on. file: as it is told. path: where it is; None if it may not be read, as `trouble` says."""

    file: str
    path: Path | None
    trouble: str = ""
    licence: str = ""
    source: str = ""
    title: str = ""
    palette: tuple[tuple[int, int, int], ...] = ()


def read_source(source: Path, out: Path) -> list[Entry]:
    """The pictures of a folder, or those that a manifest names, in order of their names. Raises BadInput."""
    try:
        whole, away = source.resolve(strict=True), out.resolve()
    except (OSError, RuntimeError) as exc:  # RuntimeError: links in a ring
        raise BadInput(f"source: {str(source)!r} cannot be read: {getattr(exc, 'strerror', None) or 'links in a ring'}") from exc
    if whole.is_dir():
        if away == whole:
            bad(f"out: {str(out)!r} is the folder of the pictures itself; give another")
        entries = _walk(whole, away)
    else:
        entries = _read_manifest(source, whole.parent)
    if not entries:
        bad(f"source: {str(source)!r} names no pictures ({', '.join(SUFFIXES)})")
    return sorted(entries, key=lambda entry: entry.file)


def _walk(folder: Path, away: Path) -> list[Entry]:
    """Every picture below `folder` but those in `away`. Linked folders are not entered."""
    entries = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if Path(place, name) != away]
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                path = Path(place, name)
                entries.append(_locate(path.relative_to(folder).as_posix(), folder))
    return entries


def _locate(file: str, folder: Path) -> Entry:
    try:
        path = (folder / file).resolve()
    except (OSError, RuntimeError):
        return Entry(file=file, path=None, trouble="its links form a ring")
    except ValueError as exc:
        raise BadInput(f"file: {file!r} is no name of a file: {exc}") from exc
    if not path.is_relative_to(folder):
        return Entry(file=file, path=None, trouble="it is outside the folder")
    return Entry(file=file, path=path)


def _read_manifest(file: Path, folder: Path) -> list[Entry]:
    entries: dict[str, Entry] = {}
    for number, text in enumerate(_read(file, MAX_MANIFEST_BYTES).splitlines(), 1):
        if not text.strip():
            continue
        where = f"{file} line {number}"
        try:
            line = Line.model_validate(json.loads(text))
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            raise BadInput(f"{where}: {'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}") from exc
        except (ValueError, RecursionError) as exc:
            raise BadInput(f"{where}: {text[:60]!r} is not JSON: {exc}") from exc
        entry = _locate(line.file, folder)
        if entry.trouble == "it is outside the folder":
            bad(f"{where}: file: {line.file!r} is outside the folder of the manifest")
        if line.file in entries:
            bad(f"{where}: file: {line.file!r} is named a second time")
        entries[line.file] = Entry(file=line.file, path=entry.path, trouble=entry.trouble, licence=line.licence,
                                   source=line.source, title=line.title, palette=_read_palette(line.palette, where))
    return list(entries.values())


def _read_palette(codes: tuple[str, ...], where: str) -> tuple[tuple[int, int, int], ...]:
    for code in codes:
        if not re.fullmatch(r"#?[0-9A-Fa-f]{6}", code):
            bad(f"{where}: palette: {code!r} is not #RRGGBB")
    values = [int(code.removeprefix("#"), 16) for code in codes]
    return tuple((value >> 16, value >> 8 & 255, value & 255) for value in values)


def _read(file: Path, most_bytes: int) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(most_bytes + 1)
    except OSError as exc:
        raise BadInput(f"{file}: {exc.strerror}") from exc
    if len(data) > most_bytes:
        bad(f"{file}: it is larger than {most_bytes >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadInput(f"{file}: byte {exc.start} is not UTF-8") from exc


def read_policy(file: Path | None) -> Policy:
    """The policy in a YAML file, over the defaults. Raises BadInput naming the file, the bound and the rule."""
    if file is None:
        return Policy()
    try:
        content: Any = yaml.safe_load(_read(file, MAX_POLICY_BYTES)) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise BadInput(f"{file}: not readable as YAML: {' '.join(str(exc).split())}") from exc
    if not isinstance(content, dict):
        bad(f"{file}: it is not a list of bounds, NAME: VALUE")
    for name in content:
        if name not in BOUNDS:
            near = difflib.get_close_matches(str(name), BOUNDS, 1)
            bad(f"{file}: {name!r} is no bound of a policy" + (f"; {near[0]!r} is one" if near else f": {', '.join(BOUNDS)}"))
    if isinstance(content.get("licences"), list):
        content["licences"] = tuple(content["licences"])
    try:
        return Policy(**content)
    except ValueError as exc:
        raise BadInput(f"{file}: {exc}") from exc
