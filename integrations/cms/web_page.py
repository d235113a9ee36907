"""WebPage: one page on the web as a source of one post. Read only."""

from collections.abc import Callable, Iterator
from typing import NoReturn

from integrations.cms.charset import decode
from integrations.cms.html_text import declared_charset, read_page
from integrations.cms.version import version_of
from integrations.errors import NotFound, Refused
from integrations.http import Fetcher
from integrations.ports import PostCover, PostSource, Written
from prompts.article import Article, detect_language

PAGE_TYPES = ("text/html", "application/xhtml+xml")


class WebPage(PostSource):
    """The page behind one address. Its id is the address."""

    def __init__(self, url: str, client: Fetcher) -> None:
        self._url = url
        self._client = client

    def list_posts(self) -> Iterator[str]:
        """The one address."""
        return iter([self._url])

    def read(self, post_id: str) -> Article:
        """The page's main text as an Article. Raises NotFound, Refused, Unavailable."""
        if post_id != self._url:
            raise NotFound(f"page: {post_id[:200]!r} does not exist; the only post here is {self._url[:200]!r}")
        return fetch_article(self._client, self._url, post_id)

    def version(self, post_id: str) -> str:
        """A hash over the post's words. Raises as `read` does."""
        return version_of(self.read(post_id))

    def check_writable(self, post_id: str) -> NoReturn:
        """Always Refused: a page on the web cannot be written."""
        raise Refused(f"page: {post_id[:200]!r} is read only; its cover cannot be written back")

    def write_cover(self, post_id: str, cover: PostCover, *, force: bool = False,
                    about_to: Callable[[Written], None] | None = None) -> NoReturn:
        """Always Refused."""
        self.check_writable(post_id)

    def restore(self, post_id: str, written: Written) -> NoReturn:
        """Always Refused."""
        self.check_writable(post_id)


def fetch_article(client: Fetcher, url: str, post_id: str) -> Article:
    """The page at `url` as an Article called `post_id`. Raises NotFound, Refused, Unavailable."""
    fetched = client.get(url, PAGE_TYPES)
    decoded = decode(fetched.body, url[:200], fetched.charset or declared_charset(fetched.body))
    page = read_page(decoded.text, url[:200])
    if not any(map(str.isalnum, page.title + page.text)):
        raise Refused(f"page: {url[:200]} has no words")
    return Article(id=post_id, title=page.title or url, text=page.text, source=fetched.url, section=page.section,
                   language=detect_language(f"{page.title}\n{page.text}"), description=page.description,
                   tags=page.tags, cover=page.cover)
