"""The sweep: runs that died are ended and started again, so are failures that may have passed, and reviews are not forgotten.

Nothing here knows Prefect: flows/sweep_prefect.py is the Fleet of a Prefect server. Every step can be done twice.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from flows.errors import FlowError
from flows.fleet_settings import FleetSettings
from flows.site_settings import ReviewSettings
from integrations.errors import IntegrationError, Refused

DAY_S = 86_400
MOST_TROUBLES = 3
"""Of one source in one sweep: a CMS that is away would be waited for once for each post."""
SWEEP_EVERY_S = 300
"""As it is scheduled."""
LOOK_BACK_S = 7 * DAY_S
"""What ended longer ago is left alone; longer than all pauses between attempts together."""
PASSING = "Flow run encountered an exception: Unavailable: "
OVER_BUDGET = "Flow run encountered an exception: OverBudget: "
SLOT_LOST = "Deployment concurrency slot lost"
"""Of a run that nobody cancelled: the server did, which forgot who holds its slots as it was started again."""
UNANSWERED = re.compile(r"The flow was \w+ and never resumed\.")
"""How Prefect tells of a run that failed, and of one that waited for an answer in vain."""
LEFT, JOB = "left", "job:"
"""The tag of a run that nothing follows any more, and how the tag begins that names the first run of a chain."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a flow that covers posts. since: when it came into its state, seconds since the epoch.

    question: which answer it waits for. can_start_again: whether there is a deployment that it can be started from.
    """

    id: str
    state: Literal["at work", "cancelling", "waiting", "crashed", "failed"]
    since: float
    message: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    question: str = ""
    can_start_again: bool = True

    @property
    def source(self) -> str:
        """Where its posts are from."""
        return str(self.parameters.get("source", ""))

    @property
    def post_id(self) -> str:
        """The one post that it is about, "" for a whole backlog."""
        return str(self.parameters.get("post_id", ""))


class Fleet(Protocol):
    """The runs of all workers. Every method raises Unavailable, Refused."""

    def list_runs(self, since: float) -> Sequence[Run]:
        """Those that are not over, and those that crashed or failed at `since` or later; also those that only the server's own
        forgetfulness has cancelled, as crashed."""
        ...

    def last_sign(self, run: Run) -> float:
        """When anything was last heard of the run, seconds since the epoch."""
        ...

    def list_started(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys under which a run was started."""
        ...

    def count_tagged(self, tag: str) -> int:
        """How many runs have this tag."""
        ...

    def end(self, run: Run, state: Literal["crashed", "cancelled"], reason: str) -> bool:
        """End it, unless it has moved on by now: then False."""
        ...

    def start_again(self, run: Run, key: str, parameters: Mapping[str, Any], tags: Sequence[str]) -> str:
        """The one run of this key, with these parameters, the run's own tags, those given and the first one's id; its id."""
        ...

    def leave(self, run: Run) -> None:
        """Mark it as one that nothing follows any more."""
        ...

    def remind(self, run: Run) -> None:
        """Tell whoever listens that the run still waits, and mark it as told."""
        ...


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the sweep did about a run, or why it left it."""

    run: Run
    result: Literal["started again", "ended", "reminded", "published unseen", "unanswered", "left", "trouble"]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One look at all runs at the moment `now`. version_of: of a post of a source; review_of: how a source is reviewed, if so."""

    fleet: Fleet
    settings: FleetSettings
    version_of: Callable[[str, str], str]
    review_of: Callable[[str], ReviewSettings | None]
    now: float

    def sweep(self) -> list[Finding]:
        """Do what is due. One run's trouble never stops the others, but after some of one source the rest of it is left to the
        next sweep. Raises Unavailable where the runs cannot be listed.
        """
        runs = self.fleet.list_runs(self.now - LOOK_BACK_S)
        over = [run for run in runs if run.state in ("crashed", "failed")]
        followed = self.fleet.list_started([key_after(run.id) for run in over])
        findings: list[Finding] = []
        troubles: Counter[str] = Counter()
        for run in runs:
            if key_after(run.id) in followed or troubles[run.source] >= MOST_TROUBLES:
                continue
            if finding := self._look_and_mark(run):
                findings.append(finding)
                troubles[run.source] += finding.result == "trouble"
        return findings

    def _look_and_mark(self, run: Run) -> Finding | None:
        """Whoever waits for a run that is left hears of it by its mark."""
        finding = self._look(run)
        if finding and finding.result in ("left", "unanswered") and LEFT not in run.tags:
            try:
                self.fleet.leave(run)
            except IntegrationError as exc:
                return Finding(run=run, result="trouble", reason=str(exc))
        return finding

    def _look(self, run: Run) -> Finding | None:
        try:
            match run.state:
                case "waiting":
                    return self._remind(run)
                case "at work" | "cancelling":
                    return self._bury(run)
                case "failed" if UNANSWERED.search(run.message):
                    return self._settle(run)
                case "failed" if run.message.startswith(OVER_BUDGET):
                    return self._start(run, []) if self.now // DAY_S > run.since // DAY_S else None
                case "failed" if not run.message.startswith(PASSING):
                    return None
            return self._try_again(run)
        except (Refused, FlowError) as exc:
            return Finding(run=run, result="left", reason=str(exc))
        except IntegrationError as exc:
            return Finding(run=run, result="trouble", reason=str(exc))

    def _bury(self, run: Run) -> Finding | None:
        """End a run that gives no sign of life; one that was being cancelled is not wanted any more."""
        if self.now - run.since < self.settings.silent_s:
            return None
        silent_s = self.now - self.fleet.last_sign(run)
        if silent_s < self.settings.silent_s:
            return None
        reason = f"no sign of life for {silent_s:.0f} s"
        if not self.fleet.end(run, "cancelled" if run.state == "cancelling" else "crashed", reason):
            return None
        if run.state == "cancelling":
            return Finding(run=run, result="ended", reason=reason)
        return self._try_again(replace(run, state="crashed", since=self.now, message=reason))

    def _try_again(self, run: Run) -> Finding | None:
        """So many times for one version of a post, with longer and longer pauses."""
        version = self.version_of(run.source, run.post_id) if run.post_id else str(run.since // DAY_S)
        tag = f"again:{_digest(run.source, run.post_id, version)}"
        tries = self.fleet.count_tagged(tag)
        if tries >= self.settings.attempts:
            reason = f"fleet.attempts is {self.settings.attempts}, and so often it was tried again: {run.message}"
            return Finding(run=run, result="left", reason=reason)
        return self._start(run, [tag]) if self.now >= run.since + pause_s(tries, self.settings.pause_s) else None

    def _start(self, run: Run, tags: Sequence[str]) -> Finding:
        if not run.can_start_again:
            return Finding(run=run, result="left", reason=f"it was started by hand: {run.message}")
        started = self.fleet.start_again(run, key_after(run.id), run.parameters, tags)
        return Finding(run=run, result="started again", reason=f"as {started}: {run.message}")

    def _remind(self, run: Run) -> Finding | None:
        review = self.review_of(run.source)
        if review is None or self.now - run.since < review.remind_hours * 3600 or reminded(run) in run.tags:
            return None
        self.fleet.remind(run)
        hours = (self.now - run.since) / 3600
        return Finding(run=run, result="reminded", reason=f"{run.question} has been open for {hours:.0f} hours")

    def _settle(self, run: Run) -> Finding:
        """What becomes of a post that nobody has looked at. only_missing: a cover or a rejection that came meanwhile stays."""
        review = self.review_of(run.source)
        if review is None or review.on_no_answer == "leave" or not run.can_start_again:
            return Finding(run=run, result="unanswered", reason="nothing is published: review.on_no_answer is leave")
        wishes = {**(run.parameters.get("wishes") or {}), "waive_review": True, "only_missing": True}
        started = self.fleet.start_again(run, key_after(run.id), {**run.parameters, "wishes": wishes}, [])
        return Finding(run=run, result="published unseen", reason=f"as {started}: review.on_no_answer is publish")


def following(tags: Iterable[str], run_id: str) -> list[str]:
    """The tags of the run that follows this one: what is about the order stays, and the chain's first run is named."""
    kept = [tag for tag in tags if not tag.startswith(("again:", "reminded:")) and tag != LEFT]
    return kept if any(tag.startswith(JOB) for tag in kept) else [*kept, f"{JOB}{run_id}"]


def may_pass(message: str) -> bool:
    """Whether a run that failed so is started again by itself."""
    return message.startswith((PASSING, OVER_BUDGET))


def pause_s(tries: int, first_s: float) -> float:
    """How long a run that failed waits for the next try: not at all, then `first_s`, then four times as long each time."""
    return first_s * 4.0 ** (tries - 1) if tries else 0.0


def reminded(run: Run) -> str:
    """The tag of a run whose open question was reminded of."""
    return f"reminded:{run.question}"


def key_after(run_id: str) -> str:
    """Under which the run that follows this one is started: the same, however many sweeps look at it."""
    return f"after:{run_id}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
