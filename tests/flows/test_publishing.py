"""Writing into a post: one process at a time, and always so that it can be taken back, whatever dies on the way."""

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from flows import publishing, wiring
from flows.cover_post import cover_post
from flows.errors import Superseded
from flows.record import Wishes
from flows.undo import undo
from integrations.errors import Unavailable
from tests.flows.conftest import ENGLISH

SOURCE, POST = "site:blog", "a.md"


class Killed(BaseException):
    """What nobody catches, as kill -9."""


@pytest.fixture
def blog(site, monkeypatch):
    site.settle(monkeypatch, CACHE__HOLD_S="0.5", SITES=json.dumps(
        {"blog": {"kind": "markdown", "folder": str(site.posts), "out": str(site.folder / "covers")}}))
    site.post(POST, ENGLISH)
    wiring.use(None)
    wiring.ports().generator = site.painter
    return site


def told():
    return [entry.happening for entry in wiring.ports().ledger.entries(site=SOURCE, post_id=POST)]


@contextmanager
def dying_before(happening):
    """The process dies as it would tell the ledger of this."""
    ledger = wiring.ports().ledger
    append = ledger.append

    def die(entry):
        if entry.happening == happening:
            raise Killed
        return append(entry)

    ledger.append = die
    try:
        with pytest.raises(Killed):
            yield
    finally:
        ledger.append = append


def test_the_ledger_hears_of_a_cover_before_the_post_is_changed_and_after(blog):
    assert cover_post(SOURCE, POST, Wishes()).written
    assert told() == ["painted", "writing", "published"]


def test_a_writer_that_dies_before_the_ledger_heard_of_it_has_changed_nothing(blog):
    with dying_before("writing"):
        cover_post(SOURCE, POST, Wishes())
    assert (blog.posts / POST).read_text() == ENGLISH
    assert cover_post(SOURCE, POST, Wishes()).written
    assert told() == ["painted", "writing", "published"]


@pytest.mark.parametrize("look_again", [True, False])
def test_what_a_writer_put_into_the_post_and_did_not_live_to_tell_can_be_taken_back(blog, look_again):
    with dying_before("published"):
        cover_post(SOURCE, POST, Wishes())
    assert "cover" in (blog.posts / POST).read_text()
    if look_again:  # the run that the sweep starts in its place
        assert cover_post(SOURCE, POST, Wishes()).status == "kept"
        assert told()[-1] == "published"
    assert undo(SOURCE, POST)
    assert (blog.posts / POST).read_text() == ENGLISH
    assert told() == ["painted", "writing", "published", "restored"]


def test_a_cover_that_somebody_chose_after_the_writer_died_is_none_of_ours(blog):
    with dying_before("published"):
        cover_post(SOURCE, POST, Wishes())
    (written,) = wiring.ports().ledger.entries(happening="writing")
    post = blog.posts / POST
    post.write_text(post.read_text().replace(written.content["cover"], "/mine.png"))
    assert cover_post(SOURCE, POST, Wishes()).status == "kept"
    assert "published" not in told()


def test_a_writer_that_is_between_the_post_and_the_ledger_is_not_spoken_for(blog):
    """As a backlog comes by just then, and finds the post covered."""
    with dying_before("published"):
        cover_post(SOURCE, POST, Wishes())
    (untold,) = wiring.ports().ledger.entries(happening="writing")
    is_writing = threading.Event()

    def write():
        with publishing.alone_at(SOURCE, POST):
            is_writing.set()
            time.sleep(0.3)
            wiring.ports().ledger.append(replace(untold, happening="published", number=0, at=0.0))

    writer = threading.Thread(target=write)
    writer.start()
    is_writing.wait(5)
    publishing.settle(SOURCE, POST)
    writer.join()
    assert told().count("published") == 1


def test_two_processes_never_write_into_a_post_at_once_and_a_dead_one_is_not_waited_for_long(blog):
    with publishing.alone_at(SOURCE, POST), publishing.alone_at(SOURCE, "b.md"):
        wiring.ports().settings.cache.__dict__["hold_s"] = 0.1
        with pytest.raises(Unavailable, match="another process has been writing into it"), publishing.alone_at(SOURCE, POST):
            pass
    with publishing.alone_at(SOURCE, POST):
        pass


def test_a_run_that_was_taken_for_dead_writes_nothing_any_more(blog):
    def superseded():
        raise Superseded("another run was started in its place")

    wiring.ports().fence = superseded
    with pytest.raises(Superseded):
        cover_post(SOURCE, POST, Wishes())
    assert (blog.painter.calls, (blog.posts / POST).read_text()) == (0, ENGLISH)
    wiring.ports().fence = None
    assert cover_post(SOURCE, POST, Wishes()).written


def test_a_run_that_is_taken_for_dead_after_it_has_painted_does_not_write(blog):
    asked = []

    def superseded_later():
        asked.append(1)
        if len(asked) > 1:
            raise Superseded("another run was started in its place")

    wiring.ports().fence = superseded_later
    with pytest.raises(Superseded):
        cover_post(SOURCE, POST, Wishes(force=True))
    assert (blog.painter.calls, (blog.posts / POST).read_text()) == (1, ENGLISH)
