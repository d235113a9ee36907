"""Takes a written cover out of a post's text again: the lines that brought it go back to what they were, and no others."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from integrations.errors import Refused
from integrations.ports import Written


@dataclass(frozen=True, kw_only=True)
class Covered:
    """A post's text and the cover it names. head_end: where the part of the text ends that can name one."""

    text: str
    cover: str
    head_end: int
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> str:
        """What stands behind the head."""
        return self.text[self.head_end :]


def describe(before: Covered, now: Covered) -> Written:
    """The change from one text to the other, as `undone` needs it."""
    old, new = _changed_lines(before.text, now.text)
    return Written(changed=True, before=json.dumps({"cover": before.cover, "lines": old}, ensure_ascii=False),
                   now=json.dumps({"cover": now.cover, "lines": new, "fields": _differing(before, now)}, ensure_ascii=False))


def undone(post: Covered, written: Written, read: Callable[[str], Covered], name: str) -> str:
    """The post's text as it was before, later changes elsewhere kept; as it is if it has its old cover again.

    read: what a text says. Raises Refused where the cover or its lines have changed since, or others would change with them.
    """
    before, now = json.loads(written.before), json.loads(written.now)
    head = post.text[: post.head_end]
    if post.cover == now["cover"] and head.count(now["lines"]) == 1:
        text = head.replace(now["lines"], before["lines"]) + post.body
        result = read(text)
        if result.cover == before["cover"] and result.body == post.body and set(_differing(post, result)) <= set(now["fields"]):
            return text
    elif post.cover == before["cover"]:
        return post.text
    raise Refused(f"{name}: its cover is {post.cover!r} now and {now['cover']!r} was written; its lines have changed since, "
                  f"so {before['cover'] or 'no cover'!r} is not put back")


def _changed_lines(before: str, now: str) -> tuple[str, str]:
    """The lines in which the texts differ, from the first to the last."""
    old, new = before.split("\n"), now.split("\n")
    same, most = 0, min(len(old), len(new))
    while same < most and old[same] == new[same]:
        same += 1
    ending = 0
    while ending < most - same and old[-1 - ending] == new[-1 - ending]:
        ending += 1
    return _lines(old, same, ending), _lines(new, same, ending)


def _lines(lines: list[str], same: int, ending: int) -> str:
    """Those between the first `same` and the last `ending`, with the line break that ends them."""
    return "\n".join([*lines[same : len(lines) - ending], ""]) if ending else "\n".join(lines[same:])


def _differing(one: Covered, other: Covered) -> list[str]:
    keys = sorted(one.fields.keys() | other.fields.keys())
    return [key for key in keys if one.fields.get(key) != other.fields.get(key)]
