"""Feed: the entries of an RSS or Atom feed as a source of posts. Read only."""

import io
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NoReturn

from integrations.cms.html_clean import XML_TAG, check_depth
from integrations.cms.html_text import html_words
from integrations.cms.version import version_of
from integrations.cms.web_page import fetch_article
from integrations.errors import NotFound, Refused
from integrations.http import Fetcher
from integrations.ports import PostCover, PostSource, Written
from prompts.article import Article, detect_language
from prompts.plain import plain

FEED_TYPES = ("application/rss+xml", "application/atom+xml", "application/xml", "text/xml", "application/rdf+xml")
FULL_CHARACTERS = 400
"""A feed entry with at least this much text is the whole post; a shorter one is a teaser."""


class Feed(PostSource):
    """The entries of one feed, fetched once. Ids are the entries' own ids or addresses."""

    def __init__(self, url: str, client: Fetcher) -> None:
        """url: of the feed. client: fetches it and the pages of its teasers."""
        self._url = url
        self._client = client

    def list_posts(self) -> Iterator[str]:
        """The ids, in the feed's order."""
        return iter(self._entries)

    def read(self, post_id: str) -> Article:
        """The entry as an Article; a teaser's text comes from its page. Raises NotFound, Refused, Unavailable."""
        entry = self._entries.get(post_id)
        if entry is None:
            raise NotFound(f"feed: {post_id[:200]!r} is not in {self._name}")
        words, link = _words(entry), str(entry.get("link", ""))
        if len(words) < FULL_CHARACTERS and link.startswith(("http://", "https://")):
            return fetch_article(self._client, link, post_id)
        title = plain(html_words(str(entry.get("title", ""))))
        if not any(map(str.isalnum, title + words)):
            raise Refused(f"feed: entry {post_id[:200]!r} has no words")
        teaser = html_words(str(entry.get("summary", "")))
        return Article(id=post_id, title=title or post_id, text=words, source=link or self._name,
                       language=detect_language(f"{title}\n{words}"), cover=_picture(entry),
                       description=plain(teaser) if teaser != words and len(teaser) < FULL_CHARACTERS else "",
                       tags=tuple(filter(None, (plain(str(tag.get("term") or "")) for tag in entry.get("tags", ())))))

    def version(self, post_id: str) -> str:
        """A hash over the post's words. Raises as `read` does."""
        return version_of(self.read(post_id))

    def check_writable(self, post_id: str) -> NoReturn:
        """Always Refused: a feed cannot be written."""
        raise Refused(f"feed: {post_id[:200]!r} is read only; its cover cannot be written back")

    def write_cover(self, post_id: str, cover: PostCover, *, force: bool = False,
                    about_to: Callable[[Written], None] | None = None) -> NoReturn:
        """Always Refused."""
        self.check_writable(post_id)

    def restore(self, post_id: str, written: Written) -> NoReturn:
        """Always Refused."""
        self.check_writable(post_id)

    @property
    def _name(self) -> str:
        return self._url.split("?")[0][:200]

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        import feedparser

        data = self._client.get(self._url, FEED_TYPES).body
        if b"<!ENTITY" in data:
            raise Refused(f"feed: {self._name} declares XML entities, which are not allowed")
        check_depth(XML_TAG.finditer(data.decode("utf-8", "replace")), f"feed: {self._name}")
        # A file object: feedparser would take text that looks like an address or a path for one and open it.
        feed = feedparser.parse(io.BytesIO(data), sanitize_html=False, resolve_relative_uris=False)
        if not feed.get("version") and not feed.entries:
            raise Refused(f"feed: {self._name} is neither RSS nor Atom")
        named = ((str(entry.get("id") or entry.get("link") or ""), entry) for entry in feed.entries)
        return {name: entry for name, entry in named if name}


def _words(entry: dict[str, Any]) -> str:
    """The longest text that the entry carries."""
    carried = [str(part.get("value", "")) for part in entry.get("content", ())] + [str(entry.get("summary", ""))]
    return max((html_words(part) for part in carried), key=len)


def _picture(entry: dict[str, Any]) -> str:
    """The picture that the entry names: a thumbnail, media or an enclosure of an image type."""
    for link in entry.get("media_thumbnail", ()):
        return str(link.get("url", ""))
    for link in (*entry.get("media_content", ()), *entry.get("enclosures", ())):
        if str(link.get("type", "")).startswith("image/"):
            return str(link.get("url") or link.get("href") or "")
    return ""
