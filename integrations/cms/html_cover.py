"""Writes a cover into a plain HTML page: the og:image meta tags in its head, and nothing else."""

import re
from html import escape

from integrations.errors import Refused

_HEAD_START = re.compile(r"<head\b[^<>]*>", re.I)
_HEAD_END = re.compile(r"[ \t]*</head\s*>", re.I)


def with_meta_cover(html: str, cover: str, alt_text: str, name: str, encoding: str = "utf-8") -> str:
    """`html` with og:image set, and og:image:alt unless `alt_text` is empty. Raises Refused for a page without head."""
    start = _HEAD_START.search(html)
    end = _HEAD_END.search(html, start.end()) if start else None
    if not start or not end:
        raise Refused(f"{name}: it has no <head>, so there is no place for its cover; add one, or front matter")
    head = html[start.end() : end.start()]
    newline = "\r\n" if "\r\n" in html[: html.find("\n") + 1] else "\n"
    for key, value in (("og:image", cover), ("og:image:alt", alt_text)):
        if value.strip():
            content = escape(" ".join(value.split())).encode(encoding, "xmlcharrefreplace").decode(encoding)
            head = _set(head, key, f'<meta property="{key}" content="{content}">', newline)
    return html[: start.end()] + head + html[end.start() :]


def _set(head: str, key: str, tag: str, newline: str) -> str:
    old = re.search(rf"<meta\b(?=[^<>]*\bproperty\s*=\s*[\"']?{key}[\"'\s>])[^<>]*>", head, re.I)
    if old:
        return head[: old.start()] + tag + head[old.end() :]
    gap = "" if not head or head.endswith("\n") else newline
    return f"{head}{gap}{tag}{newline}"
