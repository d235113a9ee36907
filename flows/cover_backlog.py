"""Every post without a cover gets one; one bad post never stops the rest; a second run goes on where the first stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from flows import wiring
from flows.cover_post import Runner, cover_post, plainly
from flows.errors import FlowError
from flows.record import CoverRecord, Wishes
from generator.errors import GeneratorError
from integrations.errors import IntegrationError
from prompts.errors import PromptError

OUR_ERRORS = (FlowError, IntegrationError, GeneratorError, PromptError)
"""Everything that can go wrong with one post and says why; anything else is a bug and may be seen as one."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one post. reason: of a failure or of being left alone."""

    post_id: str
    result: Literal["covered", "kept", "failed", "missing"]
    title: str = ""
    reason: str = ""
    record: CoverRecord | None = None


def cover_backlog(source: str, wishes: Wishes, *, limit: int | None = None, dry_run: bool = False,
                  tell: Callable[[Outcome], None] = lambda outcome: None, run: Runner = plainly) -> list[Outcome]:  # type: ignore[type-arg]
    """Cover the posts of `source` that have none, at most `limit` of them, telling each outcome as it comes.

    dry_run: only say which are missing. Resuming needs nothing: a covered post says so itself, and a finished picture
    is found again by its fingerprint.
    """
    outcomes = []
    worked = 0
    for post_id in wiring.ports().open_source(source).list_posts():
        if limit is not None and worked >= limit:
            break
        outcome = _cover_one(source, post_id, wishes, dry_run, run)
        worked += outcome.result != "kept"
        outcomes.append(outcome)
        tell(outcome)
    return outcomes


def _cover_one(source: str, post_id: str, wishes: Wishes, dry_run: bool, run: Runner) -> Outcome:  # type: ignore[type-arg]
    try:
        if dry_run:
            article = wiring.ports().open_source(source).read(post_id)
            return Outcome(post_id=post_id, title=article.title, result="kept" if article.cover else "missing")
        record = cover_post(source, post_id, wishes, run)
    except OUR_ERRORS as exc:
        return Outcome(post_id=post_id, result="failed", reason=str(exc))
    return Outcome(post_id=post_id, title=record.title, result=record.status, record=record)


def count_posts(source: str) -> int:
    """How many posts `source` has."""
    return sum(1 for _ in wiring.ports().open_source(source).list_posts())


def list_failures(outcomes: list[Outcome]) -> Iterator[Outcome]:
    """The outcomes that call for a person."""
    return (outcome for outcome in outcomes if outcome.result == "failed")
