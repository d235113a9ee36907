"""Sets one field in the TOML lines between two `+++`, touching no other character. Which field: cover_edit.py decides.

tomllib tells values but not where they stand; the little scanner here finds the places, and cover_edit.py checks the
result by reading it again.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from integrations.cms.yaml_edit import Field

_KEY = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*""")
_TOKEN = re.compile(r"""\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|\n|.""", re.S)


@dataclass(frozen=True)
class _Value:
    """One `key = value`. path: the table's keys and its own; table: how many of them are the table's."""

    path: tuple[str, ...]
    table: tuple[str, ...]
    start: int
    end: int


def set_toml_field(block: str, field: Field, newline: str) -> str:
    """`block` with `field` replaced where it is, else added."""
    values, headers = _scan(block)
    found = {value.path: value for value in values}
    if field.path in found:
        return _splice(block, found[field.path].start, found[field.path].end, field.written)
    parent = found.get(field.path[:1]) if len(field.path) == 2 else None
    if parent:
        return _set_inline(block, parent, field)
    key = field.path[-1]
    neighbour = found.get((*field.path[:-1], field.beside))
    if neighbour:
        name = key if neighbour.table == field.path[:-1] else ".".join(field.path)
        return _insert_line(block, neighbour.end, f"{name} = {field.written}", newline)
    if len(field.path) == 2 and field.path[:1] in headers:
        return _insert_line(block, headers[field.path[:1]], f"{key} = {field.written}", newline)
    top = [value for value in values if not value.table]
    dotted = [value for value in top if value.path[:1] == field.path[:1]]
    if len(field.path) == 1 or dotted:
        if not top:
            return f"{key} = {field.written}{newline}{block}"
        return _insert_line(block, (dotted or top)[-1].end, f"{'.'.join(field.path)} = {field.written}", newline)
    return f"{block}[{field.path[0]}]{newline}{key} = {field.written}{newline}"


def _set_inline(block: str, parent: _Value, field: Field) -> str:
    """Set a key of `parent`, which is an inline table or something else that one replaces."""
    key = field.path[1]
    if block[parent.start] != "{":
        return _splice(block, parent.start, parent.end, f"{{ {key} = {field.written} }}")
    at = parent.start + 1
    is_first = True
    while True:
        start, path = _key(block, at)
        if not path:
            break
        is_first = False
        end = _value_end(block, start, ",}")
        if path == (key,):
            return _splice(block, start, end, field.written)
        at = end
        while at < parent.end and block[at] in ", \t":
            at += 1
    return _splice(block, parent.start + 1, parent.start + 1, f" {key} = {field.written}{' ' if is_first else ','}")


def _scan(block: str) -> tuple[list[_Value], dict[tuple[str, ...], int]]:
    """All values, and where the line of each table's header ends. Members of `[[lists]]` are left out."""
    values: list[_Value] = []
    headers: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    at = 0
    while at < len(block):
        if block[at] == "[":
            at, table = _header(block, at)
            headers[table] = at
        elif block[at] in " \t\r\n":
            at += 1
        elif block[at] == "#":
            at = _line_end(block, at)
        else:
            start, key = _key(block, at)
            if not key:
                break  # not TOML; the check by reading again will say so
            at = _value_end(block, start, "")
            values.append(_Value((*table, *key), table, start, at))
    return [value for value in values if value.table[:1] != ("",)], headers


def _header(block: str, at: int) -> tuple[int, tuple[str, ...]]:
    inside = at + (2 if block.startswith("[[", at) else 1)
    keys = tuple(_keys(block, inside))
    return _line_end(block, at), ("", *keys) if block.startswith("[[", at) else keys


def _key(block: str, at: int) -> tuple[int, tuple[str, ...]]:
    """The key at `at` and where its value starts; no keys if none stands there."""
    keys = []
    while match := _KEY.match(block, at):
        keys.append(_unquoted(match[1]))
        at = match.end()
        if block[at : at + 1] != ".":
            break
        at += 1
    if not keys or block[at : at + 1] != "=":
        return at, ()
    at += 1
    while block[at : at + 1] in (" ", "\t"):
        at += 1
    return at, tuple(keys)


def _keys(block: str, at: int) -> Iterator[str]:
    while match := _KEY.match(block, at):
        yield _unquoted(match[1])
        at = match.end() + 1
        if block[match.end() : at] != ".":
            return


def _unquoted(key: str) -> str:
    if key.startswith('"'):
        try:
            return str(json.loads(key))
        except ValueError:
            return key
    return key[1:-1] if key.startswith("'") else key


def _value_end(block: str, at: int, stops: str) -> int:
    """Where the value that starts at `at` ends: at a comment, a line's end or one of `stops`, outside brackets."""
    depth = 0
    end = at
    while match := _TOKEN.match(block, at):
        token = match[0]
        if depth == 0 and (token[0] in "\n#" or token in stops):
            break
        depth += (token in "[{") - (token in "]}")
        at = match.end()
        if not token.isspace():
            end = at
    return end


def _line_end(block: str, at: int) -> int:
    end = block.find("\n", at)
    return len(block) if end < 0 else end


def _insert_line(block: str, at: int, line: str, newline: str) -> str:
    """`line` below the line that `at` is in."""
    end = _line_end(block, at)
    if end == len(block):
        return f"{block}{newline}{line}{newline}"
    return f"{block[: end + 1]}{line}{newline}{block[end + 1 :]}"


def _splice(block: str, start: int, end: int, written: str) -> str:
    return block[:start] + written + block[end:]
