"""WordPressPosts: the posts of a WordPress site, read and covered through its REST API."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import PurePosixPath
from typing import Any

from integrations.cms.html_text import html_words
from integrations.cms.version import version_of
from integrations.cms.wordpress_client import PastTheEnd, WordPressClient
from integrations.cms.wordpress_content import content_words, find_figure, make_figure, with_figure
from integrations.errors import NotFound, Refused
from integrations.ports import ChangedPosts, PostCover, PostSource, Written
from prompts.article import Article, detect_language
from prompts.plain import plain

PER_PAGE = 100
"""As many as WordPress gives at once."""
OVERLAP = timedelta(seconds=5)
"""WordPress knows whole seconds and leaves out the moment itself; the clocks of two machines differ."""
FIELDS = "id,status,link,title,content,excerpt,featured_media,_links,_embedded"
MEDIA_KEYS = ("id", "source_url", "alt_text")
State = Mapping[str, Any]


class WordPressPosts(PostSource, ChangedPosts):
    """Posts of one site, by their numbers. A cover becomes the featured image; the library keeps it after `restore` too.

    A picture that is in the library already is used as it is, with the alt text that it has.
    """

    keeps_pictures = True

    def __init__(self, client: WordPressClient, statuses: Collection[str] = ("publish",), *, figure: bool = False) -> None:
        """statuses: of the posts that are listed. figure: whether the cover also stands on top of the content, once."""
        self._client = client
        self._statuses = tuple(statuses)
        self._figure = figure

    def list_posts(self) -> Iterator[str]:
        """The ids, oldest post first, so that a post written meanwhile moves no other. Raises Unavailable, Refused."""
        return self._listed({})

    def changed_since(self, moment: datetime) -> Iterator[str]:
        """The ids of posts saved at `moment` or later, and some from five seconds before it. Raises as `list_posts` does.

        Raises ValueError for a moment without a time zone: WordPress would take it for the site's own.
        """
        if moment.tzinfo is None:
            raise ValueError(f"wordpress: {moment.isoformat()} has no time zone")
        after = (moment - OVERLAP).astimezone(UTC)
        return self._listed({"modified_after": after.strftime("%Y-%m-%dT%H:%M:%SZ")})

    def read(self, post_id: str) -> Article:
        """The post as an Article; its section is its first category. Raises NotFound, Refused, Unavailable."""
        return self._article(self._post(post_id), post_id)

    def version(self, post_id: str) -> str:
        """A hash over the post's words, without our figure, and its status. Raises as `read` does, and NotFound for a post whose
        status is not one of those that get covers: a draft has no version that a cover could be made of.
        """
        post = self._post(post_id)
        if post["status"] not in self._statuses:
            wanted = ", ".join(self._statuses)
            raise NotFound(f"wordpress: post {post_id} has the status {post['status']!r}; covers are for {wanted}")
        return version_of(self._article(post, post_id), post["status"])

    def check_writable(self, post_id: str) -> None:
        """Raise Refused where this user may not change the post or add pictures; NotFound, Unavailable."""
        _check_figure(self._post(post_id), post_id, self._figure)
        if "POST" not in self._client.get("media", {"per_page": 1, "_fields": "id"}).methods:
            raise Refused(f"wordpress: {self._client.name}: this user may not add pictures; it needs the role of an author")

    def write_cover(self, post_id: str, cover: PostCover, *, force: bool = False,
                    about_to: Callable[[Written], None] | None = None) -> Written:
        """Make the picture the post's featured image, uploaded unless the library has it, and read it back.

        Raises Refused also where WordPress says yes and does not do it; NotFound, Unavailable.
        """
        post = self._post(post_id)
        _check_figure(post, post_id, self._figure)
        if post["featured_media"] and not force:
            return Written(changed=False)
        media = self._find_media(cover) or self._upload(post_id, cover)
        post = self._post(post_id)  # again: an upload takes seconds, in which an editor may have saved the post
        if post["featured_media"] and not force:
            return Written(changed=False)
        before, now = _state(post, self._figure), {"featured_media": media["id"]}
        if self._figure:
            alt_text = plain(media["alt_text"]) or cover.alt_text
            now["figure"] = make_figure(post["content"]["raw"], media["id"], media["source_url"], alt_text)
        if now == before:
            return Written(changed=False, address=media["source_url"])
        written = Written(changed=True, before=_dumped(before), now=_dumped(now), address=media["source_url"])
        if about_to:
            about_to(written)
        self._put(post, now, post_id)
        return written

    def restore(self, post_id: str, written: Written) -> bool:
        """Put back the featured image, and the figure if we wrote one; False if they are back already.

        Raises Refused where somebody has chosen another since, or the old picture is in the library no more; NotFound,
        Unavailable.
        """
        if not written.changed:
            return False
        before, now = json.loads(written.before), json.loads(written.now)
        post = self._post(post_id)
        _check_figure(post, post_id, "figure" in now)
        found = _state(post, "figure" in now)
        if found == before:
            return False
        if found != now:
            raise Refused(f"wordpress: post {post_id} has {_dumped(found)} now and {_dumped(now)} was written; somebody has "
                          f"chosen since, so {_dumped(before)} is not put back")
        self._put(post, before, post_id)
        return True

    def _listed(self, query: Mapping[str, str]) -> Iterator[str]:
        # context=edit also here: a wrong password is no error where anybody may read.
        given: dict[str, str | int] = {
            "per_page": PER_PAGE, "orderby": "id", "order": "asc", "status": ",".join(self._statuses), "context": "edit",
            "_fields": "id", **query}
        for page in count(1):
            try:
                reply = self._client.get("posts", given | {"page": page})
            except PastTheEnd:
                return
            yield from (str(entry["id"]) for entry in reply.things)
            # A page may be short of posts that this user may not see; only without the number of pages is it a sign.
            if page >= reply.pages if reply.pages else len(reply.things) < PER_PAGE:
                return

    def _post(self, post_id: str) -> dict[str, Any]:
        """The post as WordPress tells it to those who may change it. Raises NotFound also for one in the trash."""
        if not (post_id.isascii() and post_id.isdecimal() and len(post_id) < 20):
            raise NotFound(f"wordpress: {post_id[:200]!r} is no post; the id of a post is a number")
        query = {"context": "edit", "_embed": "wp:term,wp:featuredmedia", "_fields": FIELDS}
        post = self._client.get(f"posts/{int(post_id)}", query, ("status", "link", "title", "content", "featured_media")).thing
        if post["status"] in ("trash", "auto-draft"):
            raise NotFound(f"wordpress: post {post_id} has the status {post['status']!r}")
        return post

    def _article(self, post: Mapping[str, Any], post_id: str) -> Article:
        name = f"wordpress: post {post_id}"
        title, text = plain(html_words(post["title"]["raw"])), content_words(post["content"]["raw"], name)
        if not any(map(str.isalnum, title + text)):
            raise Refused(f"{name} has no words")
        terms = _embedded(post, "wp:term")
        categories = [plain(html_words(term["name"])) for term in terms
                      if term.get("taxonomy") == "category" and term.get("slug") != "uncategorized"]
        return Article(
            id=post_id, title=title, text=text, source=post["link"], language=detect_language(f"{title}\n{text}"),
            description=plain(html_words(post.get("excerpt", {}).get("raw", ""))), section=next(iter(categories), ""),
            tags=tuple(plain(html_words(term["name"])) for term in terms if term.get("taxonomy") == "post_tag"),
            cover=_cover_of(post))

    def _find_media(self, cover: PostCover) -> dict[str, Any] | None:
        """The picture in the library, whole, if an earlier try got so far."""
        found = self._client.get("media", {"slug": _slug(cover), "context": "edit"}, MEDIA_KEYS).things
        sizes = ((media, media.get("media_details", {})) for media in found)
        return next((media for media, details in sizes if details.get("filesize") == len(cover.data)), None)

    def _upload(self, post_id: str, cover: PostCover) -> dict[str, Any]:
        fields = {"slug": _slug(cover), "title": _slug(cover), "alt_text": cover.alt_text, "post": str(int(post_id))}
        return self._client.upload(fields, (cover.name, cover.data, cover.content_type), MEDIA_KEYS).thing

    def _put(self, post: Mapping[str, Any], state: State, post_id: str) -> None:
        """Bring the post into `state`, and nothing else of it. Raises Refused where it is not so afterwards."""
        fields: dict[str, Any] = {"featured_media": state["featured_media"]}
        if "figure" in state:
            fields["content"] = with_figure(post["content"]["raw"], state["figure"])
        self._client.post(f"posts/{int(post_id)}", fields, {"_fields": "id"})
        kept = self._post(post_id)  # WordPress answers 200 also where it did nothing, or took the picture away
        found = {"featured_media": kept["featured_media"], "content": kept["content"]["raw"]}
        if any(found[key] != value for key, value in fields.items()):
            raise Refused(f"wordpress: post {post_id} was to have the picture {state['featured_media']} and has "
                          f"{kept['featured_media']}, or other content than was sent; somebody may have saved it meanwhile")


def _state(post: Mapping[str, Any], has_figure: bool) -> dict[str, Any]:
    """What we change of a post."""
    figure = {"figure": find_figure(post["content"]["raw"])} if has_figure else {}
    return {"featured_media": post["featured_media"], **figure}


def _check_figure(post: Mapping[str, Any], post_id: str, has_figure: bool) -> None:
    """Raise Refused for a user without this right: WordPress would strip scripts and frames out of the whole content."""
    if has_figure and "wp:action-unfiltered-html" not in post.get("_links", {}):
        raise Refused(f"wordpress: post {post_id}: a figure needs a user with the right unfiltered_html, such as an editor")


def _slug(cover: PostCover) -> str:
    return PurePosixPath(cover.name).stem.lower()


def _cover_of(post: Mapping[str, Any]) -> str:
    """The featured image's address; its number where the picture cannot be seen."""
    shown = next((media["source_url"] for media in _embedded(post, "wp:featuredmedia") if "source_url" in media), "")
    return shown or (str(post["featured_media"]) if post["featured_media"] else "")


def _embedded(post: Mapping[str, Any], relation: str) -> list[dict[str, Any]]:
    """What a link of the post leads to, as one list."""
    groups = post.get("_embedded", {}).get(relation, [])
    return [each for group in groups for each in (group if isinstance(group, list) else [group]) if isinstance(each, dict)]


def _dumped(state: State) -> str:
    return json.dumps(state, ensure_ascii=False)
