"""Writes a cover into a post's front matter by a surgical edit: every other character of the file stays.

The result is read again before it is handed out; an edit that would change anything else is refused.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from integrations.cms.front_matter import Dialect, Format, Path, parse_block, read_front_matter
from integrations.cms.toml_edit import set_toml_field
from integrations.cms.yaml_edit import Field, set_yaml_field
from integrations.errors import Refused

MAX_ALIASES = 10
"""A few hundred characters of YAML aliases can stand for a list too long to compare."""


def with_cover(text: str, cover: str, alt_text: str, dialect: Dialect, *, name: str, encoding: str = "utf-8") -> str:
    """`text` with its cover set to `cover` and, unless empty, its alternative text to `alt_text`.

    A post without front matter gets a new YAML block. encoding: of the file; what it cannot say is escaped. Raises
    Refused where the field cannot be set without touching anything else, or a new block would hide the post's own.
    """
    if not cover.strip():
        raise Refused(f"{name}: the cover to write is empty")
    matter = read_front_matter(text, name)
    if matter.unwritable:
        raise Refused(f"{name}: its cover cannot be set in {matter.unwritable}; "
                      "write it as YAML between two lines `---`, or set the cover by hand")
    newline = "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"
    form: Format = "toml" if matter.format == "toml" else "yaml"
    block = text[matter.start : matter.end]
    fields: dict[str, Any] = dict(matter.fields)
    for path, value, beside in ((dialect.image, cover, ""), (dialect.alt, alt_text, dialect.image[-1])):
        if value.strip():
            written = Field(path=path, written=_quoted(value, encoding), beside=beside)
            block = _edited(block, form, written, newline, name)
            _put(fields, path, _one_line(value))
    if not _reads_as(fields, block, form):
        raise Refused(f"{name}: its front matter is written in a way that the cover cannot be set in; set it by hand")
    if matter.format == "none":
        return f"---{newline}{block}---{newline}{text}"
    return text[: matter.start] + block + text[matter.end :]


def _reads_as(fields: Mapping[str, Any], block: str, form: Format) -> bool:
    """True if `block` says `fields`; False also where that cannot be told in time."""
    try:
        if form == "yaml" and sum(isinstance(token, yaml.AliasToken) for token in yaml.scan(block)) > MAX_ALIASES:
            return False
        return parse_block(block, form, "") == fields
    except (Refused, RecursionError, yaml.YAMLError):
        return False


def _edited(block: str, form: Format, field: Field, newline: str, name: str) -> str:
    try:
        return set_toml_field(block, field, newline) if form == "toml" else set_yaml_field(block, field, newline)
    except yaml.YAMLError as exc:
        raise Refused(f"{name}: front matter: {str(exc).splitlines()[0]}") from exc


def _put(fields: dict[str, Any], path: Path, value: str) -> None:
    """What the fields must read after the edit."""
    if len(path) == 1:
        fields[path[0]] = value
        return
    inner = fields.get(path[0])
    fields[path[0]] = {**(inner if isinstance(inner, Mapping) else {}), path[1]: value}


def _one_line(value: str) -> str:
    return " ".join(value.encode(errors="ignore").decode().split())  # lone surrogates cannot be written


def _quoted(value: str, encoding: str) -> str:
    """`value` on one line between double quotes, as both YAML and TOML read it."""
    return '"' + "".join(_escaped(character, encoding) for character in _one_line(value)) + '"'


def _escaped(character: str, encoding: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        try:
            character.encode(encoding)
            return character
        except UnicodeEncodeError:
            pass
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
