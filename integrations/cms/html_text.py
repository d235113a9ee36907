"""A web page to what it says: title, description, main text, cover. How the page was fetched lives elsewhere."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape

from bs4 import BeautifulSoup

from integrations.cms.boilerplate import is_boilerplate, without_credits
from integrations.cms.html_clean import check_depth, tags, without_comments, without_hidden, words_between_tags
from prompts.plain import plain

MAX_HEAD_CHARACTERS = 200_000
SHORT_CHARACTERS = 50
_META_CHARSET = re.compile(rb"<meta[^<>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{1,40})", re.I)


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page says. text: paragraphs, one per line."""

    title: str
    description: str
    text: str
    cover: str
    section: str
    tags: tuple[str, ...]


def declared_charset(data: bytes) -> str:
    """The charset that a page names in its first 4 KB, or empty."""
    found = _META_CHARSET.search(data[:4096])
    return found[1].decode("ascii") if found else ""


def read_page(html: str, name: str) -> Page:
    """What `html` says to a reader: hidden text, scripts, code, tables and navigation left out.

    name: of the page, for errors. Raises Refused for HTML that is nested too deep or has too many tags.
    """
    whole = without_comments(html.encode(errors="ignore").decode())  # parsers fail on lone surrogates
    check_depth(tags(whole), name)
    visible = without_hidden(whole)
    head = BeautifulSoup(re.split(r"<body\b|</head", visible[:MAX_HEAD_CHARACTERS], maxsplit=1, flags=re.I)[0], "lxml")
    heading = re.search(r"<h1\b[^<>]*>(.{0,2000}?)</h1", visible, re.I | re.S)
    title = _meta(head, "og:title") or (plain(head.title.get_text()) if head.title else "")
    return Page(
        title=title or (plain(words_between_tags(heading[1])) if heading else ""),
        description=_meta(head, "description") or _meta(head, "og:description"),
        text=_main_text(visible),
        cover=_meta(head, "og:image"),
        section=_meta(head, "article:section"),
        tags=tuple(filter(None, map(_content, head.find_all("meta", property="article:tag")))))


def html_words(fragment: str) -> str:
    """The words of a piece of HTML, paragraphs one per line: a feed entry's text, say. Boilerplate is left out."""
    return _paragraphs(unescape(line) for line in words_between_tags(without_comments(fragment)).split("\n"))


def _main_text(visible: str) -> str:
    """The article without tables and the site around it; where none is found, everything a reader sees."""
    body = without_hidden(_body(visible), ("title",))
    text = _article(without_hidden(body, ("table",)))
    if len(text) < SHORT_CHARACTERS and re.search(r"<table\b", body, re.I):
        text = max(text, _article(body), key=len)  # old pages stand in a table as a whole
    return text or html_words(body)


def _article(body: str) -> str:
    import trafilatura  # slow to load, and only HTML needs it

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # a page without an article is no error here
    found = trafilatura.extract(f"<html><body>{body}</body></html>", include_comments=False, include_tables=False,
                                include_links=False, include_images=False) or ""
    return _paragraphs(found.split("\n"))


def _paragraphs(lines: Iterable[str]) -> str:
    """The lines that say something, in plain characters."""
    plainly = (plain(without_credits(line)) for line in lines)
    return "\n".join(line for line in plainly if any(map(str.isalnum, line)) and not is_boilerplate(line))


def _body(html: str) -> str:
    start = re.search(r"<body\b[^<>]*>", html, re.I)
    return html[start.end() :] if start else html


def _meta(head: BeautifulSoup, name: str) -> str:
    return _content(head.find("meta", attrs={"property": name}) or head.find("meta", attrs={"name": name}))


def _content(tag: object) -> str:
    content = tag.get("content", "") if hasattr(tag, "get") else ""
    return plain(content) if isinstance(content, str) else ""
