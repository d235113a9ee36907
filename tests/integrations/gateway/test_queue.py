"""What the durable queue promises, on SQLite and on a real PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from integrations.database import schema
from integrations.errors import Refused, Unavailable
from integrations.gateway.ports import Backlog, Item
from integrations.gateway.queue import SqlQueue
from integrations.gateway.tables import items, open_database


@pytest.fixture
def queue(database, clock):
    return SqlQueue(database, "webhooks", clock)


def an_item(number=1, about="post"):
    return Item(id=f"id {number}", about=about, payload={"words": "封面 😀", "number": number})


def test_an_item_comes_back_whole_and_once(queue):
    assert queue.add([an_item()]) == ["id 1"]
    (taken,) = queue.take(10, 30)
    assert (taken.id, taken.about, taken.payload, taken.attempts) == ("id 1", "post", {"words": "封面 😀", "number": 1}, 0)
    assert queue.take(10, 30) == []


def test_an_item_is_kept_once_even_after_it_was_finished(queue):
    assert sorted(queue.add([an_item(), an_item(), an_item(2)])) == ["id 1", "id 2"]
    queue.finish(["id 1"], "started", "job")
    assert queue.add([an_item()]) == []
    assert [taken.id for taken in queue.take(10, 30)] == ["id 2"]


def test_queues_of_one_table_do_not_meet(database, queue):
    queue.add([an_item()])
    other = SqlQueue(database, "callbacks")
    assert other.take(10, 30) == []
    assert other.add([an_item()]) == ["id 1"]


def test_the_oldest_comes_first(queue, clock):
    for number in (3, 1, 2):
        clock.now += 1
        queue.add([an_item(number)])
    assert [taken.id for taken in queue.take(2, 30)] == ["id 3", "id 1"]


def test_the_backlog_is_all_that_is_not_finished_and_how_long_the_oldest_has_waited(queue, clock):
    assert queue.backlog() == Backlog(count=0, oldest_s=0)
    queue.add([an_item(1)])
    clock.now += 60
    queue.add([an_item(2)])
    queue.take(1, 30)
    queue.postpone(["id 2"], 900)
    assert queue.backlog() == Backlog(count=2, oldest_s=60)
    queue.finish(["id 1"], "started")
    assert queue.backlog() == Backlog(count=1, oldest_s=0)


def test_an_item_whose_worker_died_comes_again_when_its_lease_ends(queue, clock):
    queue.add([an_item()])
    queue.take(10, 30)
    clock.now += 31
    assert [taken.id for taken in queue.take(10, 30)] == ["id 1"]


def test_a_postponed_item_comes_again_later_and_counts_as_an_attempt(queue, clock):
    queue.add([an_item()])
    queue.take(10, 30)
    queue.postpone(["id 1"], 60, "cms: not now")
    clock.now += 59
    assert queue.take(10, 30) == []
    clock.now += 2
    (taken,) = queue.take(10, 30)
    assert taken.attempts == 1
    queue.postpone(["id 1"], 0, counted=False)
    assert queue.take(10, 30)[0].attempts == 1


def test_finished_items_are_forgotten_after_a_while_and_no_others(queue, clock):
    queue.add([an_item(1), an_item(2)])
    queue.finish(["id 1"], "started")
    clock.now += 100
    assert (queue.forget(101), queue.forget(99)) == (0, 1)
    assert queue.add([an_item(1), an_item(2)]) == ["id 1"]


def test_nothing_to_do_is_done_without_asking(queue):
    queue.add([])
    queue.finish([], "started")
    assert queue.take(5, 30) == []


def test_many_at_once_add_one_item(queue):
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: queue.add([an_item()]), range(40)))
    assert sorted(added) == [[]] * (len(added) - 1) + [["id 1"]]


def test_workers_at_once_take_every_item_once(database, clock):
    queue, taken, lock = SqlQueue(database, "webhooks", clock), [], threading.Lock()
    queue.add([an_item(number) for number in range(60)])

    def work(_):
        while found := queue.take(7, 30):
            with lock:
                taken.extend(each.id for each in found)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sorted(taken) == sorted(f"id {number}" for number in range(60))


def test_what_was_added_is_there_for_the_next_process(database_url):
    first, second = open_database(database_url), open_database(database_url)
    SqlQueue(first, "webhooks").add([an_item()])
    first.close()
    assert [taken.id for taken in SqlQueue(second, "webhooks").take(10, 30)] == ["id 1"]
    second.close()


def test_databases_that_start_together_make_the_tables_once(database_url):
    databases = [open_database(database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda database: SqlQueue(database, "webhooks").add([an_item()]), databases))
    assert sorted(added) == [[]] * (len(added) - 1) + [["id 1"]]
    for database in databases:
        database.close()


def test_tables_of_another_version_are_refused(database, database_url):
    SqlQueue(database, "webhooks").take(1, 1)
    with database.begin() as db:
        db.execute(update(schema).values(version=9))
        assert db.scalar(select(items.c.id)) is None
    with pytest.raises(Refused, match=r"has tables of version 9; this is made for 1$"):
        SqlQueue(open_database(database_url), "webhooks").take(1, 1)


@pytest.mark.parametrize("url", ["sqlite:////proc/none/gateway.sqlite", "postgresql+psycopg://u:hidden@127.0.0.1:1/none"])
def test_a_database_out_of_reach_is_unavailable_and_its_password_is_not_shown(url):
    with pytest.raises(Unavailable, match=r"^database: ") as caught:
        SqlQueue(open_database(url), "webhooks").take(1, 1)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "oracle-of-delphi://hidden@host/x"])
def test_what_is_no_address_of_a_database_is_refused_without_showing_it(url):
    with pytest.raises(ValueError, match=r"^database_url is no database address: it must be sqlite:///FILE or ") as caught:
        open_database(url)
    assert "hidden" not in str(caught.value)
