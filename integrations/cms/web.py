"""Opens a web address as what it turns out to be: a feed of posts, or one page."""

from collections.abc import Collection

from integrations.cms.feed import FEED_TYPES, Feed
from integrations.cms.web_page import PAGE_TYPES, WebPage
from integrations.http import Fetched, Fetcher
from integrations.ports import PostSource

FEED_MARKS = (b"<rss", b"<feed", b"<rdf:RDF")


def open_web(url: str, client: Fetcher) -> PostSource:
    """The feed or page behind `url`, fetched once. Raises Refused, NotFound, Unavailable."""
    fetched = client.get(url, (*FEED_TYPES, *PAGE_TYPES))
    once = _AnswerKept(client, url, fetched)
    start = fetched.body[:2048].lstrip()
    is_feed = any(mark in start for mark in FEED_MARKS) or fetched.content_type in FEED_TYPES
    return Feed(url, once) if is_feed else WebPage(url, once)


class _AnswerKept(Fetcher):
    """Gives the answer to one address from memory, and fetches every other."""

    def __init__(self, client: Fetcher, url: str, answer: Fetched) -> None:
        self._client, self._url, self._answer = client, url, answer

    def get(self, url: str, content_types: Collection[str] = ()) -> Fetched:
        """As Fetcher.get."""
        return self._answer if url == self._url else self._client.get(url, content_types)
