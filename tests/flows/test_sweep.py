"""What the sweep does about each kind of run, and how often."""

import time
from dataclasses import replace

import pytest

from flows.errors import BadInput
from flows.fleet_settings import FleetSettings
from flows.site_settings import ReviewSettings
from flows.sweep import LEFT, OVER_BUDGET, PASSING, Sweep, pause_s
from integrations.errors import NotFound, Unavailable
from tests.flows.fleets import MemoryFleet

SETTINGS = FleetSettings(silent_s=60, attempts=3, pause_s=600)
HOUR, DAY = 3600, 86_400
NOON = time.time() // DAY * DAY + DAY / 2


@pytest.fixture
def fleet(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOON)
    return MemoryFleet()


def sweep(fleet, after_s=0.0, version="v1", review=None, settings=SETTINGS):
    def version_of(source, post_id):
        if isinstance(version, Exception):
            raise version
        return version

    return Sweep(fleet=fleet, settings=settings, version_of=version_of, review_of=lambda _: review, now=NOON + after_s).sweep()


def results(findings):
    return [finding.result for finding in findings]


def at_work(fleet):
    return [run for run in fleet.runs.values() if run.state == "at work"]


def test_a_silent_run_is_ended_and_started_again_once_however_often_is_swept(fleet):
    dead = fleet.start(tags=["tenant:acme"])
    assert results(sweep(fleet, 61)) == ["started again"]
    (again,) = at_work(fleet)
    assert (fleet.find(dead).state, fleet.find(dead).message) == ("crashed", "no sign of life for 61 s")
    assert again.parameters == fleet.find(dead).parameters
    assert "tenant:acme" in again.tags
    fleet.signs[again.id] = NOON + 60
    assert results(sweep(fleet, 62)) == results(sweep(fleet, 100)) == []
    assert len(fleet.runs) == 2


def test_a_run_that_gives_signs_of_life_is_left_alone(fleet):
    run = fleet.start()
    fleet.signs[run] = NOON + 9 * HOUR
    assert sweep(fleet, 9 * HOUR + 59) == []


def test_a_silent_run_that_was_being_cancelled_is_ended_and_not_wanted_again(fleet):
    run = fleet.start()
    fleet.move(run, "cancelling")
    assert results(sweep(fleet, 61)) == ["ended"]
    assert (fleet.find(run).state, len(fleet.runs)) == ("cancelled", 1)


@pytest.mark.parametrize(("state", "message"), [("crashed", "killed"), ("failed", f"{PASSING}cms: not now")])
def test_what_may_pass_is_tried_so_often_with_longer_pauses_and_then_left(fleet, state, message):
    fleet.move(fleet.start(), state, message)
    for tries, pause in enumerate([0, 600, 2400]):
        assert (sweep(fleet, pause - 1) if pause else []) == []
        assert results(sweep(fleet, pause)) == ["started again"]
        (run,) = at_work(fleet)
        fleet.move(run.id, state, message)
        assert len(fleet.runs) == tries + 2
    (left,) = sweep(fleet, 5 * DAY)
    assert (left.result, left.reason) == ("left", f"fleet.attempts is 3, and so often it was tried again: {message}")
    assert LEFT in fleet.find(left.run.id).tags
    assert sweep(fleet, 8 * DAY) == []


def test_another_version_of_the_post_is_tried_anew(fleet):
    fleet.move(fleet.start(), "crashed")
    assert results(sweep(fleet, settings=SETTINGS.model_copy(update={"attempts": 1}))) == ["started again"]
    (run,) = at_work(fleet)
    fleet.move(run.id, "crashed")
    once = SETTINGS.model_copy(update={"attempts": 1})
    assert results(sweep(fleet, 600, settings=once)) == ["left"]
    assert results(sweep(fleet, 600, version="v2", settings=once)) == ["started again"]


@pytest.mark.parametrize("message", [
    "Flow run encountered an exception: CoverRejected: a.md: words.body says block", "", "Flow run encountered an exception: "
    "BadInput: it says Flow run encountered an exception: Unavailable: x", "Flow run encountered an exception: Refused: 403"])
def test_what_will_not_pass_by_itself_is_left_alone(fleet, message):
    fleet.move(fleet.start(), "failed", message)
    assert sweep(fleet, DAY) == []


def test_a_post_over_budget_goes_on_the_next_day_and_each_day(fleet):
    fleet.move(fleet.start(), "failed", f"{OVER_BUDGET}blog: 9 s of painting today")
    assert sweep(fleet, DAY / 2 - 1) == []
    for day in range(1, 6):
        assert results(sweep(fleet, day * DAY)) == ["started again"]
        (run,) = at_work(fleet)
        fleet.runs[run.id] = replace(run, state="failed", message=f"{OVER_BUDGET}again", since=NOON + day * DAY)


def test_a_backlog_that_died_goes_on_so_often_a_day(fleet):
    settings = SETTINGS.model_copy(update={"attempts": 1})
    for expected in ("started again", "left"):
        fleet.move(fleet.start(parameters={"source": "site:blog"}), "crashed")
        assert expected in results(sweep(fleet, 1, version=AssertionError("no post, no version"), settings=settings))


@pytest.mark.parametrize(("trouble", "result"), [
    (NotFound("posts: a.md does not exist"), "left"), (BadInput("source: 'site:old' is not one of the configured sites"), "left"),
    (Unavailable("wordpress: not now"), "trouble")])
def test_one_posts_trouble_is_told_and_stops_no_other(fleet, trouble, result):
    fleet.move(fleet.start(), "crashed")
    fleet.move(fleet.start(parameters={"source": "site:blog"}), "crashed")
    findings = sweep(fleet, version=trouble)
    assert results(findings) == [result, "started again"]
    assert findings[0].reason == str(trouble)


def test_a_run_that_was_started_by_hand_is_ended_and_told_of(fleet):
    run = fleet.start(can_start_again=False)
    assert results(sweep(fleet, 61)) == ["left"]
    assert (fleet.find(run).state, len(fleet.runs)) == ("crashed", 1)


# Reviews


def waiting(fleet, question="review-1", **wishes):
    run = fleet.start(parameters={"source": "site:blog", "post_id": "a.md", "wishes": wishes})
    fleet.move(run, "waiting", question=question)
    return run


def test_an_open_question_is_reminded_of_once(fleet):
    run, review = waiting(fleet), ReviewSettings(remind_hours=24)
    assert sweep(fleet, 24 * HOUR - 1, review=review) == []
    (finding,) = sweep(fleet, 25 * HOUR, review=review)
    assert (finding.result, finding.reason) == ("reminded", "review-1 has been open for 25 hours")
    assert sweep(fleet, 30 * HOUR, review=review) == []
    fleet.move(run, "waiting", question="review-2")
    assert results(sweep(fleet, 25 * HOUR, review=review)) == ["reminded"]


def test_without_an_answer_nothing_is_published_unless_the_site_says_so(fleet):
    fleet.move(waiting(fleet), "failed", "The flow was paused and never resumed.")
    (finding,) = sweep(fleet, 49 * HOUR, review=ReviewSettings())
    assert (finding.result, len(fleet.runs)) == ("unanswered", 1)
    assert results(sweep(fleet, 49 * HOUR)) == ["unanswered"]


def test_a_site_that_publishes_unseen_starts_one_run_that_respects_what_came_meanwhile(fleet):
    fleet.move(waiting(fleet, seed=3), "failed", "The flow was suspended and never resumed.")
    review = ReviewSettings(on_no_answer="publish")
    assert results(sweep(fleet, 49 * HOUR, review=review)) == ["published unseen"]
    (run,) = at_work(fleet)
    assert run.parameters["wishes"] == {"seed": 3, "waive_review": True, "only_missing": True}
    fleet.signs[run.id] = NOON + 49 * HOUR
    assert sweep(fleet, 49 * HOUR, review=review) == []


def test_pauses_grow_and_end_within_the_time_that_the_sweep_looks_back():
    assert [pause_s(tries, 600) for tries in range(5)] == [0, 600, 2400, 9600, 38400]
