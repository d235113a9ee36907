"""Prefect lets a run that it called Crashed run on, or even begin; ours does nothing more then."""

import pytest

from flows.errors import Superseded
from integrations.errors import Unavailable
from tests.flows.fleets import POST, OnPrefect


@pytest.fixture(scope="module")
def desk(request):
    return OnPrefect(request.getfixturevalue("prefect_server").api_url)


@pytest.fixture
def check(prefect_server):
    from flows.fencing import check_current
    from flows.prefect_server import PrefectServer

    return lambda run_id: check_current(PrefectServer(prefect_server.api_url), run_id)


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_a_run_at_work_goes_on_and_one_that_was_taken_for_dead_does_not(desk, check):
    run_id = desk.start()
    check(run_id)
    desk.move(run_id, "crashed", "silent")
    with pytest.raises(Superseded, match="is Crashed by now"):
        check(run_id)


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_a_run_that_wakes_up_after_another_was_started_in_its_place_does_nothing(desk, check):
    run_id = desk.start()
    desk.move(run_id, "crashed", "silent")
    dead = desk.find(run_id)
    desk.move(run_id, "at work")  # as Prefect allows
    check(run_id)
    follower = desk.fleet.start_again(dead, f"after:{run_id}", POST, [])
    with pytest.raises(Superseded, match=f"{follower} was started in its place"):
        check(run_id)


def test_where_nobody_can_be_asked_it_is_worth_another_try():
    from flows.fencing import check_current
    from flows.prefect_server import PrefectServer

    with pytest.raises(Unavailable):
        check_current(PrefectServer("http://127.0.0.1:1/api", timeout_s=1), "5f9c2a4e-0000-4000-8000-000000000000")
