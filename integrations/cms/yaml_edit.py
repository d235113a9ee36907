"""Sets one field in the YAML between two `---`, touching no other character. Which field: cover_edit.py decides."""

import re
from dataclasses import dataclass

import yaml

_ALIAS = re.compile(r"\s*:\s*(\*[^\s,\]}]+)")


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field to set. path: one or two keys. written: the value in YAML, quoted. beside: a key to stand after."""

    path: tuple[str, ...]
    written: str
    beside: str = ""


def set_yaml_field(block: str, field: Field, newline: str) -> str:
    """`block` with `field` replaced where it is, else added."""
    root = yaml.compose(block, Loader=yaml.BaseLoader)
    if not isinstance(root, yaml.MappingNode):
        return _append(block, None, field, newline)
    if len(field.path) == 1:
        return _set_in(block, root, root, field, newline)
    parent = _pair(root, field.path[0])
    if parent is None:
        return _append(block, root, field, newline)
    if isinstance(parent[1], yaml.MappingNode) and parent[1].start_mark.index > parent[0].start_mark.index:
        return _set_in(block, root, parent[1], field, newline)
    return _replace(block, parent, f"{{{field.path[1]}: {field.written}}}")


def _set_in(block: str, root: yaml.MappingNode, mapping: yaml.MappingNode, field: Field, newline: str) -> str:
    """Set the last key of the path in `mapping`, which is the root or a mapping in it."""
    key = field.path[-1]
    pair = _pair(mapping, key)
    if pair:
        return _replace(block, pair, field.written)
    neighbour = _pair(mapping, field.beside)
    indent = " " * mapping.start_mark.column
    if neighbour and not mapping.flow_style:
        end = block.find("\n", _span(block, neighbour)[1])
        at = len(block) if end < 0 else end + 1
        return f"{block[:at]}{indent}{key}: {field.written}{newline}{block[at:]}"
    if mapping is root:
        return _append(block, root, field, newline)
    at = mapping.start_mark.index
    if mapping.flow_style:
        return f"{block[: at + 1]}{key}: {field.written}{', ' if mapping.value else ''}{block[at + 1 :]}"
    return f"{block[:at]}{key}: {field.written}{newline}{indent}{block[at:]}"


def _append(block: str, root: yaml.MappingNode | None, field: Field, newline: str) -> str:
    """The whole field behind the last line, or, where the root stands in braces, behind the opening one."""
    key, *inner = field.path
    if root and root.flow_style:
        at = root.start_mark.index + 1
        value = f"{{{inner[0]}: {field.written}}}" if inner else field.written
        return f"{block[:at]}{key}: {value}{', ' if root.value else ''}{block[at:]}"
    indent = " " * root.start_mark.column if root else ""
    if inner:
        return f"{block}{indent}{key}:{newline}{indent}  {inner[0]}: {field.written}{newline}"
    return f"{block}{indent}{key}: {field.written}{newline}"


def _pair(mapping: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next(((name, value) for name, value in mapping.value if name.value == key), None)


def _replace(block: str, pair: tuple[yaml.Node, yaml.Node], written: str) -> str:
    start, end = _span(block, pair)
    # An empty value stands right behind the colon, and the new one needs a space there.
    return f"{block[:start]}{'' if end > start else ' '}{written}{block[end:]}"


def _span(block: str, pair: tuple[yaml.Node, yaml.Node]) -> tuple[int, int]:
    """Where the value is written. An alias's node stands where its anchor is, so it is looked for behind the key."""
    key, value = pair
    alias = _ALIAS.match(block, key.end_mark.index)
    if alias and value.start_mark.index < key.end_mark.index:
        return alias.span(1)
    start = value.start_mark.index
    return start, start + len(block[start : value.end_mark.index].rstrip())
