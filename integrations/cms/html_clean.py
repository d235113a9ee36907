"""Makes HTML safe to parse and leaves only what a reader sees, in time that grows with its length and no faster."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from html import unescape

from integrations.errors import Refused

MAX_DEPTH = 250
MAX_TAGS = 200_000

# As a browser reads it: a value may hold "<" and ">", and a quote elsewhere means nothing. Possessive, and a tag that never
# ends is matched too, so no character is read twice however many quotes and tags are left open.
_ATTRIBUTE = r"""([^\s/<>][^\s/<>=]*+)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>][^\s>]*+)?+)?+"""
_TAG = re.compile(rf"<(/?)([A-Za-z][A-Za-z0-9:-]*+)((?:[\s/]++|{_ATTRIBUTE})*+)(?P<end>>?)")
XML_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]*)([^<>]*)>")
"""With the groups of `tags`. In XML no value holds "<", a quote in CDATA opens nothing, and a script is like any element."""
_UNSEEN_STYLE = re.compile(
    r"""display\s*:\s*none|visibility\s*:\s*hidden|(?:opacity|font-size)\s*:\s*0(?![.\d]*[1-9])|"""
    r"""(?:^|[\s;])(?:max-)?(?:width|height)\s*:\s*0(?![.\d]*[1-9])""", re.I)
_VOID = frozenset((
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"))
# Their end tags may be left out, so a page with thousands of unclosed ones is not deep.
_IMPLIED = frozenset(("p", "li", "td", "th", "tr", "dt", "dd", "option", "thead", "tbody", "tfoot", "colgroup"))
_UNREAD = frozenset(("script", "style", "template", "noscript", "iframe", "object", "svg", "math", "canvas", "video",
                     "audio", "select", "button", "textarea"))
_RAW_END = {element: re.compile(f"</{element}", re.I) for element in ("script", "style")}
_CODE = frozenset(("pre", "table"))
_BLOCKS = frozenset(("p", "div", "br", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "section",
                     "article", "tr", "hr", "figure", "figcaption", "details", "summary", "center"))


def tags(html: str) -> Iterator[re.Match[str]]:
    """The tags of `html`: groups 1 to 3 are "/" or empty, the element and its attributes. Scripts and styles hold none."""
    at = 0
    endless: set[str] = set()
    while tag := _TAG.search(html, at):
        at = tag.end()
        if not tag["end"] and "<" not in tag[3]:
            continue  # "a <b and c": text, unless a quoted value would hide tags in it
        yield tag
        element = tag[2].lower()
        if element in _RAW_END and not tag[1] and not tag[3].endswith("/") and element not in endless:
            closing = _RAW_END[element].search(html, at)
            at = closing.start() if closing else at
            if not closing:  # looking for it again would be quadratic
                endless.add(element)


def attributes(tag: re.Match[str]) -> Iterator[tuple[str, str]]:
    """The attributes of one of `tags`: names in lower case, values without quotes and entities."""
    for name, quoted in re.findall(_ATTRIBUTE, tag[3]):
        yield name.lower(), unescape(quoted.strip("\"'"))


def check_depth(found: Iterable[re.Match[str]], name: str) -> None:
    """Raise Refused where the tags found are nested deeper, or are more, than in a page that a person wrote."""
    depth = 0
    for count, tag in enumerate(found):
        element = tag[2].lower()
        if element in _VOID or element in _IMPLIED or tag[3].endswith("/"):
            continue
        depth = max(depth - 1, 0) if tag[1] else depth + 1
        if depth > MAX_DEPTH:
            raise Refused(f"{name}: its HTML is nested more than {MAX_DEPTH} deep")
        if count >= MAX_TAGS:
            raise Refused(f"{name}: its HTML has more than {MAX_TAGS} tags")


def without_comments(text: str, *, filler: str = "") -> str:
    """`text` without `<!-- comments -->`; one that never ends is only marks. filler: stands for each of their characters."""
    pieces = []
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        pieces += [text[at:start], filler * (end + 3 - start)]
        at = end + 3
    return "".join([*pieces, text[at:]])


def without_hidden(html: str, dropped: Collection[str] = ("pre",)) -> str:
    """`html` without scripts, embedded and `dropped` elements, and whatever is marked so that no reader sees it."""
    return "".join(_kept(html, _UNREAD.union(dropped), lambda tag: tag[0]))


def words_between_tags(text: str) -> str:
    """The words of `text`, whose tags are dropped with everything hidden, code and tables; blocks end lines."""
    return "".join(_kept(text, _UNREAD | _CODE, lambda tag: "\n" if tag[2].lower() in _BLOCKS else ""))


def without_classes(html: str, classes: Collection[str]) -> str:
    """`html` without the elements of these classes."""
    unread = frozenset(classes)

    def is_unread(tag: re.Match[str]) -> bool:
        return any(key == "class" and not unread.isdisjoint(value.split()) for key, value in attributes(tag))

    return "".join(_kept(html, frozenset(), lambda tag: tag[0], is_unread))


def _kept(html: str, dropped: frozenset[str], shown: Callable[[re.Match[str]], str],
          is_hidden: Callable[[re.Match[str]], bool] | None = None) -> Iterator[str]:
    """The text outside hidden and `dropped` elements, with each tag as `shown` gives it."""
    is_hidden = is_hidden or _is_hidden
    closings = _closings(html)
    at = 0
    for tag in tags(html):
        if tag.start() < at:
            continue
        yield html[at : tag.start()]
        element = tag[2].lower()
        hidden = element in dropped or is_hidden(tag)
        if hidden and not tag[1] and element not in _VOID and not tag[3].endswith("/"):
            at = closings.get(tag.start(), tag.end())
        else:
            at = tag.end()
            yield "" if hidden else shown(tag)
    yield html[at:]


def _is_hidden(tag: re.Match[str]) -> bool:
    """True for a tag that says its element is not to be seen; a class called "hidden" says nothing for certain."""
    for key, value in attributes(tag):
        if key == "hidden" or (key == "aria-hidden" and value.lower() == "true"):
            return True
        if key == "style" and _UNSEEN_STYLE.search(value):
            return True
    return False


def _closings(html: str) -> dict[int, int]:
    """Where each element that is closed ends, by where it starts."""
    ends: dict[int, int] = {}
    open_at: dict[str, list[int]] = {}
    for tag in tags(html):
        element = tag[2].lower()
        if tag[1]:
            if open_at.get(element):
                ends[open_at[element].pop()] = tag.end()
        elif element not in _VOID and not tag[3].endswith("/"):
            open_at.setdefault(element, []).append(tag.start())
    return ends
