import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from integrations.cache.sqlite import SqliteCoverCache
from integrations.errors import Unavailable
from tests.integrations.cache.covers import FINGERPRINT, a_cover


@pytest.fixture
def path(tmp_path):
    return tmp_path / "covers.sqlite"


def set_aside(path):
    return [file for file in path.parent.glob("covers.sqlite.corrupt-*") if not file.name.endswith(("-wal", "-shm"))]


@pytest.mark.parametrize("record", [b"{", b"\xff", "text", 7, 1.5])
def test_a_damaged_record_is_a_miss_and_can_be_replaced(path, record):
    cache = SqliteCoverCache(path)
    cache.remember(a_cover())
    with sqlite3.connect(path) as db:
        db.execute("UPDATE covers SET record = ?", (record,))
    assert cache.find(FINGERPRINT) is None
    cache.remember(a_cover())
    assert cache.find(FINGERPRINT) == a_cover()


def test_a_file_that_is_no_database_is_set_aside_and_started_anew(path, caplog):
    path.write_bytes(b"this was a text file\n" * 100)
    cache = SqliteCoverCache(path)
    assert cache.find(FINGERPRINT) is None
    assert [file.read_bytes()[:20] for file in set_aside(path)] == [b"this was a text file"]
    assert f"{path} is damaged (file is not a database); it was set aside as" in caplog.text
    cache.remember(a_cover())
    assert cache.find(FINGERPRINT) == a_cover()


def test_a_database_with_damaged_pages_is_set_aside(path):
    cache = SqliteCoverCache(path)
    for number in range(200):
        cache.remember(a_cover(f"{number:064x}"))
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    assert cache.find(f"{7:064x}") is None
    assert len(set_aside(path)) == 1


@pytest.mark.parametrize("ask", ["find", "forget", "claim", "remember"])
def test_every_question_survives_a_damaged_file(path, ask):
    path.write_bytes(os.urandom(8192))
    cache = SqliteCoverCache(path)
    if ask == "claim":
        with cache.claim(FINGERPRINT, 10) as is_ours:
            assert is_ours is True
    else:
        assert getattr(cache, ask)(a_cover() if ask == "remember" else FINGERPRINT) is not False
    assert len(set_aside(path)) == 1


def test_threads_that_meet_a_damaged_file_together_set_it_aside_once(path):
    path.write_bytes(os.urandom(8192))
    cache, failures = SqliteCoverCache(path), []

    def use(number: int) -> None:
        try:
            cache.remember(a_cover(f"{number:064x}"))
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(set_aside(path)) == 1
    assert all(cache.find(f"{number:064x}") for number in range(8))


def test_an_empty_file_is_a_new_database(path):
    path.touch()
    cache = SqliteCoverCache(path)
    cache.remember(a_cover())
    assert cache.find(FINGERPRINT) == a_cover()
    assert set_aside(path) == []


def test_a_deleted_file_is_made_again(path):
    cache = SqliteCoverCache(path)
    cache.remember(a_cover())
    for file in path.parent.iterdir():
        file.unlink()
    assert cache.find(FINGERPRINT) is None
    cache.remember(a_cover())
    assert cache.find(FINGERPRINT) == a_cover()


def test_the_journal_is_a_wal_so_readers_do_not_wait_for_a_writer(path):
    cache = SqliteCoverCache(path, busy_timeout_s=0.1)
    cache.remember(a_cover())
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    assert cache.find(FINGERPRINT) == a_cover()
    writer.close()


def test_a_database_that_stays_locked_is_unavailable(path):
    cache = SqliteCoverCache(path, busy_timeout_s=0.1)
    cache.remember(a_cover())
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match=r"covers\.sqlite: database is locked"):
        cache.remember(a_cover())
    writer.close()


def test_a_release_that_fails_does_not_spoil_the_work(path, caplog):
    cache = SqliteCoverCache(path, busy_timeout_s=0.1)
    with cache.claim(FINGERPRINT, 10):
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
    writer.close()
    assert f"the claim on {FINGERPRINT} was not released and ends with its hold time" in caplog.text


@pytest.mark.parametrize("obstacle", ["a folder", "a file in the way"])
def test_a_place_that_cannot_hold_a_database_is_unavailable(path, obstacle):
    if obstacle == "a folder":
        path.mkdir()
    else:
        path.write_text("")
        path = path / "covers.sqlite"
    with pytest.raises(Unavailable, match=r"^cache: .*covers\.sqlite"):
        SqliteCoverCache(path).find(FINGERPRINT)


def test_building_one_touches_no_file(path):
    SqliteCoverCache(path)
    assert list(path.parent.iterdir()) == []


def test_processes_that_start_on_a_new_file_together_all_succeed(path):
    program = (
        "import sys; from pathlib import Path; from integrations.cache.sqlite import SqliteCoverCache;"
        "from tests.integrations.cache.covers import a_cover;"
        "[SqliteCoverCache(Path(sys.argv[1])).remember(a_cover(f'{int(sys.argv[2]):032x}{i:032x}')) for i in range(20)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), str(number)]) for number in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0, 0]
    assert sqlite3.connect(path).execute("SELECT count(*) FROM covers").fetchone() == (80,)
