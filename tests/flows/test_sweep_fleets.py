"""What a Fleet promises, on the local twin and on a real Prefect server."""

import time
import uuid

import pytest

from integrations.errors import NotFound
from tests.flows.fleets import POST, InMemory, OnPrefect

ON_PREFECT = pytest.param("prefect", marks=[pytest.mark.slow, pytest.mark.service("prefect")])


@pytest.fixture(scope="module", params=["memory", ON_PREFECT])
def desk(request):
    return InMemory() if request.param == "memory" else OnPrefect(request.getfixturevalue("prefect_server").api_url)


@pytest.mark.parametrize("state", ["at work", "waiting", "cancelling", "crashed", "failed"])
def test_a_run_is_listed_with_its_state_and_what_it_is_about(desk, state):
    begun = time.time() - 1
    run_id = desk.start(tags=["tenant:acme"])
    desk.move(run_id, state, "why", "review-1")
    run = desk.find(run_id)
    assert (run.state, run.source, run.post_id, run.tags) == (state, POST["source"], POST["post_id"], {"tenant:acme"})
    assert (run.message, run.question, run.can_start_again) == ("why", "review-1", True)
    assert begun < run.since < time.time() + 1


def test_runs_that_are_over_are_listed_for_a_while_and_those_that_went_well_never(desk):
    crashed, done = desk.start(), desk.start()
    desk.move(crashed, "crashed")
    desk.move(done, "succeeded")
    assert crashed in {run.id for run in desk.fleet.list_runs(time.time() - 60)}
    assert crashed not in {run.id for run in desk.fleet.list_runs(time.time() + 60)}
    assert done not in {run.id for run in desk.fleet.list_runs(0)}


def test_the_newest_log_is_a_sign_of_life(desk):
    run = desk.find(desk.start())
    assert desk.fleet.last_sign(run) < time.time() + 60
    desk.say(run.id, "step 3 of 8")
    assert desk.fleet.last_sign(run) > 1900000000


def test_a_run_is_ended_once_and_not_if_it_has_moved_on(desk):
    moved, dead = desk.find(desk.start()), desk.find(desk.start())
    time.sleep(0.01)
    desk.move(moved.id, "failed", "by itself")
    assert desk.fleet.end(moved, "crashed", "silent") is False
    assert desk.find(moved.id).message == "by itself"
    assert desk.fleet.end(dead, "crashed", "silent") is True
    assert desk.fleet.end(dead, "crashed", "silent") is False
    assert (desk.find(dead.id).state, desk.find(dead.id).message) == ("crashed", "silent")


def test_a_run_that_was_being_cancelled_can_be_ended(desk):
    run_id = desk.start()
    desk.move(run_id, "cancelling")
    assert desk.fleet.end(desk.find(run_id), "cancelled", "silent") is True
    assert run_id not in {run.id for run in desk.fleet.list_runs(0)}


def test_one_key_starts_one_run_with_the_tags_and_parameters_that_it_should_have(desk):
    key, tag = f"after:{uuid.uuid4()}", f"again:{uuid.uuid4()}"
    run = desk.find(desk.start(tags=["tenant:acme", "again:old", "reminded:review-1"]))
    assert desk.fleet.list_started([key, "other"]) == set()
    started = desk.fleet.start_again(run, key, {**POST, "wishes": {"force": True}}, [tag])
    assert desk.fleet.start_again(run, key, POST, [tag]) == started != run.id
    assert (desk.fleet.list_started([key, "other"]), desk.fleet.count_tagged(tag)) == ({key}, 1)
    desk.move(started, "failed")
    again = desk.find(started)
    first = f"job:{run.id}"
    assert (again.tags, again.parameters) == ({"tenant:acme", tag, first}, {**POST, "wishes": {"force": True}})
    third = desk.fleet.start_again(again, f"{key}:2", POST, [])
    desk.move(third, "failed")
    assert desk.find(third).tags == {"tenant:acme", first}


def test_a_run_that_is_left_is_marked_and_what_follows_it_all_the_same_is_not(desk):
    run_id = desk.start()
    desk.move(run_id, "crashed")
    desk.fleet.leave(desk.find(run_id))
    assert desk.find(run_id).tags == {"left"}
    desk.move(follower := desk.fleet.start_again(desk.find(run_id), f"after:{run_id}", POST, []), "failed")
    assert desk.find(follower).tags == {f"job:{run_id}"}


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_a_run_that_only_the_servers_forgetfulness_has_cancelled_is_dead_and_one_that_a_person_has_is_not(prefect_server):
    desk = OnPrefect(prefect_server.api_url)
    lost, unwanted = desk.start(), desk.start()
    desk.move(lost, "cancelled", "Deployment concurrency slot lost during provisioning - no slots available to continue")
    desk.move(unwanted, "cancelled", "by an editor")
    assert desk.find(lost).state == "crashed"
    assert unwanted not in {run.id for run in desk.fleet.list_runs(0)}


def test_a_reminder_marks_the_run(desk):
    run_id = desk.start(tags=["site:blog"])
    desk.move(run_id, "waiting", question="review-2")
    desk.fleet.remind(desk.find(run_id))
    assert desk.find(run_id).tags == {"site:blog", "reminded:review-2"}


def test_a_run_that_is_gone_is_not_found(desk):
    from dataclasses import replace

    gone = replace(desk.find(desk.start()), id=str(uuid.uuid4()))
    with pytest.raises(NotFound, match=f"run {gone.id} is gone"):
        desk.fleet.start_again(gone, f"after:{gone.id}", POST, [])
