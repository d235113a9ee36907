"""What stands in a WordPress post's content: words between blocks and shortcodes, and the figure that we may put on top."""

import json
import re
from html import escape

from integrations.cms.html_clean import check_depth, tags
from integrations.cms.html_text import html_words

FIGURE_CLASS = "fengmian-cover"
_BARE = rf'<figure class="[^"\n]{{0,300}}\b{FIGURE_CLASS}\b[^"\n]{{0,300}}">(?:(?!</figure).){{0,9000}}+</figure>'
_FIGURE = re.compile(rf"(?:<!-- wp:image [^\n]{{0,2000}}?-->\s{{0,9}}{_BARE}\s{{0,9}}<!-- /wp:image -->|{_BARE})(?:\n\n)?", re.S)
# What stands between these and their ends is no prose: addresses to embed, code, formulas.
_BLOCK = re.compile(r"<!-- wp:(shortcode|embed|math)\b[^\n]{0,2000}?-->")
_CODE = re.compile(r"\[(code|sourcecode|source|php|js|css|html|python|bash|latex|mermaid|embed)(?:\s[^\[\]]{0,2000})?\]")
_SHORTCODE = re.compile(r"\[(/?)([A-Za-z][\w-]{0,60})((?:\s[^\[\]]{0,3000})?)/?\](?!\()")
_ALONE = frozenset(("gallery", "toc", "more", "playlist", "nextpage", "audio", "video", "embed", "code"))


def content_words(raw: str, name: str) -> str:
    """The words of a post's raw content, paragraphs one per line. name: of the post, for errors.

    Raises Refused for HTML that is nested too deep or has too many tags.
    """
    raw = without_figure(raw.encode(errors="ignore").decode())
    check_depth(tags(raw), name)
    prose = _without_pairs(_without_pairs(raw, _BLOCK, "<!-- /wp:%s -->"), _CODE, "[/%s]")
    return html_words(without_shortcodes(prose))


def without_shortcodes(text: str) -> str:
    """`text` without the marks of shortcodes; what they enclose stays, as a caption does, and so does "[sic]"."""
    closed = {mark[2] for mark in _SHORTCODE.finditer(text) if mark[1]} | _ALONE
    return _SHORTCODE.sub(lambda mark: "" if mark[2] in closed or "=" in mark[3] else mark[0], text)


def find_figure(raw: str) -> str:
    """Our figure in a post's content, without the space around it, or empty."""
    found = _FIGURE.search(raw)
    return found[0].strip() if found else ""


def without_figure(raw: str) -> str:
    """The content as it is without our figure."""
    return _FIGURE.sub("", raw, count=1) if FIGURE_CLASS in raw else raw


def with_figure(raw: str, figure: str) -> str:
    """The content with `figure` in place of ours, if it has one, else on top. Empty: without."""
    there = find_figure(raw)
    if there and figure:
        return raw.replace(there, figure, 1)
    return f"{figure}\n\n{raw}" if figure else without_figure(raw)


def make_figure(raw: str, media_id: int, address: str, alt_text: str) -> str:
    """The figure for a post with this content: a block among blocks, else plain HTML.

    One block would make WordPress take the whole post for blocks, and paragraphs that are only lines would run together.
    """
    image = f'<img src="{escape(address)}" alt="{escape(alt_text)}" class="wp-image-{media_id}"/>'
    figure = f'<figure class="wp-block-image size-full {FIGURE_CLASS}">{image}</figure>'
    if "<!-- wp:" not in without_figure(raw):
        return figure
    fields = {"id": media_id, "sizeSlug": "full", "linkDestination": "none", "className": FIGURE_CLASS}
    return f"<!-- wp:image {json.dumps(fields, separators=(',', ':'))} -->\n{figure}\n<!-- /wp:image -->"


def _without_pairs(text: str, opening: re.Pattern[str], closing: str) -> str:
    """Without all from each opening to the closing of the same name; one that is never closed is only itself."""
    pieces, at = [], 0
    endless: set[str] = set()
    while found := opening.search(text, at):
        end = -1 if found[1] in endless else text.find(closing % found[1], found.end())
        if end < 0:  # looking for it again would be quadratic
            endless.add(found[1])
        pieces.append(text[at : found.start() if end >= 0 else found.end()])
        at = end + len(closing % found[1]) if end >= 0 else found.end()
    return "\n".join([*pieces, text[at:]]) if pieces else text
