"""deploy/wordpress/fengmian-cover.php at work in a real WordPress: what it tells us, and what it tells readers."""

import base64
import hashlib
import hmac
import json
import re
import socket
import subprocess
import time
import urllib.request

import pytest

from tests.integrations.cms.desks import Blog
from tests.integrations.cms.pictures import a_cover
from tests.services.wordpress import PLUGIN, WEBHOOK_SECRET

pytestmark = pytest.mark.service("wordpress")
QUIET_S = 0.6
"""How long nothing must come; a message is there in a few milliseconds."""


@pytest.fixture
def blog(wordpress):
    return Blog(wordpress)


def messages(blog, post):
    found = [json.loads(delivery.body) for delivery in blog.site.hooks.deliveries]
    return [body["event"] for body in found if body["post"] == int(post)]


def heard(blog, post, *events):
    """Wait until these messages came, and see that no other does."""
    deadline = time.monotonic() + 10
    while len(messages(blog, post)) < len(events) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(QUIET_S)
    assert messages(blog, post) == list(events)


def head_of(blog, post):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{blog.site.url}/?p={post}", timeout=20) as answer:
        return answer.read().decode().partition("</head>")[0]


def properties(head):
    return dict(re.findall(r'<meta property="(og:[a-z:]+)" content="([^"]*)">', head))


def test_a_published_post_is_told_with_a_signature_that_holds_and_ids_only(blog):
    post = blog.add("开放与封锁", "一段文字")
    delivery = blog.site.hooks.wait_for(lambda delivery: json.loads(delivery.body)["post"] == int(post))
    modified = blog.post(post)["modified_gmt"]
    assert json.loads(delivery.body) == {
        "event": "post.published", "site": f"{blog.site.url}/", "post": int(post), "modified_gmt": f"{modified}Z"}
    name, moment = delivery.headers["webhook-id"], delivery.headers["webhook-timestamp"]
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    signed = hmac.digest(key, f"{name}.{moment}.".encode() + delivery.body, hashlib.sha256)
    assert delivery.headers["webhook-signature"] == f"v1,{base64.b64encode(signed).decode()}"
    assert abs(time.time() - int(moment)) < 30
    assert re.fullmatch(r"msg_[0-9a-f-]{36}", name)
    assert delivery.headers["content-type"] == "application/json"


def test_each_message_has_an_id_of_its_own(blog):
    for title in ("a", "b"):
        heard(blog, blog.add(title, "words"), "post.published")
    names = [delivery.headers["webhook-id"] for delivery in blog.site.hooks.deliveries]
    assert len(set(names)) == len(names)


def test_a_draft_is_told_when_it_is_published_and_when_it_is_rewritten(blog):
    post = blog.add("草稿", "一段文字", status="draft")
    blog.rewrite(post, "一段", "另一段")
    heard(blog, post)
    blog.ask("POST", f"posts/{post}", json={"status": "publish"})
    heard(blog, post, "post.published")
    blog.rewrite(post, "草稿", "定稿")
    blog.rewrite(post, "另一段", "第三段")
    heard(blog, post, "post.published", "post.updated", "post.updated")


def test_a_scheduled_post_is_told_when_its_time_comes(blog):
    post = blog.add("预告", "一段文字", status="future", date="2031-01-01T00:00:00")
    blog.site.run(f"wp_publish_post({post});")
    heard(blog, post, "post.published")


@pytest.mark.parametrize("figure", [False, True])
def test_our_own_writing_never_comes_back_to_us(wordpress, figure):
    blog = Blog(wordpress, figure=figure)
    post = blog.add("题", "一段文字")
    written = blog.posts.write_cover(post, a_cover(colour="olive"))
    blog.posts.write_cover(post, a_cover(colour="maroon"), force=True)
    assert written.changed
    heard(blog, post, "post.published")


def test_saving_without_a_change_autosaves_revisions_pages_and_pictures_are_not_told(blog):
    post = blog.add("题", "一段文字")
    blog.ask("POST", f"posts/{post}", json={"excerpt": "摘要", "comment_status": "closed"})
    blog.ask("POST", f"posts/{post}/autosaves", json={"title": "题", "content": "自动保存"})
    page = blog.ask("POST", "pages", json={"title": "页", "content": "words", "status": "publish"})["id"]
    picture = blog.picture("cup")
    blog.ask("DELETE", f"posts/{post}")
    heard(blog, post, "post.published")
    told = {json.loads(delivery.body)["post"] for delivery in blog.site.hooks.deliveries}
    assert not told & {page, picture}


def test_an_editor_is_not_kept_by_a_receiver_that_hangs_for_longer_than_three_seconds(blog):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        code = (f"putenv('FENGMIAN_WEBHOOK_URL=http://127.0.0.1:{deaf.getsockname()[1]}/'); "
                "wp_insert_post(array('post_title' => 'a', 'post_content' => 'b', 'post_status' => 'publish'));")
        started = time.monotonic()
        blog.site.run(code)
        assert 2.5 < time.monotonic() - started < 5
    assert "the message was not taken" in (blog.site.folder.parent / "wordpress.log").read_text()


@pytest.mark.parametrize("secret", ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!"])
def test_without_a_proper_secret_nothing_is_sent(blog, secret):
    blog.site.run(f"putenv('FENGMIAN_WEBHOOK_SECRET={secret}'); echo wp_insert_post(array('post_title' => 'unsigned', "
                  "'post_content' => 'b', 'post_status' => 'publish'));")
    post = blog.ask("GET", "posts&search=unsigned&_fields=id")[0]["id"]
    heard(blog, post)
    assert "must be \"whsec_\" and base64 of at least 24 bytes" in (blog.site.folder.parent / "wordpress.log").read_text()


def test_readers_that_share_a_post_get_our_cover_with_its_size_and_words(blog):
    post = blog.add("题", "一段文字")
    written = blog.posts.write_cover(post, a_cover("", '封面插画："云" & <容器>', "orchid"))
    head = head_of(blog, post)
    assert properties(head) == {
        "og:image": written.address, "og:image:type": "image/png", "og:image:width": "120", "og:image:height": "63",
        "og:image:alt": "封面插画：&quot;云&quot; &amp;"}  # WordPress itself takes what looks like a tag out of an alt text
    assert '<meta name="twitter:card" content="summary_large_image">' in head


def test_a_picture_of_somebody_else_and_a_post_without_one_get_no_tags(blog):
    post = blog.add("题", "一段文字")
    assert "og:image" not in head_of(blog, post)
    blog.choose_cover(post, "chosen")
    assert "og:image" not in head_of(blog, post)


def test_where_an_seo_plugin_prints_tags_ours_are_not(blog):
    post = blog.add("题", "一段文字")
    blog.posts.write_cover(post, a_cover(colour="plum"))
    plugin = blog.site.folder / "wp-content/mu-plugins/seo.php"
    plugin.write_text("<?php define('WPSEO_VERSION', '1');")
    try:
        assert "og:image" not in head_of(blog, post)
    finally:
        plugin.unlink()
    assert "og:image" in head_of(blog, post)


def test_the_plugin_is_php_without_an_error_and_leaves_none_in_the_log(blog):
    done = subprocess.run(["php", "-l", str(PLUGIN)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout
    log = blog.site.folder.parent / "wordpress.log"
    lines = log.read_text().splitlines() if log.exists() else []
    assert [line for line in lines if "PHP" in line and PLUGIN.name in line] == []
