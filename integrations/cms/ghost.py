"""GhostPosts: the posts of a Ghost, read and covered through its Admin API."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from integrations.cms.ghost_client import GhostClient, SavedMeanwhile
from integrations.cms.ghost_content import content_words
from integrations.cms.version import version_of
from integrations.errors import NotFound, Refused, Unavailable
from integrations.ports import ChangedPosts, PostCover, PostSource, Written
from prompts.article import Article, detect_language
from prompts.plain import plain

STATUSES = ("published", "draft", "scheduled", "sent")
PER_PAGE = 100
"""As many as Ghost 6 gives at once."""
MAX_ALT_TEXT = 191
"""Characters that Ghost takes."""
ATTEMPTS = 3
"""How often a post that somebody else saves meanwhile is written."""
OVERLAP = timedelta(seconds=5)
"""Ghost knows whole seconds; the clocks of two machines differ."""
FIELDS = ("feature_image", "feature_image_alt", "feature_image_caption")
SOCIAL_FIELDS = ("og_image", "twitter_image")
KEYS = ("id", "status", "title", "html", "url", "updated_at", *FIELDS, *SOCIAL_FIELDS)
EDITORS = frozenset(("Owner", "Administrator", "Super Editor", "Editor"))
Post = Mapping[str, Any]
State = dict[str, Any]


class GhostPosts(PostSource, ChangedPosts):
    """Posts of one site, by their ids. A cover becomes the feature image; its file stays with the site after `restore` too."""

    keeps_pictures = True

    def __init__(self, client: GhostClient, statuses: Collection[str] = ("published",), *, social: bool = False) -> None:
        """statuses: of the posts that are listed. social: whether the cover also becomes the picture of shared links, where
        the post names none; without, Ghost shows the feature image there.

        Raises ValueError for a status that Ghost does not have.
        """
        unknown = [status for status in statuses if status not in STATUSES]
        if unknown or not statuses:
            raise ValueError(f"ghost: statuses {', '.join(map(repr, unknown)) or '()'}: a post is one of {', '.join(STATUSES)}")
        self._client = client
        self._statuses = tuple(statuses)
        self._social = social
        self._uploaded: dict[str, str] = {}

    def list_posts(self) -> Iterator[str]:
        """The ids, oldest post first; a post written or deleted meanwhile moves no other. Raises Unavailable, Refused."""
        return self._listed("")

    def changed_since(self, moment: datetime) -> Iterator[str]:
        """The ids of posts saved at `moment` or later, and some from five seconds before it. Raises as `list_posts` does.

        Raises ValueError for a moment without a time zone.
        """
        if moment.tzinfo is None:
            raise ValueError(f"ghost: {moment.isoformat()} has no time zone")
        # Not as ISO 8601 with a T: on SQLite Ghost compares letters, and says silently that nothing has changed.
        after = (moment - OVERLAP).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        return self._listed(f"+updated_at:>='{after}'")

    def read(self, post_id: str) -> Article:
        """The post as an Article, whoever may read it; its section is its first tag. Raises NotFound, Refused, Unavailable."""
        return _article(self._post(post_id), post_id)

    def version(self, post_id: str) -> str:
        """A hash over the post's words and its status. Raises as `read` does, and NotFound for a post whose status is not one
        of those that get covers: a draft has no version that a cover could be made of.
        """
        post = self._post(post_id)
        if post["status"] not in self._statuses:
            wanted = ", ".join(self._statuses)
            raise NotFound(f"ghost: post {post_id} has the status {post['status']!r}; covers are for {wanted}")
        return version_of(_article(post, post_id), post["status"])

    def check_writable(self, post_id: str) -> None:
        """Raise Refused for a key of staff who may not change the post; NotFound, Unavailable."""
        post = self._post(post_id)
        try:
            user = self._client.get("users/me", {"include": "roles"}, ("id", "roles"))[0]
        except NotFound:
            return  # the key is an integration's, and may change every post
        roles = {str(role.get("name")) for role in user["roles"]}
        is_author = "Author" in roles and any(author["id"] == user["id"] for author in post.get("authors", ()))
        if not (roles & EDITORS or is_author):
            raise Refused(f"ghost: post {post_id}: the key is of staff with the role {', '.join(sorted(roles))}, who may not "
                          "change it; use the Admin API key of a custom integration")

    def write_cover(self, post_id: str, cover: PostCover, *, force: bool = False,
                    about_to: Callable[[Written], None] | None = None) -> Written:
        """Make the picture the post's feature image, uploaded unless the post has it, and read it back.

        A caption is taken off with its picture: it names who made that one. Raises Refused also where Ghost says yes and does
        not do it; Unavailable also where somebody saves other words meanwhile; NotFound.
        """
        post = self._post(post_id)
        if post["feature_image"] and not force:
            return Written(changed=False)
        address = _named_by(post, cover) or self._upload(cover)

        def covered(found: Post) -> tuple[State, State]:
            before = {key: found[key] for key in (*FIELDS, *self._social_fields)}
            if found["feature_image"] and not force:
                return before, before  # chosen while ours was uploaded
            fresh = {"feature_image": address, "feature_image_alt": _fitted(cover.alt_text), "feature_image_caption": None}
            return before, before | fresh | {key: address for key in self._social_fields if force or not found[key]}

        return self._changed(post_id, covered, address, about_to)

    def restore(self, post_id: str, written: Written) -> bool:
        """Put back what the post had; False if it has it already.

        Raises Refused where somebody has chosen another picture since; NotFound, Unavailable.
        """
        if not written.changed:
            return False
        before, now = json.loads(written.before), json.loads(written.now)

        def back(found: Post) -> tuple[State, State]:
            there = {key: found[key] for key in now}
            if there not in (before, now):
                raise Refused(f"ghost: post {post_id} has {_dumped(there)} now and {_dumped(now)} was written; somebody has "
                              f"chosen since, so {_dumped(before)} is not put back")
            return there, before

        return self._changed(post_id, back, "").changed

    def _listed(self, also: str) -> Iterator[str]:
        last = "0" * 24  # ids grow with time
        while True:
            query: dict[str, str | int] = {
                "filter": f"status:[{','.join(self._statuses)}]+id:>'{last}'{also}", "order": "id asc", "limit": PER_PAGE,
                "fields": "id"}
            ids = [str(post["id"]) for post in self._client.get("posts", query)]
            yield from ids
            if len(ids) < PER_PAGE:
                return
            last = ids[-1]

    def _post(self, post_id: str) -> Post:
        """The post as Ghost tells it to its staff."""
        if not re.fullmatch(r"[0-9a-f]{24}", post_id):
            raise NotFound(f"ghost: {post_id[:200]!r} is no post; the id of a post is 24 hex digits")
        query = {"formats": "html", "include": "tags,authors"}
        posts = self._client.get(f"posts/{post_id}", query, KEYS)
        if not posts:
            raise NotFound(f"ghost: post {post_id} is not in the answer")
        return posts[0]

    @property
    def _social_fields(self) -> tuple[str, ...]:
        return SOCIAL_FIELDS if self._social else ()

    def _upload(self, cover: PostCover) -> str:
        """The picture's address; a step that is tried again finds it here, for Ghost has no list of its pictures."""
        if cover.name not in self._uploaded:
            self._uploaded[cover.name] = self._client.upload((cover.name, cover.data, cover.content_type))
        return self._uploaded[cover.name]

    def _changed(self, post_id: str, change: Callable[[Post], tuple[State, State]], address: str,
                 about_to: Callable[[Written], None] | None = None) -> Written:
        """Bring the post from one state into the other that `change` makes of it, and change nothing else of it.

        Ghost takes no change of a post that was saved since it was read. Such a post is read and written again while its words
        are the same: what somebody chose meanwhile decides anew, and nothing is painted or uploaded again for it.
        """
        post = self._post(post_id)
        words = _words(post)
        for _ in range(ATTEMPTS):
            before, now = change(post)
            if now == before:
                return Written(changed=False, address=address if now.get("feature_image") == address else "")
            written = Written(changed=True, before=_dumped(before), now=_dumped(now), address=address)
            if about_to:
                about_to(written)
            try:
                self._client.put(f"posts/{post_id}", {**now, "updated_at": post["updated_at"]})
            except SavedMeanwhile as exc:
                post = self._post(post_id)
                if _words(post) != words:
                    raise Unavailable(f"ghost: post {post_id}: somebody is writing it: other words were saved at "
                                      f"{post['updated_at']}, so its cover waits") from exc
                continue
            self._check_kept(post_id, now)
            return written
        raise Unavailable(f"ghost: post {post_id}: it was saved by somebody else {ATTEMPTS} times while it was written, last at "
                          f"{post['updated_at']}")

    def _check_kept(self, post_id: str, state: State) -> None:
        """Raise Refused where the post is not as it was to be."""
        post = self._post(post_id)
        found = {key: post[key] for key in state}
        if found != state:
            raise Refused(f"ghost: post {post_id} was to have {_dumped(state)} and has {_dumped(found)}; somebody may have saved "
                          "it meanwhile")


def _article(post: Post, post_id: str) -> Article:
    name = f"ghost: post {post_id}"
    title, text = plain(post["title"] or ""), content_words(post["html"] or "", name)
    if not any(map(str.isalnum, title + text)):
        raise Refused(f"{name} has no words")
    # Tags that begin with # are the editors' own and shown to nobody.
    tags = [plain(str(tag["name"])) for tag in post.get("tags") or () if tag.get("visibility") == "public"]
    return Article(
        id=post_id, title=title, text=text, source=post["url"], language=detect_language(f"{title}\n{text}"),
        description=plain(post.get("custom_excerpt") or post.get("meta_description") or ""), section=next(iter(tags), ""),
        tags=tuple(tags), cover=post["feature_image"] or "")


def _words(post: Post) -> tuple[Any, ...]:
    """What a cover is made from, raw."""
    tags = [tag.get("name") for tag in post.get("tags") or ()]
    return post["title"], post["html"], post.get("custom_excerpt"), post.get("meta_description"), post["status"], tags


def _named_by(post: Post, cover: PostCover) -> str:
    """The address of the post's feature image if it is this very picture, whose name is made from its bytes; else empty.

    Ghost puts a number behind the name of a file that comes again.
    """
    name = PurePosixPath(cover.name)
    address = post["feature_image"] or ""
    is_ours = re.search(rf"/{re.escape(name.stem)}(-\d{{1,4}})?{re.escape(name.suffix)}$", address)
    return address if is_ours else ""


def _fitted(alt_text: str) -> str:
    """As much as Ghost takes."""
    alt_text = alt_text.strip()
    return alt_text if len(alt_text) <= MAX_ALT_TEXT else f"{alt_text[: MAX_ALT_TEXT - 1].rstrip()}…"


def _dumped(state: State) -> str:
    return json.dumps(state, ensure_ascii=False)
