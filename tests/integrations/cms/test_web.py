"""Pages and feeds as read-only sources of posts. A twin of the guarded client answers from memory."""

import pytest

from integrations.cms.feed import Feed
from integrations.cms.web import open_web
from integrations.cms.web_page import WebPage
from integrations.errors import NotFound, Refused, Unavailable
from integrations.http import Fetched, Fetcher
from integrations.ports import Written
from tests.integrations.cms.pictures import a_cover

LONG = "只有开放才能打败封锁，这里还有很多别的话可以说。" * 20
PAGE = f"<title>页面题目</title><meta property='og:image' content='/a.png'><article><p>{LONG}</p></article>"
RSS = f"""<?xml version="1.0" encoding="utf-8"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">
<channel><title>站</title>
<item><title>全文 &amp; 题</title><guid>full</guid><link>https://example.com/full</link><category>开源</category>
<description>摘要</description><content:encoded><![CDATA[<p>{LONG}</p><pre>code()</pre>]]></content:encoded>
<enclosure url="https://example.com/e.png" type="image/png" length="1"/></item>
<item><title>摘要篇</title><link>https://example.com/teaser</link><description>只有摘要</description></item>
<item><title>😀</title><guid isPermaLink="false">empty</guid></item>
</channel></rss>"""


class MemoryWeb(Fetcher):
    def __init__(self, pages):
        self.pages, self.asked = pages, []

    def get(self, url, content_types=()):
        self.asked.append(url)
        if url not in self.pages:
            raise Unavailable(f"http: {url} did not answer")
        body = self.pages[url]
        return Fetched(url=url, content_type="", charset="", body=body if isinstance(body, bytes) else body.encode())


@pytest.fixture
def web():
    return MemoryWeb({"https://example.com/feed": RSS, "https://example.com/teaser": PAGE})


def test_a_page_is_a_source_of_one_post(web):
    page = WebPage("https://example.com/teaser", web)
    assert list(page.list_posts()) == ["https://example.com/teaser"]
    article = page.read("https://example.com/teaser")
    assert (article.title, article.cover, article.language) == ("页面题目", "/a.png", "zh")
    assert article.text.startswith("只有开放才能打败封锁")
    with pytest.raises(NotFound, match="the only post here"):
        page.read("https://example.com/other")


def test_a_gbk_page_that_says_utf8_is_read():
    html = "<meta charset=utf-8><title>开放与封锁</title><p>只有开放才能打败封锁。</p>".encode("gbk")
    assert WebPage("https://a.b/", MemoryWeb({"https://a.b/": html})).read("https://a.b/").title == "开放与封锁"


@pytest.mark.parametrize(("html", "rule"), [
    ("", "has no words"), ("<p>😀</p>", "has no words"), ("<div>" * 300_000, "nested more than"),
    (b"\0\1\2", "NUL byte")])
def test_a_page_without_readable_words_is_refused(html, rule):
    with pytest.raises(Refused, match=rule):
        WebPage("https://a.b/", MemoryWeb({"https://a.b/": html})).read("https://a.b/")


def test_pages_and_feeds_cannot_be_written(web):
    feed = Feed("https://example.com/feed", web)
    for source, post_id in ((WebPage("https://a.b/", web), "https://a.b/"), (feed, "full")):
        with pytest.raises(Refused, match="is read only"):
            source.write_cover(post_id, a_cover(), force=True)
        with pytest.raises(Refused, match="is read only"):
            source.restore(post_id, Written(changed=True))


def test_a_feed_lists_its_entries_and_is_fetched_once(web):
    feed = Feed("https://example.com/feed", web)
    assert list(feed.list_posts()) == ["full", "https://example.com/teaser", "empty"]
    assert len(list(feed.list_posts())) == 3
    assert web.asked == ["https://example.com/feed"]


def test_a_full_entry_is_read_from_the_feed(web):
    article = Feed("https://example.com/feed", web).read("full")
    assert (article.title, article.tags, article.description) == ("全文 & 题", ("开源",), "摘要")
    assert (article.text, article.source) == (LONG, "https://example.com/full")
    assert article.cover == "https://example.com/e.png"
    assert web.asked == ["https://example.com/feed"]


def test_a_teaser_is_read_from_its_page(web):
    article = Feed("https://example.com/feed", web).read("https://example.com/teaser")
    assert (article.id, article.title) == ("https://example.com/teaser", "页面题目")
    assert len(article.text) > 400


def test_the_version_of_a_page_is_that_of_its_words(web):
    page = WebPage("https://example.com/teaser", web)
    before = page.version("https://example.com/teaser")
    web.pages["https://example.com/teaser"] = PAGE.replace("/a.png", "/b.png")
    assert page.version("https://example.com/teaser") == before
    web.pages["https://example.com/teaser"] = PAGE.replace("页面题目", "别的题目")
    assert page.version("https://example.com/teaser") != before
    assert Feed("https://example.com/feed", web).version("full") != before


def test_an_entry_that_is_not_there_and_one_without_words_are_told_apart(web):
    feed = Feed("https://example.com/feed", web)
    with pytest.raises(NotFound, match="'nope' is not in"):
        feed.read("nope")
    with pytest.raises(Refused, match="has no words"):
        feed.read("empty")


@pytest.mark.parametrize(("url", "posts"), [
    ("https://example.com/feed", ["full", "https://example.com/teaser", "empty"]),
    ("https://example.com/teaser", ["https://example.com/teaser"])])
def test_an_address_is_opened_as_what_it_turns_out_to_be_and_fetched_once(web, url, posts):
    source = open_web(url, web)
    assert list(source.list_posts()) == posts
    source.read(posts[0])
    assert web.asked == [url]


@pytest.mark.parametrize(("data", "rule"), [
    (b"<html><p>words</p></html>", "neither RSS nor Atom"), (b"", "neither RSS nor Atom"),
    (b'<!DOCTYPE x [<!ENTITY a "b">]><rss version="2.0"/>', "XML entities"),
    (b"<rss><channel>" + b"<div>" * 300_000, "nested more than"),
    (b"<rss><channel><script>" + b"<div>" * 300_000 + b"</script>", "nested more than"),
    (b'<rss><channel><x><![CDATA[<a b="]]></x>' + b"<div>" * 300_000 + b'"', "nested more than")])
def test_what_is_no_feed_or_means_harm_is_refused(data, rule):
    with pytest.raises(Refused, match=rule):
        list(Feed("https://a.b/", MemoryWeb({"https://a.b/": data})).list_posts())


def test_an_atom_feed_is_read():
    atom = f"""<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>urn:1</id>
    <title type="html">A &lt;b&gt;t&lt;/b&gt;</title><content type="html">&lt;p&gt;{LONG}&lt;/p&gt;</content><link href="https://a.b/1"/></entry></feed>"""
    article = Feed("https://a.b/", MemoryWeb({"https://a.b/": atom})).read("urn:1")
    assert (article.title, article.text) == ("A t", LONG)
