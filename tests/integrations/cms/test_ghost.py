"""The traps of a Ghost: posts saved in between, keys without rights, cards, file names, and what it says yes to.

Everything here runs on the twin too, except where only a real one can answer.
"""

import json
import re
import time
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from integrations.cms import ghost_client
from integrations.cms.ghost import GhostPosts
from integrations.cms.ghost_client import GhostClient, SavedMeanwhile
from integrations.errors import NotFound, Refused, Unavailable
from integrations.ports import PostCover
from tests.integrations.cms.desks import GhostBlog
from tests.integrations.cms.pictures import a_cover, png

CARDS = [
    {"type": "bookmark", "url": "https://a.test/", "metadata": {"title": "their page", "description": "theirs"},
     "caption": "bookmark caption"},
    {"type": "audio", "duration": 60, "src": "https://a.test/a.mp3", "title": "a song"},
    {"type": "file", "src": "https://a.test/f.pdf", "fileTitle": "a file", "fileName": "f.pdf", "fileSize": 100},
    {"type": "embed", "url": "https://a.test/", "embedType": "twitter", "html": "<blockquote><p>a tweet</p></blockquote>"},
    {"type": "callout", "calloutText": "<p>callout</p>", "calloutEmoji": "💡", "backgroundColor": "blue"},
    {"type": "toggle", "heading": "toggle", "content": "<p>inside the toggle</p>"},
    {"type": "button", "buttonText": "click here", "alignment": "center", "buttonUrl": "https://a.test/"},
    {"type": "image", "src": "https://a.test/i.png", "alt": "alt", "caption": "image caption"},
    {"type": "html", "html": "<div>html card</div><script>bad()</script>"},
    {"type": "codeblock", "code": "x = 1", "language": "python"},
    {"type": "paywall"},
    {"type": "paragraph", "children": [{"type": "extended-text", "text": "last", "detail": 0, "format": 0, "mode": "normal",
                                        "style": "", "version": 1}], "direction": None, "format": "", "indent": 0}]


@pytest.fixture(params=["ghost_twin", pytest.param("ghost", marks=pytest.mark.service("ghost"))])
def blog(request):
    return GhostBlog(request.getfixturevalue(request.param))


@pytest.fixture
def real(request):
    return GhostBlog(request.getfixturevalue("ghost"))


@pytest.fixture
def post(blog):
    return blog.add("云原生", "一段文字，说的是容器与编排。")


def a_new_cover(numbers=iter(range(1, 10_000))):
    """A cover that no other test has uploaded."""
    number = next(numbers)
    return a_cover("", f"alt {number}", (number // 256, number % 256, 77))


@pytest.fixture
def cover():
    return a_new_cover()


@pytest.fixture
def meanwhile(monkeypatch):
    """Lets somebody do something once, between our reading and our writing."""

    def arrange(act, times=1):
        put, left = GhostClient.put, [act] * times

        def after(client, route, fields):
            if left:
                left.pop()()
            return put(client, route, fields)

        monkeypatch.setattr(GhostClient, "put", after)

    return arrange


def fetched(url):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        return answer.read()


def a_second_later(blog, post):
    """Ghost's lock is as fine as its seconds: an editor's save is noticed if it falls into a later one than the last."""
    saved = datetime.fromisoformat(blog.post(post)["updated_at"])
    time.sleep(max(0.0, (saved + timedelta(seconds=1.05) - datetime.now(UTC)).total_seconds()))


# Saves in between


def test_a_save_in_between_is_noticed_and_the_post_written_again(blog, post, cover, meanwhile):
    a_second_later(blog, post)
    meanwhile(lambda: blog.edit(post, visibility="members"))
    written = blog.posts.write_cover(post, cover)
    assert written.changed
    assert (blog.post(post)["feature_image"], blog.post(post)["visibility"]) == (written.address, "members")


def test_other_words_saved_in_between_make_the_cover_wait(blog, post, cover, meanwhile):
    a_second_later(blog, post)
    meanwhile(lambda: blog.rewrite(post, "容器", "别的东西"))
    with pytest.raises(Unavailable, match=f"post {post}: somebody is writing it: other words were saved at 20"):
        blog.posts.write_cover(post, cover)
    assert (blog.post(post)["feature_image"], "别的东西" in blog.post(post)["html"]) == (None, True)
    assert blog.posts.write_cover(post, cover).changed


def test_a_picture_chosen_in_between_is_kept(blog, post, cover, meanwhile):
    a_second_later(blog, post)
    meanwhile(lambda: blog.choose_cover(post, "mine"))
    assert not blog.posts.write_cover(post, cover).changed
    assert blog.posts.read(post).cover == "https://pictures.test/mine.png"


def test_a_picture_chosen_in_between_is_what_force_can_bring_back(blog, post, cover, meanwhile):
    told = []
    a_second_later(blog, post)
    meanwhile(lambda: blog.choose_cover(post, "mine"))
    written = blog.posts.write_cover(post, cover, force=True, about_to=told.append)
    assert [json.loads(each.before)["feature_image"] for each in told] == [None, "https://pictures.test/mine.png"]
    assert told[-1] == written
    assert blog.posts.restore(post, written)
    assert blog.posts.read(post).cover == "https://pictures.test/mine.png"


def test_a_post_that_is_saved_all_the_time_is_given_up(blog, post, cover, meanwhile):
    visibilities = iter(["members", "public", "members"])

    def save():
        a_second_later(blog, post)
        blog.edit(post, visibility=next(visibilities))

    meanwhile(save, times=3)
    with pytest.raises(Unavailable, match=f"post {post}: it was saved by somebody else 3 times"):
        blog.posts.write_cover(post, cover)
    assert blog.posts.read(post).cover == ""


def test_an_undo_does_not_go_over_a_save_in_between(blog, post, cover, meanwhile):
    written = blog.posts.write_cover(post, cover)
    a_second_later(blog, post)
    meanwhile(lambda: blog.choose_cover(post, "mine"))
    with pytest.raises(Refused, match=r"somebody has chosen since"):
        blog.posts.restore(post, written)
    assert blog.posts.read(post).cover == "https://pictures.test/mine.png"


def test_a_stale_moment_is_told_apart_from_a_missing_one(blog, post):
    client = GhostClient(blog.site.url, blog.site.admin_key)
    with pytest.raises(SavedMeanwhile, match=r"status 409: Saving failed! Someone else is editing this post"):
        client.put(f"posts/{post}", {"feature_image": "https://a.test/x.png", "updated_at": "2020-01-01T00:00:00.000Z"})
    with pytest.raises(Refused, match=r"status 422: Validation error, cannot edit post. Validation failed") as caught:
        client.put(f"posts/{post}", {"feature_image": "https://a.test/x.png"})
    assert type(caught.value) is Refused


# Keys


@pytest.mark.parametrize("ask", [
    lambda source, post: list(source.list_posts()), lambda source, post: source.read(post),
    lambda source, post: source.check_writable(post), lambda source, post: source.write_cover(post, a_cover())])
def test_a_wrong_secret_is_refused_naming_the_key_and_never_its_secret(blog, post, ask):
    key_id, secret = blog.site.admin_key.split(":")[0], "ab" * 32
    with pytest.raises(Refused, match=rf"401: Invalid token: invalid signature .*{key_id}:\.\.\. is not accepted$") as caught:
        ask(blog.source(f"{key_id}:{secret}"), post)
    assert secret not in str(caught.value)


def test_a_key_that_was_taken_away_is_refused(blog, post):
    gone = "0" * 24 + ":" + "1" * 64
    with pytest.raises(Refused, match="Unknown Admin API Key"):
        blog.source(gone).read(post)


def test_clocks_that_are_apart_are_told(blog, post, monkeypatch):
    make = ghost_client._make_token
    monkeypatch.setattr(ghost_client, "_make_token", lambda key_id, secret, now: make(key_id, secret, now - 400))
    with pytest.raises(Refused, match=r"jwt expired .*: the clocks of this machine and of the site are more than five minutes"):
        blog.posts.read(post)


# Posts


@pytest.mark.parametrize("post_id", ["", "abc", "1", "../users", "0" * 23, "0" * 25, "0123456789ABCDEF01234567", "７" * 24])
def test_an_id_that_is_none_never_reaches_the_site(blog, post_id):
    with pytest.raises(NotFound, match="the id of a post is 24 hex digits"):
        blog.posts.read(post_id)


def test_a_deleted_post_is_not_found(blog, post):
    blog.site.ask("DELETE", f"posts/{post}/")
    with pytest.raises(NotFound, match=r"status 404: Resource not found error, cannot read post. Post not found"):
        blog.posts.read(post)
    assert post not in list(blog.posts.list_posts())


def test_more_posts_than_one_page_holds_are_all_listed_in_order(blog, monkeypatch):
    monkeypatch.setattr("integrations.cms.ghost.PER_PAGE", 3)
    added = [blog.add(f"p{number}", "words", status="draft") for number in range(7)]
    listed = blog.source(statuses=("draft",)).list_posts()
    first = next(listed)
    blog.site.ask("DELETE", f"posts/{added[1]}/")  # moves no other out of the list
    ids = [first, *listed]
    assert ids == sorted(ids)
    assert [post for post in ids if post in added and post != added[1]] == [added[0], *added[2:]]


def test_drafts_are_listed_only_where_they_are_asked_for(blog, post):
    draft = blog.add("草稿", "一段文字", status="draft")
    assert draft not in list(blog.posts.list_posts())
    both = blog.source(statuses=("published", "draft"))
    assert {post, draft} <= set(both.list_posts())
    assert both.write_cover(draft, a_new_cover()).changed
    assert blog.post(draft)["status"] == "draft"


def test_a_draft_has_no_version_until_it_is_published(blog):
    draft = blog.add("草稿", "一段文字", status="draft")
    with pytest.raises(NotFound, match=f"post {draft} has the status 'draft'; covers are for published$"):
        blog.posts.version(draft)
    assert blog.posts.read(draft).title == "草稿"
    blog.edit(draft, status="published")
    assert blog.posts.version(draft)


def test_a_post_for_members_is_read_and_covered_as_any_other(blog, cover):
    post = blog.add("会员", "只给会员看的文字", visibility="members")
    assert blog.posts.read(post).text == "只给会员看的文字"
    assert blog.posts.write_cover(post, cover).changed
    assert blog.post(post)["visibility"] == "members"


def test_what_has_changed_since_a_moment_is_listed(blog, post):
    now = datetime.now(UTC)
    assert post in list(blog.posts.changed_since(now - timedelta(seconds=30)))
    assert post in list(blog.posts.changed_since((now - timedelta(seconds=30)).astimezone()))
    assert list(blog.posts.changed_since(now + timedelta(minutes=1))) == []
    with pytest.raises(ValueError, match="has no time zone"):
        blog.posts.changed_since(datetime(2024, 5, 1))


def test_a_post_is_read_with_its_tags_and_excerpt(blog):
    post = blog.add("<云> &amp; 目", "一段文字", tags=["架构", "#内部", "云"], custom_excerpt="摘要\n在此")
    article = blog.posts.read(post)
    assert (article.title, article.description) == ("<云> &amp; 目", "摘要 在此")
    assert (article.section, article.tags) == ("架构", ("架构", "云"))
    assert article.source.startswith(blog.site.url)


def test_a_post_without_words_is_refused(blog):
    with pytest.raises(Refused, match="has no words"):
        blog.posts.read(blog.add("😀", "", status="draft"))


# Pictures


def test_readers_get_the_very_bytes_under_a_name_made_of_them(blog, post, cover):
    address = blog.posts.write_cover(post, cover).address
    assert fetched(address) == cover.data
    assert address.endswith(f"/{cover.name}")


def test_the_title_does_not_enter_the_name_that_ghost_would_turn_into_dashes(blog, cover):
    post = blog.add("封面图", "一段文字")
    assert re.fullmatch(r"[\w.-]+", blog.posts.write_cover(post, cover).address.rpartition("/")[2], re.ASCII)
    client = GhostClient(blog.site.url, blog.site.admin_key)
    assert client.upload(("封面图.png", png(), "image/png")).endswith("/---------.png")


def test_an_alt_text_is_cut_to_what_ghost_takes(blog, post):
    cover = a_cover("", "云" * 250, "olive")
    assert blog.posts.write_cover(post, cover).changed
    assert blog.shown_alt(post) == "云" * 190 + "…"


def test_a_picture_whose_linking_failed_is_not_uploaded_again(blog, post, cover, monkeypatch):
    def fail(*given):
        raise Unavailable("the line broke")

    with monkeypatch.context() as patch:
        patch.setattr(GhostClient, "put", fail)
        with pytest.raises(Unavailable, match="the line broke"):
            blog.posts.write_cover(post, cover)
    assert blog.posts.write_cover(post, cover).address.endswith(f"/{cover.name}")  # with a number in it if it came again


def test_a_cover_that_is_there_under_a_number_is_not_uploaded_again(blog, post, cover):
    blog.source().write_cover(blog.add("另一篇", "一段文字"), cover)
    numbered = blog.source().write_cover(post, cover)
    assert numbered.address.endswith("-1.png")
    assert not blog.source().write_cover(post, cover, force=True).changed


def test_what_is_no_picture_is_refused(blog, post):
    broken = PostCover(reference="", alt_text="", name="fengmian-1x1-0.png", data=b"no picture", content_type="image/png")
    with pytest.raises(Refused, match=r"POST images/upload: status 400: .*Image processing failed"):
        blog.posts.write_cover(post, broken)


def test_a_caption_goes_with_its_picture_and_comes_back_with_it(blog, post, cover):
    credit = "Photo by <a href=\"https://a.test\">Ann</a>"
    blog.edit(post, feature_image="https://pictures.test/ann.png", feature_image_alt="a lake", feature_image_caption=credit)
    before = blog.everything(post)
    written = blog.posts.write_cover(post, cover, force=True)
    assert blog.post(post)["feature_image_caption"] is None
    assert blog.posts.restore(post, written)
    assert blog.everything(post) == before


def test_only_what_shows_the_cover_changes(blog, cover):
    post = blog.add("题", "一段文字", tags=["a"], custom_excerpt="摘要")
    before = blog.post(post)
    blog.posts.write_cover(post, cover)
    after = blog.post(post)
    assert {key for key in before if before[key] != after[key]} <= {"feature_image", "feature_image_alt", "updated_at"}


def test_pictures_of_shared_links_are_filled_in_where_settings_ask_and_only_if_empty(blog, post, cover):
    blog.edit(post, og_image="https://pictures.test/own.png")
    before = blog.everything(post)
    source = GhostPosts(GhostClient(blog.site.url, blog.site.admin_key), social=True)
    written = source.write_cover(post, cover)
    shown = blog.post(post)
    assert (shown["og_image"], shown["twitter_image"]) == ("https://pictures.test/own.png", written.address)
    assert source.restore(post, written)
    assert blog.everything(post) == before


def test_a_yes_of_ghost_that_was_none_is_noticed(blog, post, cover, monkeypatch):
    monkeypatch.setattr(GhostClient, "put", lambda *given: None)
    with pytest.raises(Refused, match=f"post {post} was to have .*fengmian-.* and has .*null"):
        blog.posts.write_cover(post, cover)


# What only a real one can answer


@pytest.mark.service("ghost")
def test_cards_of_the_editor_give_only_the_authors_words(real):
    nodes = [{"version": 1} | card for card in CARDS]
    lexical = {"root": {"type": "root", "version": 1, "children": nodes, "direction": None, "format": "", "indent": 0}}
    made = real.site.ask("POST", "posts/", json={"posts": [{"title": "卡片", "lexical": json.dumps(lexical), "status": "draft"}]})
    post = made["posts"][0]["id"]
    said = real.posts.read(post).text.split("\n")
    assert said == ["bookmark caption", "callout", "toggle", "inside the toggle", "image caption", "html card", "last"]


@pytest.mark.service("ghost")
@pytest.mark.parametrize(("role", "may"), [("Contributor", False), ("Author", True), ("Editor", True)])
def test_a_key_of_staff_is_asked_for_its_role_before_the_painting(real, role, may):
    post = real.add("题", "一段文字")
    key = real.site.ask("GET", "users/me/token/")["apiKey"]
    with real.site.as_role(role):
        source = real.source(f"{key['id']}:{key['secret']}")
        if may:
            source.check_writable(post)
            assert source.write_cover(post, a_new_cover()).changed
            return
        with pytest.raises(Refused, match="the key is of staff with the role Contributor, who may not change it"):
            source.check_writable(post)
        with pytest.raises(Refused, match=r"status 403: Permission error.*use the Admin API key of a custom integration"):
            source.write_cover(post, a_new_cover())


@pytest.mark.service("ghost")
def test_a_scheduled_post_stays_scheduled(real):
    moment = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    post = real.add("将来", "一段文字", status="scheduled", published_at=moment)
    assert real.source(statuses=("scheduled",)).write_cover(post, a_new_cover()).changed
    after = real.post(post)
    assert (after["status"], after["published_at"]) == ("scheduled", moment)


@pytest.mark.service("ghost")
def test_two_saves_of_one_second_are_beyond_ghosts_lock_and_no_words_are_lost(real, meanwhile):
    post = real.add("题", "一段文字")
    meanwhile(lambda: real.rewrite(post, "文字", "别的字"))
    with suppress(Unavailable):  # the second had turned
        real.posts.write_cover(post, a_new_cover())
    assert "别的字" in real.post(post)["html"]


@pytest.mark.service("ghost")
def test_a_page_that_shares_the_post_shows_the_cover(real, cover):
    post = real.add("题", "一段文字")
    address = real.posts.write_cover(post, cover).address
    page = fetched(real.posts.read(post).source).decode()
    assert f'<meta property="og:image" content="{address}">' in page
    assert f'<meta name="twitter:image" content="{address}">' in page
