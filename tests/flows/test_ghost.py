"""The whole story with a Ghost as a site: settings, doctor, from a post's words to its feature image, and back."""

import json

import pytest

from flows.errors import SettingsError
from flows.settings import load_settings
from tests.flows.conftest import CHINESE
from tests.integrations.cms.desks import GhostBlog

WORDS = CHINESE.rpartition("---\n")[2].strip()


@pytest.fixture(params=["ghost_twin", pytest.param("ghost", marks=pytest.mark.service("ghost"))])
def blog(request):
    return GhostBlog(request.getfixturevalue(request.param))


@pytest.fixture
def settle(site, monkeypatch):
    def settle(**changes):
        site.settle(monkeypatch, SITES=json.dumps({"blog": {"kind": "ghost", "url": "https://blog.example.org",
                                                            "admin_key": "0" * 24 + ":" + "1" * 64} | changes}))

    return settle


@pytest.fixture
def here(site, blog, settle):
    settle(url=blog.site.url, admin_key=blog.site.admin_key)
    return site


def test_a_post_gets_its_cover_and_loses_it_again(here, blog):
    post = blog.add("云原生架构的设计思路", WORDS)
    before = blog.everything(post)
    record = here.run("cover", "site:blog", "--post", post, "--json").record
    assert (record["status"], record["written"]) == ("covered", True)
    assert blog.post(post)["feature_image"] == record["cover"]
    assert blog.shown_alt(post) == record["alt_text"]
    assert here.run("cover", "site:blog", "--post", post, "--json").record["status"] == "kept"
    assert here.run("undo", "site:blog", post).code == 0
    assert blog.everything(post) == before


def test_the_backlog_covers_what_has_no_cover(here, blog, monkeypatch):
    post, chosen = blog.add("云原生架构的设计思路", WORDS), blog.add("另一篇", WORDS)
    blog.choose_cover(chosen, "mine")
    monkeypatch.setattr("integrations.cms.ghost.GhostPosts.list_posts", lambda source: iter([chosen, post]))
    assert here.run("backlog", "site:blog").code == 0
    assert blog.posts.read(post).cover
    assert blog.posts.read(chosen).cover == "https://pictures.test/mine.png"


def test_the_doctor_looks_at_a_post_of_the_site(here, blog):
    blog.add("云原生架构的设计思路", WORDS)
    checks = {check["part"]: check for check in here.run("doctor", "--json").record["checks"]}
    assert checks["site blog"]["state"] == "ok"
    assert checks["site blog"]["found"].startswith("ghost; post ")


def test_a_wrong_key_is_a_gap_that_the_doctor_explains(here, blog, settle):
    blog.add("云原生架构的设计思路", WORDS)
    settle(url=blog.site.url, admin_key=blog.site.admin_key[:-4] + "0000")
    answer = here.run("doctor", "--json")
    gap = next(check for check in answer.record["checks"] if check["part"] == "site blog")
    assert (answer.code, gap["state"]) == (1, "gap")
    assert "is not accepted" in gap["found"]
    assert "admin key" in gap["remedy"]
    assert blog.site.admin_key.split(":")[1] not in answer.out


@pytest.mark.parametrize(("changes", "rule"), [
    ({"admin_key": ""}, "kind ghost needs admin_key"), ({"url": ""}, "kind ghost needs url"),
    ({"figure": True}, "figure is for kind wordpress")])
def test_settings_that_do_not_fit_are_refused(site, settle, changes, rule):
    settle(**changes)
    with pytest.raises(SettingsError, match=rule):
        load_settings()


@pytest.mark.parametrize(("changes", "rule"), [
    ({"admin_key": "22444f78447824223cefc48062"}, "looks like a Content API key"),
    ({"statuses": ["publish"]}, "a post is one of published, draft, scheduled, sent"),
    ({"url": "http://blog.example.org"}, "is not https")])
def test_values_that_the_adapter_refuses_name_their_section(site, settle, changes, rule):
    settle(**changes)
    answer = site.run("cover", "site:blog", "--post", "0" * 24)
    assert answer.code == 2
    assert answer.err.startswith("fengmian: settings, section sites: ghost: ")
    assert rule in answer.err
    assert "22444f78" not in answer.err
