"""What a webhook's message says, for each kind of sender: who signed it, and which posts it is about."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from integrations.errors import Refused
from integrations.gateway import signatures
from integrations.gateway.ports import Site
from integrations.gateway.strict_json import loads

MAX_POSTS = 200
"""Of one message; a larger push is work for the backlog."""
MAX_POST_ID = 500
_SUFFIXES = (".md", ".markdown", ".mdx", ".html", ".htm")
_GONE = ("deleted", "trashed", "unpublished")


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message whose sender is known. posts: the ids of those it is about, which may be none."""

    id: str
    posts: tuple[str, ...]
    revision: str = ""
    """The commit that brought the posts, where they lie in a Git repository."""


def read_message(site: Site, headers: Mapping[str, str], body: bytes, now: float) -> Message:
    """The message, if the site's own sender sent it, and lately. headers: with small names.

    Raises Refused for a signature, ValueError for a body that breaks a rule.
    """
    if not site.kind or not site.secrets:
        raise Refused("signature: this site takes no webhooks")
    kind = _KINDS[site.kind]
    message_id = kind.check(site.secrets, headers, body, now)
    said = loads(body)
    if not isinstance(said, dict):
        raise ValueError("the body must be a JSON object")
    posts, revision = kind.read(headers, said)
    if site.folder:
        inside = site.folder.strip("/") + "/"
        posts = (post.removeprefix(inside) for post in posts if post.startswith(inside))
    return Message(id=message_id, posts=tuple(dict.fromkeys(islice(posts, MAX_POSTS))), revision=revision)


Read = tuple[Iterator[str], str]


def _read_standard(headers: Mapping[str, str], said: Mapping[str, Any]) -> Read:
    event = said.get("event", "")
    if not isinstance(event, str):
        raise ValueError("event: it must be a text")
    gone = event.rpartition(".")[2] in _GONE
    post_id = _post_id(said.get("id", said.get("post")))  # our plugin for WordPress says post
    return iter(() if gone else (post_id,)), ""


def _read_ghost(headers: Mapping[str, str], said: Mapping[str, Any]) -> Read:
    """Only published posts; a page, a member or a deleted post is none."""
    post = said.get("post")
    current = post.get("current") if isinstance(post, dict) else None
    if not isinstance(current, dict) or current.get("status") != "published":
        return iter(()), ""
    return iter((_post_id(current.get("id")),)), ""


def _read_github(headers: Mapping[str, str], said: Mapping[str, Any]) -> Read:
    """The post files that a push to the default branch added or changed and did not remove again."""
    repository, commits = said.get("repository"), said.get("commits")
    branch = repository.get("default_branch") if isinstance(repository, dict) else None
    if headers.get("x-github-event") != "push" or not isinstance(commits, list) or said.get("ref") != f"refs/heads/{branch}":
        return iter(()), ""
    files: dict[str, bool] = {}
    for commit in commits:
        for kind in ("added", "modified", "removed") if isinstance(commit, dict) else ():
            names = commit.get(kind) or []
            if not isinstance(names, list):
                raise ValueError(f"commits: {kind} must be a list")
            files.update((name, kind != "removed") for name in names if _is_post_file(name))
    after = said.get("after")
    return (name for name, is_there in files.items() if is_there), after if isinstance(after, str) else ""


def _is_post_file(name: Any) -> bool:
    return isinstance(name, str) and len(name) <= MAX_POST_ID and name.isprintable() and name.lower().endswith(_SUFFIXES)


def _post_id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("id: it must be the id of a post, a text or a whole number")
    text = str(value)
    if not 1 <= len(text) <= MAX_POST_ID or not text.isprintable():
        raise ValueError(f"id: it must have 1 to {MAX_POST_ID} printable characters")
    return text


@dataclass(frozen=True)
class _Kind:
    check: Callable[[tuple[str, ...], Mapping[str, str], bytes, float], str]
    read: Callable[[Mapping[str, str], Mapping[str, Any]], Read]


_KINDS = {
    "wordpress": _Kind(signatures.check_standard, _read_standard),
    "standard": _Kind(signatures.check_standard, _read_standard),
    "ghost": _Kind(signatures.check_ghost, _read_ghost),
    "github": _Kind(signatures.check_github, _read_github),
}
