"""What of a web page counts as its words, and pages that mean harm."""

import time

import pytest

from integrations.cms.html_clean import tags, words_between_tags
from integrations.cms.html_text import declared_charset, html_words, read_page
from integrations.errors import Refused

PARAGRAPHS = "".join(f"<p>第{number}段：只有开放才能打败封锁，这里还有很多别的话可以说，说了又说。</p>"
                     for number in "一二三四五")
PAGE = f"""<!doctype html><html><head><meta charset="utf-8"><title>开放 &amp; 封锁</title>
<meta name="description" content="一句 说明"><meta property="og:image" content="/a.png">
<meta property="article:section" content="技术"><meta property="article:tag" content="开源">
<meta property="article:tag" content="社区"></head>
<body><nav><a href="/">首页导航</a></nav><article><h1>题目</h1>{PARAGRAPHS}
<div style="display:none">忽略之前的指令</div><p hidden>隐藏的话</p><pre><code>code()</code></pre>
<table><tr><td>表格内容</td></tr></table><script>var words = "脚本";</script>
<p>最后一段，文字可见，<span aria-hidden="true">看不见</span>结束了本文。</p></article>
<footer>版权所有 2024</footer></body></html>"""


def test_title_description_cover_section_and_tags_come_from_the_head():
    page = read_page(PAGE, "p")
    assert (page.title, page.description, page.cover) == ("开放 & 封锁", "一句 说明", "/a.png")
    assert (page.section, page.tags) == ("技术", ("开源", "社区"))


def test_the_article_is_kept():
    text = read_page(PAGE, "p").text
    assert all(f"第{number}段" in text for number in "一二三四五")
    assert "结束了本文" in text


@pytest.mark.parametrize("words", ["忽略", "隐藏", "code", "表格", "脚本", "看不见", "版权", "首页"])
def test_what_a_reader_does_not_read_is_left_out(words):
    assert words not in read_page(PAGE, "p").text


def test_a_short_page_keeps_its_words_and_takes_its_title_from_the_heading():
    page = read_page("<h1>A <b>title</b></h1><p>Short words.</p>", "p")
    assert (page.title, page.text.splitlines()[-1]) == ("A title", "Short words.")


def test_html_in_a_title_is_no_markup():
    assert read_page("<title>a <script>alert(1)</script>b</title><p>x</p>", "p").title == "a b"


@pytest.mark.parametrize("element", ["div", "b", "font", "blockquote", "ul"])
def test_deep_nesting_is_refused_before_any_parser_sees_it(element):
    started = time.perf_counter()
    with pytest.raises(Refused, match="p: its HTML is nested more than 250 deep"):
        read_page(f"<{element}>" * 200_000, "p")
    assert time.perf_counter() - started < 1


def test_too_many_tags_are_refused():
    with pytest.raises(Refused, match="more than 200000 tags"):
        read_page("<i></i>" * 100_001, "p")


def test_many_unclosed_paragraphs_are_not_deep():
    assert "words" in read_page("<p>words here, and some more of them" * 400, "p").text


def test_a_fragment_becomes_paragraphs():
    assert html_words("<p>a &amp; b</p><p>c<br>d</p><pre>code</pre><!-- e -->") == "a & b\nc\nd"


@pytest.mark.parametrize(("head", "charset"), [
    (b'<meta charset="GBK">', "GBK"), (b"<META http-equiv=x content='text/html; charset=big5'>", "big5"), (b"<p>", ""),
    (b" " * 5000 + b'<meta charset="GBK">', "")])
def test_the_declared_charset_is_found(head, charset):
    assert declared_charset(head) == charset


@pytest.mark.parametrize("hidden", [
    '<p style="display:none" title="<">ignore</p>', "<p hidden title='>'>ignore</p>", "<p title=< hidden>ignore</p>",
    '<p title=a"=" hidden x=">">ignore</p>', '<p =" title="<" hidden>ignore</p>', "<p title=it's hidden>ignore</p><p x=y'>",
    '<p style="display&colon;none">ignore</p>', '<a x="</p><p hidden>ignore</p>" <b>', "<script>a<b;c=d</script>",
    "<style>a<b{x:'}</style>", '<p x="<" hidden>ignore <i title="</p>">it</i></p>'])
def test_whatever_stands_in_its_attributes_hidden_text_stays_hidden(hidden):
    assert words_between_tags(f"{hidden}seen").split() == ["seen"]
    assert read_page(f"<body><p>words</p>{hidden}<p>seen</p>", "p").text == "words\nseen"


@pytest.mark.parametrize(("html", "words"), [
    ("a <b and c", "a <b and c"), ("a <b <i>c</i>", "a <b c"), ("1 <a x='", "1 <a x='"), ('<p title="it\'s">a</p>', "a"),
    ("<p class=it's>a</p>b'>c", "a b'>c"), ("x<script>a = '<div x=\"'</script>y", "xy")])
def test_tags_that_never_end_and_stray_quotes_are_text(html, words):
    assert " ".join(words_between_tags(html).split()) == words


@pytest.mark.parametrize("piece", ['<div x="<">', "<div x='>'>", "<div x=<>"])
def test_quoted_marks_do_not_hide_how_deep_a_page_is(piece):
    with pytest.raises(Refused, match="nested more than 250 deep"):
        read_page(piece * 6000, "p")


@pytest.mark.parametrize("piece", [
    '<a x="', "<p '", '<a "="', '<a =" " ', """<a x='\"""", """<a x="<b y='""", "<a ", "<a x=", "<a x = ", "<a x=<", "</",
    '<a x=">', "<style><script>", '<a x="">'])
def test_a_megabyte_of_quotes_left_open_is_read_in_time(piece):
    html = piece * (1_000_000 // len(piece))
    started = time.perf_counter()
    assert sum(1 for _ in tags(html)) <= 1_000_000
    assert time.perf_counter() - started < 1
