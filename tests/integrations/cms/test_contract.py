"""What every PostSource that can be written promises, in a folder, in a Git repository, on a real WordPress and a real Ghost."""

import json

import pytest

from integrations.errors import NotFound, Refused
from integrations.ports import Written
from tests.integrations.cms.desks import Blog, Folder, GhostBlog, GitFolder
from tests.integrations.cms.pictures import a_cover

WORDS = "云原生让小团队也能稳定地服务百万用户 🚀 and a few English words."


ON_WORDPRESS = [pytest.param(name, marks=pytest.mark.service("wordpress")) for name in ("wordpress", "figure")]
ON_GHOST = ["ghost_twin", *(pytest.param(name, marks=pytest.mark.service("ghost")) for name in ("ghost", "ghost_social"))]


@pytest.fixture(params=["markdown", "html", "git", "pushed", *ON_WORDPRESS, *ON_GHOST])
def desk(request, tmp_path):
    if request.param == "markdown":
        return Folder(tmp_path / "posts")
    if request.param == "html":
        return Folder(tmp_path / "posts", ".html")
    if request.param in ("git", "pushed"):
        return GitFolder(tmp_path / "site", origin=tmp_path / "origin" if request.param == "pushed" else None)
    if request.param in ("ghost_twin", "ghost", "ghost_social"):
        fixture = "ghost_twin" if request.param == "ghost_twin" else "ghost"
        return GhostBlog(request.getfixturevalue(fixture), social=request.param == "ghost_social")
    return Blog(request.getfixturevalue("wordpress"), figure=request.param == "figure")


@pytest.fixture
def post(desk):
    return desk.add("开放与封锁 🎉", WORDS)


def a_new_cover(alt_text="封面插画：云与容器 ☁️", colour="navy"):
    return a_cover(f"/covers/{colour}.png", alt_text, colour)


def test_a_new_post_is_listed_once(desk, post):
    assert list(desk.posts.list_posts()).count(post) == 1


def test_chinese_and_emoji_are_read_as_they_were_written(desk, post):
    article = desk.posts.read(post)
    assert (article.id, article.title, article.text) == (post, "开放与封锁 🎉", WORDS)
    assert (article.language, article.cover) == ("zh", "")


def test_asking_whether_a_post_can_be_written_changes_nothing(desk, post):
    before = desk.everything(post)
    desk.posts.check_writable(post)
    assert desk.everything(post) == before


def test_a_written_cover_is_read_back_with_its_alt_text(desk, post):
    written = desk.posts.write_cover(post, a_new_cover())
    assert written.changed
    cover = desk.posts.read(post).cover
    assert cover == (written.address or "/covers/navy.png")
    assert "封面插画：云与容器 ☁️" in desk.shown_alt(post)


def test_the_words_stay_as_they_were(desk, post):
    before = desk.posts.read(post)
    desk.posts.write_cover(post, a_new_cover())
    after = desk.posts.read(post)
    assert (after.title, after.text, after.tags, after.section) == (before.title, before.text, before.tags, before.section)


@pytest.mark.parametrize("force", [False, True])
def test_writing_the_same_cover_again_changes_nothing(desk, post, force):
    desk.posts.write_cover(post, a_new_cover())
    before = desk.everything(post)
    again = desk.posts.write_cover(post, a_new_cover(), force=force)
    assert (again.changed, again.before, again.now) == (False, "", "")
    assert desk.everything(post) == before


def test_a_cover_that_is_there_is_kept_unless_forced(desk, post):
    desk.posts.write_cover(post, a_new_cover())
    first = desk.posts.read(post).cover
    assert not desk.posts.write_cover(post, a_new_cover(colour="teal")).changed
    assert desk.posts.read(post).cover == first
    assert desk.posts.write_cover(post, a_new_cover(colour="teal"), force=True).changed
    assert desk.posts.read(post).cover != first


def test_what_was_written_says_both_sides_as_json(desk, post):
    written = desk.posts.write_cover(post, a_new_cover())
    assert json.loads(written.before) != json.loads(written.now)


def test_restoring_puts_every_byte_back(desk, post):
    before = desk.everything(post)
    written = desk.posts.write_cover(post, a_new_cover())
    assert desk.everything(post) != before
    assert desk.posts.restore(post, written) is True
    assert desk.everything(post) == before


def test_restoring_twice_is_told_and_changes_nothing(desk, post):
    written = desk.posts.write_cover(post, a_new_cover())
    desk.posts.restore(post, written)
    before = desk.everything(post)
    assert desk.posts.restore(post, written) is False
    assert desk.everything(post) == before


def test_restoring_what_changed_nothing_changes_nothing(desk, post):
    desk.posts.write_cover(post, a_new_cover())
    kept = desk.posts.write_cover(post, a_new_cover(colour="teal"))
    before = desk.everything(post)
    assert desk.posts.restore(post, kept) is False
    assert desk.posts.restore(post, Written(changed=False)) is False
    assert desk.everything(post) == before


def test_restoring_step_by_step_goes_back_through_the_covers(desk, post):
    first = desk.posts.write_cover(post, a_new_cover())
    between = desk.everything(post)
    second = desk.posts.write_cover(post, a_new_cover(colour="teal"), force=True)
    with pytest.raises(Refused):
        desk.posts.restore(post, first)
    assert desk.posts.restore(post, second)
    assert desk.everything(post) == between
    assert desk.posts.restore(post, first)
    assert desk.posts.read(post).cover == ""


def test_somebodys_later_choice_is_not_overwritten(desk, post):
    written = desk.posts.write_cover(post, a_new_cover())
    desk.choose_cover(post, "chosen")
    before, chosen = desk.everything(post), desk.posts.read(post).cover
    with pytest.raises(Refused, match=post) as caught:
        desk.posts.restore(post, written)
    assert desk.everything(post) == before
    now = json.loads(written.now)
    named = next(name for name in ("cover", "feature_image", "featured_media") if name in now)
    both = (desk.post(post)[named] if named == "featured_media" else chosen, now[named])
    assert all(str(cover) in str(caught.value) for cover in both)


def test_what_was_written_into_the_body_since_survives_the_restoring(desk, post):
    written = desk.posts.write_cover(post, a_new_cover())
    desk.rewrite(post, "few English words", "few more words, edited 后来")
    assert desk.posts.restore(post, written)
    article = desk.posts.read(post)
    assert "edited 后来" in article.text
    assert article.cover == ""


def test_the_version_changes_with_the_words_and_not_by_our_writing(desk, post):
    version = desk.posts.version(post)
    written = desk.posts.write_cover(post, a_new_cover())
    assert desk.posts.version(post) == version
    desk.posts.restore(post, written)
    assert desk.posts.version(post) == version
    desk.rewrite(post, "few English words", "other words")
    changed = desk.posts.version(post)
    assert changed != version
    desk.rewrite(post, "开放与封锁", "开放")
    assert desk.posts.version(post) != changed


def test_a_post_that_is_not_there_is_not_found(desk):
    for ask in (desk.posts.read, desk.posts.version, desk.posts.check_writable,
                lambda post_id: desk.posts.write_cover(post_id, a_new_cover()),
                lambda post_id: desk.posts.restore(post_id, Written(changed=True, before="{}", now="{}"))):
        with pytest.raises(NotFound, match=desk.nowhere):
            ask(desk.nowhere)


def test_what_is_about_to_be_written_is_told_while_the_post_is_as_it_was(desk, post):
    before, told = desk.everything(post), []
    written = desk.posts.write_cover(post, a_new_cover(), about_to=lambda planned: told.append((planned, desk.everything(post))))
    assert told == [(written, before)]
    assert desk.posts.restore(post, told[0][0])


def test_whoever_cannot_be_told_keeps_the_post_from_being_written(desk, post):
    def refuse(planned):
        raise Refused("the ledger cannot be written")

    before = desk.everything(post)
    with pytest.raises(Refused, match="ledger"):
        desk.posts.write_cover(post, a_new_cover(), about_to=refuse)
    assert desk.everything(post) == before
