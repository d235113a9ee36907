"""What every Tally promises, on a real Redis and on SQLite."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from integrations.errors import Unavailable
from integrations.gateway.tally_redis import RedisTally, make_client
from integrations.gateway.tally_sqlite import SqliteTally

DAY = 86_400


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.service("redis"))])
def tally(request, tmp_path):
    if request.param == "sqlite":
        return SqliteTally(tmp_path / "new folder" / "tally.sqlite")
    return RedisTally(make_client(request.getfixturevalue("redis_server").url, 5), prefix=f"{tmp_path}:")


def test_what_is_within_the_limit_is_admitted_and_counted(tally):
    found = [tally.admit("acme", 3, DAY) for _ in range(4)]
    assert [(each.admitted, each.remaining) for each in found] == [(True, 2), (True, 1), (True, 0), (False, 0)]


def test_the_count_begins_anew_at_the_end_of_its_window(tally):
    reset_s = tally.admit("acme", 1, DAY).reset_s
    assert abs(reset_s - (DAY - time.time() % DAY)) < 5


def test_a_short_window_passes(tally):
    answers = [tally.admit("acme", 1, 1).admitted]
    time.sleep(1.05)
    assert [*answers, tally.admit("acme", 1, 1).admitted] == [True, True]


def test_what_costs_too_much_counts_nothing(tally):
    assert tally.admit("acme", 3, DAY, cost=4).admitted is False
    assert tally.admit("acme", 3, DAY, cost=3).admitted is True


def test_counts_of_different_names_do_not_meet(tally):
    assert [tally.admit(name, 1, DAY).admitted for name in ("acme", "other", "acme")] == [True, True, False]


def test_a_limit_of_nothing_admits_nothing(tally):
    assert tally.admit("acme", 0, DAY).admitted is False


def test_ten_at_once_on_a_limit_of_three_are_exactly_three(tally):
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: tally.admit("acme", 3, DAY).admitted, range(10)))
    assert found.count(True) == 3


def test_whoever_claims_first_has_it_and_the_others_see_it(tally):
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: tally.claim("key", f"value {number}", 30), range(16)))
    (winner,) = (number for number, each in enumerate(found) if each is None)
    assert {each for each in found if each is not None} == {f"value {winner}"}


def test_a_claim_ends_with_its_time(tally):
    tally.claim("key", "first", 0.1)
    time.sleep(0.2)
    assert tally.claim("key", "second", 30) is None


def test_a_released_claim_can_be_taken_again(tally):
    tally.claim("key", "first", 30)
    tally.release("key")
    tally.release("key")
    assert tally.claim("key", "second", 30) is None


def test_what_is_settled_replaces_what_was_claimed(tally):
    tally.claim("key", "first", 30)
    tally.settle("key", "封面 done", 30)
    assert tally.claim("key", "third", 30) == "封面 done"


def test_events_come_back_in_order_and_after_any_of_them(tally):
    for number in range(3):
        tally.append_event("job", "step", {"n": number, "word": "封"})
    events = tally.events_after("job")
    assert [(each.name, each.data) for each in events] == [("step", {"n": number, "word": "封"}) for number in range(3)]
    assert tally.events_after("job", events[0].id) == events[1:]
    assert tally.events_after("job", events[2].id) == []
    assert tally.events_after("other") == []


def test_an_event_that_happens_once_is_kept_once_however_many_tell_it(tally):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: tally.append_event("job", "running", {}, once="running"), range(8)))
    tally.append_event("other", "running", {}, once="running")
    assert (len(tally.events_after("job")), len(tally.events_after("other"))) == (1, 1)


def test_events_without_that_word_may_be_alike(tally):
    tally.append_event("job", "step", {})
    tally.append_event("job", "step", {})
    assert len(tally.events_after("job")) == 2


def test_two_processes_count_together_in_sqlite(tmp_path):
    one, other = SqliteTally(tmp_path / "tally.sqlite"), SqliteTally(tmp_path / "tally.sqlite")
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda number: (one, other)[number % 2].admit("acme", 3, DAY).admitted, range(10)))
    assert found.count(True) == 3


def test_sqlite_sweeps_what_is_past_its_time(tmp_path, clock, monkeypatch):
    monkeypatch.setattr("integrations.gateway.tally_sqlite.SWEEP_EVERY", 1)
    tally = SqliteTally(tmp_path / "tally.sqlite", clock)
    tally.claim("key", "value", 10)
    tally.append_event("job", "step", {})
    clock.now += 2 * DAY
    tally.settle("other", "value", 10)
    assert tally.events_after("job") == []
    assert tally._db.execute("SELECT count(*) FROM kept").fetchone() == (1,)


@pytest.mark.parametrize("ask", [
    lambda tally: tally.admit("a", 1, 60), lambda tally: tally.claim("a", "b", 1), lambda tally: tally.settle("a", "b", 1),
    lambda tally: tally.release("a"), lambda tally: tally.append_event("a", "b", {}), lambda tally: tally.events_after("a")])
@pytest.mark.parametrize("make", [
    lambda folder: RedisTally(make_client("redis://127.0.0.1:1/0", 1)), lambda folder: SqliteTally(folder / "file" / "tally")])
def test_a_tally_out_of_reach_is_unavailable(tmp_path, ask, make):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Unavailable, match=r"^(redis|tally): "):
        ask(make(tmp_path))


def test_a_redis_address_that_is_none_is_refused_without_showing_it():
    with pytest.raises(ValueError, match=r"^redis_url is not a Redis address: it must be redis://host:6379/0"):
        make_client("http://secret@host", 1)
