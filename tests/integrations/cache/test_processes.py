"""Claims between real processes, on SQLite and on a real Redis."""

import signal
import subprocess
import sys
import time

import pytest


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.service("redis"))])
def address(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite={tmp_path / 'covers.sqlite'}"
    from redis import Redis

    url = request.getfixturevalue("redis_server").url
    Redis.from_url(url).flushdb()
    return f"redis={url}"


def start(address, tally, hold_s, work_s) -> subprocess.Popen:
    words = ["-m", "tests.integrations.cache.maker", address, str(tally), str(hold_s), str(work_s)]
    return subprocess.Popen([sys.executable, *words])


def wait_for_lines(tally, count) -> None:
    deadline = time.monotonic() + 20
    while not tally.exists() or tally.read_text().count("\n") < count:
        assert time.monotonic() < deadline, f"{tally} has not {count} lines after 20 s"
        time.sleep(0.02)


def test_processes_that_want_the_same_cover_make_it_once(address, tmp_path):
    tally = tmp_path / "tally"
    makers = [start(address, tally, hold_s=20, work_s=0.5) for _ in range(3)]
    assert [maker.wait(timeout=40) for maker in makers] == [0, 0, 0]
    assert tally.read_text() == "made\n"


def test_a_killed_holder_is_replaced_when_its_time_is_up(address, tmp_path):
    tally, hold_s = tmp_path / "tally", 2.0
    killed = start(address, tally, hold_s, work_s=60)
    wait_for_lines(tally, 1)
    taken = time.monotonic()
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=10)
    heir = start(address, tally, hold_s, work_s=0)
    assert heir.wait(timeout=40) == 0
    assert tally.read_text() == "made\nmade\n"
    assert time.monotonic() - taken > hold_s - 0.5
