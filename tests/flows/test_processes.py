"""Real processes that want the same cover, and some that die on the way, on SQLite and on a real Redis."""

import signal
import time

import pytest

from tests.flows.conftest import CHINESE

HOLD_S = 8


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.service("redis"))])
def shared(request, site, monkeypatch):
    """A site whose cache is of this kind."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
        site.settle(monkeypatch, CACHE__KIND="redis", CACHE__REDIS_URL=url, CACHE__PREFIX=f"{site.folder.name}:")
    site.post("a.md")
    return site


def test_processes_that_want_the_same_cover_paint_it_once(shared):
    processes = [shared.start_counted("cover", "posts/a.md", "--json", slowly=1) for _ in range(2)]
    answers = [shared.finish(process) for process in processes]
    assert [answer.code for answer in answers] == [0, 0]
    assert sorted(answer.record["cached"] for answer in answers) == [False, True]
    assert answers[0].record["files"] == answers[1].record["files"]
    assert shared.count("begun") == 1


def test_a_painter_killed_at_work_is_replaced_when_its_time_is_up(shared, monkeypatch):
    shared.settle(monkeypatch, CACHE__HOLD_S=str(HOLD_S))
    killed = shared.start_counted("cover", "posts/a.md", slowly=60)
    shared.wait_for("begun", 1)
    held = time.monotonic()
    killed.send_signal(signal.SIGKILL)
    shared.finish(killed)
    answer = shared.finish(shared.start_counted("cover", "posts/a.md", "--json"))
    assert (answer.code, answer.record["cached"]) == (0, False)
    assert time.monotonic() - held > HOLD_S - 1
    assert f"another process is painting it; waiting at most {2 * HOLD_S} s" in answer.err
    assert (shared.count("begun"), shared.count("done")) == (2, 1)


def test_a_backlog_stopped_by_ctrl_c_goes_on_where_it_stopped(site):
    posts = [site.post(f"{name}.md", CHINESE.replace("架构", f"架构{name}", 1)) for name in "abcde"]
    stopped = site.start_counted("backlog", "posts", slowly=0.4)
    site.wait_for("begun", 3)
    stopped.send_signal(signal.SIGINT)
    answer = site.finish(stopped)
    assert answer.code == 130
    assert answer.err.endswith("fengmian: stopped; nothing that was finished is lost\n")
    assert "Traceback" not in answer.err
    finished = {post: post.read_bytes() for post in posts if b"cover:" in post.read_bytes()}
    assert 2 <= len(finished) < 5
    began = time.monotonic()
    second = site.finish(site.start_counted("backlog", "posts"))
    assert second.code == 0
    assert f"{5 - len(finished)} covered, {len(finished)} kept" in second.out
    assert "another process" not in second.err
    assert time.monotonic() - began < 60
    assert all(b"cover:" in post.read_bytes() for post in posts)
    assert all(post.read_bytes() == content for post, content in finished.items())
    done = [line for line in site.tally if line.startswith("done")]
    assert (len(done), len(set(done))) == (5, 5)
