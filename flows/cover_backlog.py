"""Every post without a cover gets one. One bad post never stops the rest; a second run goes on where one ended."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from flows import steps, wiring
from flows.cover_post import Runner, cover_post, plainly
from flows.errors import FlowError, Superseded
from flows.record import CoverRecord, Wishes
from flows.review import is_reviewed
from generator.errors import GeneratorError
from integrations.errors import IntegrationError
from prompts.errors import PromptError

log = logging.getLogger(__name__)
OUR_ERRORS = (FlowError, IntegrationError, GeneratorError, PromptError)
"""Everything foreseen that can go wrong with one post; anything else is a bug, told with its traceback."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one post. asked: an editor is asked in a run of its own. reason: of a failure or of being left alone.

    is_new: whether an editor was not asked before about this very version of the post.
    """

    post_id: str
    result: Literal["covered", "kept", "asked", "failed", "missing"]
    title: str = ""
    reason: str = ""
    record: CoverRecord | None = None
    is_new: bool = False

    @property
    def is_work(self) -> bool:
        """Whether something was done for the post, or in a dry run is to be done."""
        return self.result == "missing" or self.is_new or (self.record is not None and self.result == "covered"
                                            and (self.record.written or not self.record.cached))

    def as_json(self) -> dict[str, Any]:
        """Plain values only: the result, and the record of a post that has one."""
        record = self.record.as_json() if self.record else {"title": self.title}
        return {"id": self.post_id, "result": self.result, "reason": self.reason, **record}


Ask = Callable[[str, Wishes], bool]
"""Sees to it that an editor is asked about a post, once for each of its versions; whether that is new."""


def cover_backlog(source: str, wishes: Wishes, *, limit: int | None = None, dry_run: bool = False,
                  run: Runner = plainly, ask: Ask | None = None) -> list[Outcome]:  # type: ignore[type-arg]
    """Cover the posts of `source` that have none, at most `limit` of them; ports().tell hears each outcome as it comes.

    dry_run: only say which are missing. ask: for posts that an editor looks at; without it those fail. Resuming needs
    nothing: a covered post says so itself, and a finished picture is found again by its fingerprint. Only posts that
    something was done for count towards the limit, so that neither a failing post nor a finished one of a read-only feed
    keeps the next run from going on.
    """
    ports, outcomes, done = wiring.ports(), [], 0
    wishes = replace(wishes, only_missing=True)
    for post_id in ports.open_source(source).list_posts():
        if limit is not None and done >= limit:
            break
        outcome = _try(post_id, partial(_cover_one, source, post_id, wishes, dry_run, run, ask))
        done += outcome.is_work
        outcomes.append(outcome)
        if ports.tell:
            ports.tell(outcome)
    return outcomes


def _cover_one(source: str, post_id: str, wishes: Wishes, dry_run: bool, run: Runner,  # type: ignore[type-arg]
               ask: Ask | None) -> Outcome:
    if dry_run:
        article = wiring.ports().open_source(source).read(post_id)
        if not article.cover and wishes.write:
            wiring.ports().open_source(source).check_writable(post_id)
        return Outcome(post_id=post_id, title=article.title, result="kept" if article.cover else "missing")
    if ask and is_reviewed(source, post_id) and not wishes.waive_review:
        article = wiring.ports().open_source(source).read(post_id)
        if wishes.leaves_alone(article.cover) or steps.was_rejected(source, post_id):
            return Outcome(post_id=post_id, title=article.title, result="kept")
        return Outcome(post_id=post_id, title=article.title, result="asked", is_new=ask(post_id, wishes))
    record = cover_post(source, post_id, wishes, run)
    return Outcome(post_id=post_id, title=record.title, result=record.status, record=record)


def _try(post_id: str, cover: Callable[[], Outcome]) -> Outcome:
    try:
        return cover()
    except Superseded:  # not one post's trouble: this process is to do nothing more
        raise
    except OUR_ERRORS as exc:
        return Outcome(post_id=post_id, result="failed", reason=" ".join(str(exc).split()).removeprefix(f"{post_id}: "))
    except Exception as exc:  # one post's trouble, foreseen or not, never stops the others
        log.exception("%s: not foreseen, please report it", post_id)
        return Outcome(post_id=post_id, result="failed", reason=f"{type(exc).__name__}: {' '.join(str(exc).split())}"[:300])


def count_posts(source: str) -> int:
    """How many posts `source` has."""
    return sum(1 for _ in wiring.ports().open_source(source).list_posts())


def list_failures(outcomes: list[Outcome]) -> Iterator[Outcome]:
    """The outcomes that call for a person."""
    return (outcome for outcome in outcomes if outcome.result == "failed")
