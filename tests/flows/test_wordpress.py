"""The whole story with a real WordPress as the source: from a post's words to its featured image, and back."""

import json
import urllib.request

import pytest

from flows import steps, wiring
from flows.cover_backlog import cover_backlog
from flows.cover_post import cover_post, plainly
from flows.errors import BadInput, CoverRejected
from flows.record import Wishes
from flows.review import Answer
from integrations.errors import NotFound
from integrations.ports import Written
from tests.flows.conftest import CHINESE
from tests.integrations.cms.desks import Blog

pytestmark = pytest.mark.service("wordpress")
WORDS = CHINESE.rpartition("---\n")[2].strip()


@pytest.fixture
def blog(wordpress):
    return Blog(wordpress)


@pytest.fixture
def desk(site, blog):
    """A site whose every source is the blog."""
    wiring.use(None)
    ports = wiring.ports()
    ports.generator = site.painter
    ports.open_source = lambda _: blog.posts
    return ports


@pytest.fixture
def kept_writings():
    """A runner that keeps what writing into the post gave, as a ledger would."""
    kept = []

    def run(step):
        def called(*given):
            result = step(*given)
            if isinstance(result, Written):
                kept.append(result)
            return result
        return called

    run.kept = kept
    return run


def test_a_post_gets_its_cover_without_a_folder_or_an_address_of_ours(desk, blog):
    post = blog.add("云原生架构的设计思路", WORDS)
    record = cover_post("blog", post, Wishes(write=True), plainly)
    assert (record.status, record.written, record.alt_text[:5]) == ("covered", True, "封面插画：")
    webp = record.files[0]
    assert record.cover.endswith(f"/{steps.published_name(webp)}")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(record.cover, timeout=10) as answer:
        assert answer.read() == desk.store.get(webp.name)
    assert blog.shown_alt(post) == record.alt_text


def test_a_second_run_keeps_the_cover_and_paints_nothing(desk, blog, site):
    post = blog.add("云原生架构的设计思路", WORDS)
    cover_post("blog", post, Wishes(write=True), plainly)
    calls = site.painter.calls
    again = cover_post("blog", post, Wishes(write=True), plainly)
    assert (again.status, again.written, site.painter.calls) == ("kept", False, calls)


def test_what_the_story_wrote_can_be_taken_back(desk, blog, kept_writings):
    post = blog.add("云原生架构的设计思路", WORDS)
    before = blog.everything(post)
    cover_post("blog", post, Wishes(write=True), kept_writings)
    (written,) = kept_writings.kept
    assert blog.posts.restore(post, written)
    assert blog.everything(post) == before


def test_the_backlog_covers_the_posts_without_a_cover(desk, blog):
    post = blog.add("云原生架构的设计思路", WORDS)
    chosen = blog.add("另一篇", WORDS)
    blog.choose_cover(chosen, "mine")
    blog.posts.list_posts = lambda: iter([chosen, post])
    assert [outcome.result for outcome in cover_backlog("blog", Wishes(write=True))] == ["kept", "covered"]
    assert "fengmian-" in blog.posts.read(post).cover


def test_a_folder_of_files_still_needs_a_place_that_readers_reach(site):
    site.post("a.md")
    wiring.use(None)
    with pytest.raises(BadInput, match="give a folder of the site"):
        cover_post("posts", "a.md", Wishes(write=True), plainly)


def test_a_draft_that_is_ordered_by_its_id_can_be_reviewed_and_is_not_asked_about_again_once_rejected(
        site, monkeypatch, wordpress, blog):
    review = {"policy": "always", "candidates": 1}
    site.settle(monkeypatch, SITES=json.dumps({"blog": {"kind": "wordpress", "url": wordpress.url, "user": "editor",
                                                        "password": wordpress.passwords["editor"], "review": review}}))
    wiring.use(None)
    wiring.ports().generator = site.painter
    draft = blog.add("云原生架构的设计思路", WORDS, status="draft")

    def answer(proposal):
        return Answer(decision=decision, editor="林", reason="太暗", alt_text="云", sheet=proposal.sheet)

    decision = "reject"
    with pytest.raises(CoverRejected, match="太暗"):
        cover_post("site:blog", draft, Wishes(), review=answer)
    assert cover_post("site:blog", draft, Wishes(only_missing=True), review=answer).status == "kept"
    decision = "approve"
    assert cover_post("site:blog", draft, Wishes(), review=answer).written
    blog.ask("DELETE", f"posts/{draft}&force=true")
    with pytest.raises(NotFound):
        steps.tell_version("site:blog", draft)
