"""Writes a cover into a plain HTML page: the og:image meta tags in its head, and nothing else.

The result is read again before it is handed out; a cover that no reader would find is refused.
"""

import re
from html import escape

from integrations.cms.html_clean import attributes, tags, without_comments
from integrations.cms.html_text import read_page
from integrations.errors import Refused
from prompts.plain import plain

_HEAD_START = re.compile(r"<head\b[^<>]*>", re.I)
_HEAD_END = re.compile(r"[ \t]*</head\s*>", re.I)


def with_meta_cover(html: str, cover: str, alt_text: str, name: str, encoding: str = "utf-8") -> str:
    """`html` with og:image set, and og:image:alt unless `alt_text` is empty.

    Raises Refused for a page without head, and for one in whose head the cover would not be found again.
    """
    seen = without_comments(html, filler=" ")
    start = _HEAD_START.search(seen)
    end = _HEAD_END.search(seen, start.end()) if start else None
    if not start or not end:
        raise Refused(f"{name}: it has no <head>, so there is no place for its cover; add one, or front matter")
    head = html[start.end() : end.start()]
    newline = "\r\n" if "\r\n" in html[: html.find("\n") + 1] else "\n"
    for key, value in (("og:image", cover), ("og:image:alt", alt_text)):
        if value.strip():
            content = escape(" ".join(value.split())).encode(encoding, "xmlcharrefreplace").decode(encoding)
            head = _set(head, key, f'<meta property="{key}" content="{content}">', newline)
    written = html[: start.end()] + head + html[end.start() :]
    if read_page(written, name).cover != plain(cover):
        raise Refused(f"{name}: its <head> is written in a way that the cover cannot be set in; set it by hand")
    return written


def _set(head: str, key: str, meta: str, newline: str) -> str:
    for tag in tags(without_comments(head, filler=" ")):
        if tag[2].lower() == "meta" and ("property", key) in attributes(tag):
            return head[: tag.start()] + meta + head[tag.end() :]
    gap = "" if not head or head.endswith("\n") else newline
    return f"{head}{gap}{meta}{newline}"
