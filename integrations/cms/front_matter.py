"""Front matter of static sites: where it stands, what it says, and which cover it names.

Reads YAML between `---`, TOML between `+++`, and forms that are only read. Writing into it lives in cover_edit.py.
"""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from integrations.errors import Refused

Format = Literal["yaml", "toml", "json", "none"]
Path = tuple[str, ...]

MAX_BLOCK_CHARACTERS = 64 * 1024
"""A parser of YAML takes a minute for 10 MB."""
MAX_DOTS = 1000
"""In a line of TOML: a key of many parts takes time that grows with their square."""

# Hugo skips blank lines above the fence; Hexo takes longer ones; Jekyll lets `...` close.
_OPENING = re.compile(r"(?:[ \t]*+\r?\n)*+(-{3,}|\+{3,})[ \t]*\r?\n")
_CLOSING = {"-": r"^(?:-{%d,}|\.{3})[ \t]*\r?$", "+": r"^\+{%d,}[ \t]*\r?$"}
# Hexo's forms that end with a line but need not begin with one: opening, closing, format, how an error names it.
_UNFENCED: tuple[tuple[re.Pattern[str], re.Pattern[str], Format, str], ...] = (
    (re.compile(r"\s*(?:;{3,}[ \t]*\r?\n\s*)?(?=\")"), re.compile(r"^;{3,}[ \t]*\r?$", re.M), "json",
     "JSON front matter that ends with `;;;`"),
    (re.compile(r"\s*(?=[a-z_][\w-]*:\s)"), re.compile(r"^-{3,}[ \t]*\r?$", re.M), "yaml",
     "front matter without a line `---` above it"))
_JSON = re.compile(r'\s*(?=\{\s*["}])')
_UNREADABLE = re.compile(r"\s*((?:-{3,}|\+{3,}|;{3,})(?=[ \t]*\r?\n)|title:[^\r\n]{0,40})", re.I)
_EMPTY = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, kw_only=True)
class FrontMatter:
    """The fields and their place. start, end: offsets of the lines between the fences; body_start: where words begin.

    YAML values are text, lists and mappings only; numbers, dates and booleans stay as they are written.
    unwritable: names the form of front matter that must not be written into, nor anything above it; else empty.
    """

    format: Format
    fields: Mapping[str, Any] = field(default_factory=dict)
    start: int = 0
    end: int = 0
    body_start: int = 0
    unwritable: str = ""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Which fields a theme keeps its cover in. Each path has one or two keys."""

    name: str
    image: Path
    alt: Path


HEXO = Dialect(name="hexo", image=("cover",), alt=("cover_alt",))
PAPERMOD = Dialect(name="papermod", image=("cover", "image"), alt=("cover", "alt"))
ASTRO = Dialect(name="astro", image=("heroImage",), alt=("heroImageAlt",))
JEKYLL = Dialect(name="jekyll", image=("image",), alt=("image_alt",))
JEKYLL_MAP = Dialect(name="jekyll-map", image=("image", "path"), alt=("image", "alt"))
JEKYLL_SRC = Dialect(name="jekyll-src", image=("image", "src"), alt=("image", "alt"))
OTHERS = tuple(Dialect(name=key, image=(key,), alt=(key + ("_alt" if key.islower() else "Alt"),)) for key in (
    "featured_image", "featuredImage", "feature_image", "cover_image", "coverImage", "thumbnail", "banner", "index_img",
    "banner_img"))
_DIALECTS = (PAPERMOD, HEXO, ASTRO, JEKYLL_MAP, JEKYLL_SRC, JEKYLL, *OTHERS)


def read_front_matter(text: str, name: str = "post") -> FrontMatter:
    """The front matter of `text`, or format "none". Raises Refused, naming `name` and the line, if it is malformed."""
    opening = _OPENING.match(text)
    fence = opening[1] if opening else ""
    closing = re.compile(_CLOSING[fence[0]] % len(fence), re.M).search(text, opening.end()) if opening else None
    if not opening or not closing:
        return _read_only(text)
    block = text[opening.end() : closing.start()]
    if len(block) > MAX_BLOCK_CHARACTERS:
        raise Refused(f"{name}: its front matter has {len(block)} characters; "
                      f"at most {MAX_BLOCK_CHARACTERS} are allowed")
    form: Format = "yaml" if fence[0] == "-" else "toml"
    fields = parse_block(block, form, name, first_line=text.count("\n", 0, opening.end()) + 1)
    if fields is None:  # a rule, words and another rule: no front matter
        return FrontMatter(format="none")
    return FrontMatter(format=form, fields=fields, start=opening.end(), end=closing.start(),
                       body_start=_next_line(text, closing.end()))


def _read_only(text: str) -> FrontMatter:
    """Front matter in a form whose fields are read, if they can be, but never written; else format "none"."""
    if brace := _JSON.match(text):
        return _braced(text, brace.end())
    for opening, closing, form, called in _UNFENCED:
        start = opening.match(text)
        end = closing.search(text, start.end(), start.end() + MAX_BLOCK_CHARACTERS) if start else None
        fields = _tried(text[start.end() : end.start()], form) if start and end else None
        if fields and end:
            return FrontMatter(format=form, fields=fields, body_start=_next_line(text, end.end()), unwritable=called)
    odd = _UNREADABLE.match(text)
    called = f"front matter that begins with {odd[1][:40]!r} and cannot be read" if odd else ""
    return FrontMatter(format="none", unwritable=called)


def _braced(text: str, start: int) -> FrontMatter:
    """JSON with its braces, as Hugo has it."""
    with suppress(ValueError, RecursionError):
        fields, end = json.JSONDecoder().raw_decode(text, start)
        return FrontMatter(format="json", fields=fields, body_start=end, unwritable="JSON front matter")
    return FrontMatter(format="none", unwritable="JSON front matter that cannot be read")


def _tried(block: str, form: Format) -> dict[str, Any] | None:
    try:
        return parse_block(block, form, "")
    except Refused:
        return None


def _next_line(text: str, at: int) -> int:
    after = text.find("\n", at)
    return len(text) if after < 0 else after + 1


def parse_block(block: str, form: Format, name: str, *, first_line: int = 1) -> dict[str, Any] | None:
    """The fields between two fences, or None if YAML there is no mapping. Raises Refused.

    first_line: of the block in its file, counted from 1, for errors.
    """
    try:
        if form == "toml":
            if any(line.count(".") > MAX_DOTS for line in block.split("\n")):
                raise Refused(f"{name}: front matter: a line of TOML has more than {MAX_DOTS} dots")
            return tomllib.loads(block.replace("\r\n", "\n"))
        # BaseLoader: everything stays text, so an impossible date or a huge number cannot fail or change.
        fields = json.loads(f"{{{block}}}") if form == "json" else yaml.load(block, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + first_line if exc.problem_mark else first_line
        raise Refused(f"{name}: front matter, line {line}: {exc.problem}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise Refused(f"{name}: front matter: {str(exc).splitlines()[0] if str(exc) else 'nested too deep'}") from exc
    if fields is None or fields == "":
        return {}
    return fields if isinstance(fields, dict) else None


def cover_of(fields: Mapping[str, Any]) -> str:
    """The cover that `fields` name, or empty. `cover: false` is a cover too: the author wants none."""
    for dialect in _DIALECTS:
        written = _text(_at(fields, dialect.image))
        if written:
            return written
    header = _text(fields.get("top_img"))  # Hexo's page header; "false" and "transparent" are no pictures
    return header if "." in header or "/" in header else ""


def choose_dialect(fields: Mapping[str, Any], siblings: Iterable[Mapping[str, Any]], form: Format) -> Dialect:
    """Where the cover goes: the fields this post uses, else those most of its siblings use, else `cover`."""
    own = _used(fields)
    if own and own != HEXO:
        return own
    if own and _text(fields["cover"]):
        return own
    common = Counter(dialect for dialect in map(_used, siblings) if dialect).most_common(1)
    if common and (not own or common[0][0].image[0] == "cover"):
        return common[0][0]
    return own or (PAPERMOD if form == "toml" else HEXO)


def _used(fields: Mapping[str, Any]) -> Dialect | None:
    """The dialect whose field is there, even if it is empty."""
    for dialect in _DIALECTS:
        key = dialect.image[0]
        if key in fields and (len(dialect.image) == 1 or _at(fields, dialect.image) is not None):
            if len(dialect.image) == 1 and isinstance(fields[key], dict):
                return {"cover": PAPERMOD, "image": JEKYLL_MAP}.get(key, dialect)
            return dialect
    return None


def _at(fields: Mapping[str, Any], path: Path) -> Any:
    value: Any = fields
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    if value is False:
        return "false"
    return value.strip() if isinstance(value, str) and value.strip() not in _EMPTY else ""
