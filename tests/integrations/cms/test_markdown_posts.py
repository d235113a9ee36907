"""Posts in a folder: which are listed, what is read, what is written, and files that mean harm."""

import os
import stat
import time
from pathlib import Path

import pytest

from integrations.cms.markdown_posts import MarkdownPosts
from integrations.errors import NotFound, Refused
from tests.integrations.cms.pictures import a_cover

POST = """---
title: 开放与封锁
tags: [开源, 社区]
categories:
  - [技术, 评论]
description: 一句说明
---
# 小节

正文在此。
"""


def put(root, name, content=POST):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(root, content, name="p.md"):
    put(root, name, content)
    return MarkdownPosts(root).read(name)


def test_posts_are_listed_in_a_stable_order_and_other_files_are_not(tmp_path):
    for name in ("b.md", "a.md", "sub/c.markdown", "sub/d.html", "_posts/e.md", "x.txt", ".hidden.md", ".git/f.md",
                 "_index.md", "node_modules/pkg/readme.md", "_site/g.html", "_drafts/h.md", "sub/_includes/i.html",
                 "sub/bundle/index.mdx"):
        put(tmp_path, name)
    assert list(MarkdownPosts(tmp_path).list_posts()) == [
        "a.md", "b.md", "_posts/e.md", "sub/c.markdown", "sub/d.html", "sub/bundle/index.mdx"]


def test_a_file_of_settings_makes_no_site_of_a_folder_of_posts(tmp_path):
    for name in ("config.yaml", "fengmian.yaml", "a.md"):
        put(tmp_path, name)
    assert list(MarkdownPosts(tmp_path).list_posts()) == ["a.md"]


@pytest.mark.parametrize("sign", ["hugo.toml", "config.toml", "_config.yml", "layouts/single.html", "source/_posts/a.txt"])
def test_in_a_sites_own_folder_built_pages_and_themes_and_what_lies_at_its_top_are_no_posts(tmp_path, sign):
    for name in (sign, "public/a.html", "themes/t/b.html", "README.md", "404.html", "content/posts/c.md", "content/public/d.md"):
        put(tmp_path, name)
    assert list(MarkdownPosts(tmp_path).list_posts()) == ["content/posts/c.md", "content/public/d.md"]


@pytest.mark.parametrize("field", ["index_img", "banner_img", "thumbnail", "featured_image"])
def test_the_cover_fields_of_many_themes_are_known(tmp_path, field):
    assert read(tmp_path, f"---\ntitle: 云\n{field}: /a.png\n---\n正文").cover == "/a.png"


@pytest.mark.parametrize(("name", "content", "rule"), [
    ("p.md", '{"title": "云"}\n正文', "JSON front matter"), ("p.html", "<p>正文，没有 head</p>", "head")])
def test_a_post_that_cannot_be_written_says_so_before(tmp_path, name, content, rule):
    path = put(tmp_path, name, content)
    with pytest.raises(Refused, match=rule):
        MarkdownPosts(tmp_path).check_writable(name)
    assert path.read_text() == content


def test_a_post_that_can_be_written_is_not_touched_by_asking(tmp_path):
    path = put(tmp_path, "p.md")
    MarkdownPosts(tmp_path).check_writable("p.md")
    assert path.read_text() == POST


def test_one_file_is_a_source_of_one_post(tmp_path):
    put(tmp_path, "other.md")
    posts = MarkdownPosts(put(tmp_path, "p.md"))
    assert list(posts.list_posts()) == ["p.md"]
    assert posts.read("p.md").title == "开放与封锁"
    with pytest.raises(NotFound, match=r"the only post here is 'p\.md'"):
        posts.read("other.md")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match="nowhere"):
        list(MarkdownPosts(tmp_path / "nowhere").list_posts())


def test_front_matter_becomes_the_article(tmp_path):
    article = read(tmp_path, POST, "blog/p.md")
    assert (article.id, article.title, article.language) == ("blog/p.md", "开放与封锁", "zh")
    assert (article.description, article.section, article.tags) == ("一句说明", "技术", ("开源", "社区"))
    assert (article.text, article.cover) == ("小节\n正文在此。", "")


@pytest.mark.parametrize(("content", "title"), [
    ("# First\n\ntext", "First"), ("---\ntitle: Front\n---\n# First", "Front"), ("+++\ntitle = 'Toml'\n+++\nx", "Toml"),
    ("text only", "open source"), ("---\ntitle:\n---\n# First\n\nx", "First"), ("---\ntitle: 2024\n---\nx", "2024")])
def test_the_title_comes_from_front_matter_then_heading_then_file_name(tmp_path, content, title):
    assert read(tmp_path, content, "2024-01-02-open-source.md").title == title


def test_the_title_is_not_repeated_in_the_text(tmp_path):
    assert read(tmp_path, "# First\n\ntext").text == "text"


@pytest.mark.parametrize(("tags", "expected"), [
    ("tags: a, b", ("a", "b")), ("tags: 甲、乙，丙", ("甲", "乙", "丙")), ("tags:\n- a\n- a\n- b", ("a", "b")),
    ("tags:", ()), ("keywords: [k]", ("k",)), ("tags: ~", ()), ("tags: {a: b}", ())])
def test_tags_are_read_as_lists_and_as_text(tmp_path, tags, expected):
    assert read(tmp_path, f"---\n{tags}\n---\nwords").tags == expected


@pytest.mark.parametrize("key", ["title", "tags", "categories"])
def test_a_list_that_aliases_make_endless_is_read_in_time(tmp_path, key):
    lists = "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 12))
    started = time.perf_counter()
    article = read(tmp_path, f"---\na0: &a0 [x]\n{lists}{key}: [*a11, y]\n---\nwords")
    assert (article.title, article.section, article.tags)[("title", "categories", "tags").index(key)] in ("y", ("y",))
    assert time.perf_counter() - started < 1


def test_of_a_thousand_tags_the_first_hundred_are_read(tmp_path):
    assert read(tmp_path, f"---\ntags: {','.join(map(str, range(1000)))}\n---\nwords").tags == tuple(map(str, range(100)))


@pytest.mark.parametrize("encoding", ["gbk", "utf-8-sig", "utf-16"])
def test_encodings_are_detected(tmp_path, encoding):
    assert read(tmp_path, POST.encode(encoding)).title == "开放与封锁"


def test_gbk_html_declared_as_utf8_is_read(tmp_path):
    html = "<meta charset='utf-8'><title>开放与封锁</title><p>只有开放才能打败封锁。</p>"
    article = read(tmp_path, html.encode("gbk"), "p.html")
    assert (article.title, article.language) == ("开放与封锁", "zh")


@pytest.mark.parametrize(("content", "rule"), [
    ("", "the post has no words"), ("\n\n  \n", "the post has no words"), ("😀😀", "the post has no words"),
    (b"words\0more", "NUL byte at 5"), (b"x" * (10 * 1024 * 1024 + 1), "10485761 bytes; at most"),
    ("---\ntitle: a: b\n---\nx", "front matter, line 2"), ("---\ntitle: [\n---\nx", "front matter, line")])
def test_a_bad_file_is_refused_naming_the_post_and_the_rule(tmp_path, content, rule):
    with pytest.raises(Refused, match=rule) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith("p.md: ")
    assert "\n" not in str(caught.value)


def test_deeply_nested_html_is_refused(tmp_path):
    with pytest.raises(Refused, match="nested more than 250 deep"):
        read(tmp_path, "<div>" * 200_000, "p.html")


def test_ten_megabytes_of_words_are_read(tmp_path):
    assert len(read(tmp_path, ("很长的文章。" * 50 + "\n\n") * 11_000).text) > 3_000_000


@pytest.mark.parametrize(("title", "clean"), [
    ("标" * 500, "标" * 500), ("'<script>alert(1)</script>'", "<script>alert(1)</script>"), ("'{{7*7}}'", "{{7*7}}"),
    ('"a\\ud800b"', "ab"), ('"a\\u202eb\\u200bc"', "abc"), ('"a\\nb"', "a b")])
def test_an_odd_title_is_words_in_plain_characters(tmp_path, title, clean):
    assert read(tmp_path, f"---\ntitle: {title}\n---\nwords").title == clean


def test_surrogates_and_bidi_overrides_do_not_reach_the_text(tmp_path):
    assert read(tmp_path, b"ab\xed\xa0\x80cd \xe2\x80\xaeef").text == "abcd ef"


@pytest.mark.parametrize("post_id", [
    "../secret.md", "sub/../../secret.md", "/etc/passwd", "a\0.md", "", ".", "..\\secret.md", "x" * 5000 + ".md"])
def test_an_id_never_leads_out_of_the_folder(tmp_path, post_id):
    put(tmp_path, "secret.md")
    put(tmp_path, "posts/p.md")
    with pytest.raises(Refused):
        MarkdownPosts(tmp_path / "posts").read(post_id)


def test_a_link_out_of_the_folder_is_neither_listed_nor_read_nor_written(tmp_path):
    secret = put(tmp_path, "secret.md")
    put(tmp_path, "posts/p.md")
    (tmp_path / "posts/link.md").symlink_to(secret)
    (tmp_path / "posts/folder").symlink_to(tmp_path, target_is_directory=True)
    posts = MarkdownPosts(tmp_path / "posts")
    assert list(posts.list_posts()) == ["p.md"]
    for post_id in ("link.md", "folder/secret.md"):
        with pytest.raises(Refused, match="leads out of the folder"):
            posts.read(post_id)
        with pytest.raises(Refused, match="leads out of the folder"):
            posts.write_cover(post_id, a_cover("/c.png"))
    assert secret.read_text() == POST


def test_a_link_that_leads_to_itself_stops_only_itself(tmp_path):
    put(tmp_path, "a.md")
    (tmp_path / "l.md").symlink_to(tmp_path / "l.md")
    put(tmp_path, "z.md")
    posts = MarkdownPosts(tmp_path)
    assert list(posts.list_posts()) == ["a.md", "l.md", "z.md"]
    with pytest.raises(Refused, match=r"^posts: 'l\.md' cannot be opened: Symlink loop"):
        posts.read("l.md")


def test_a_folder_that_may_not_be_entered_stops_only_its_own_posts(tmp_path, monkeypatch):
    put(tmp_path, "a.md")
    put(tmp_path, "closed/b.md")
    real = Path.is_file

    def is_file(path):  # root may enter every folder, so the refusal is played
        if path.parent.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    posts = MarkdownPosts(tmp_path)
    assert list(posts.list_posts()) == ["a.md", "closed/b.md"]
    with pytest.raises(Refused, match=r"^posts: 'closed/b\.md' cannot be opened: Permission denied$"):
        posts.read("closed/b.md")
    with pytest.raises(Refused, match=r"closed/_config\.yml' cannot be opened: Permission denied$"):
        list(MarkdownPosts(tmp_path / "closed").list_posts())


def test_a_sibling_that_cannot_be_read_or_listed_is_passed_over(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.md")
    path = put(tmp_path, "p.md")
    assert MarkdownPosts(tmp_path).write_cover("p.md", a_cover("/c.png")).changed

    def iterdir(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert MarkdownPosts(tmp_path).write_cover("p.md", a_cover("/d.png"), force=True).changed
    assert "/d.png" in path.read_text()


def test_a_place_with_a_name_too_long_is_refused(tmp_path):
    with pytest.raises(Refused, match=r"^posts: '.{200}' cannot be opened: File name too long$"):
        MarkdownPosts(tmp_path / ("x" * 5000))
    with pytest.raises(Refused, match=r"^posts: 'x{200}' cannot be opened: File name too long$"):
        MarkdownPosts(tmp_path).read("x" * 5000 + ".md")


@pytest.mark.parametrize("broken", [b"\xed\xa0\x80", b"\xe5\xbc"])
def test_half_a_character_in_the_head_of_a_page_is_left_out(tmp_path, broken):
    words = "只有开放才能打败封锁。".encode() * 20
    page = b"<head><title>a" + broken + b"b</title></head><body><p>" + words + broken + b"</p></body>"
    assert read(tmp_path, page, "p.html").title == "ab"


def test_a_missing_post_and_a_file_that_is_no_post_are_told_apart(tmp_path):
    put(tmp_path, "a.txt")
    with pytest.raises(NotFound, match=r"'b\.md' does not exist"):
        MarkdownPosts(tmp_path).read("b.md")
    with pytest.raises(Refused, match="posts end in"):
        MarkdownPosts(tmp_path).read("a.txt")


def test_writing_a_cover_changes_nothing_else_and_is_read_back(tmp_path):
    path = put(tmp_path, "p.md")
    posts = MarkdownPosts(tmp_path)
    assert posts.write_cover("p.md", a_cover("/c.png", "一幅画")).changed
    assert path.read_text() == POST.replace("一句说明\n", '一句说明\ncover: "/c.png"\ncover_alt: "一幅画"\n')
    assert posts.read("p.md").cover == "/c.png"


def test_a_cover_that_is_there_is_kept_unless_forced(tmp_path):
    path = put(tmp_path, "p.md", "---\ncover: old.png # mine\n---\nwords")
    posts = MarkdownPosts(tmp_path)
    assert not posts.write_cover("p.md", a_cover("/c.png")).changed
    assert path.read_text() == "---\ncover: old.png # mine\n---\nwords"
    assert posts.write_cover("p.md", a_cover("/c.png"), force=True).changed
    assert path.read_text() == '---\ncover: "/c.png" # mine\n---\nwords'


def test_writing_the_same_cover_twice_leaves_the_file_alone(tmp_path):
    path = put(tmp_path, "p.md")
    posts = MarkdownPosts(tmp_path)
    assert posts.write_cover("p.md", a_cover("/c.png", "x"), force=True).changed
    before = path.stat().st_ino, path.read_bytes()
    assert not posts.write_cover("p.md", a_cover("/c.png", "x"), force=True).changed
    assert (path.stat().st_ino, path.read_bytes()) == before


def test_the_cover_goes_where_the_sibling_posts_have_theirs(tmp_path):
    put(tmp_path, "a.md", "---\ncover:\n  image: a.png\n---\n")
    put(tmp_path, "broken.md", "---\n[\n---\n")
    path = put(tmp_path, "p.md", "---\ntitle: x\n---\n")
    MarkdownPosts(tmp_path).write_cover("p.md", a_cover("/c.png"))
    assert path.read_text() == '---\ntitle: x\ncover:\n  image: "/c.png"\n---\n'


def test_encoding_mark_and_mode_of_the_file_stay(tmp_path):
    path = put(tmp_path, "p.md", POST.encode("gbk"))
    path.chmod(0o640)
    MarkdownPosts(tmp_path).write_cover("p.md", a_cover("/c.png", "画😀"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    written = path.read_bytes().decode("gbk")
    assert 'cover_alt: "画\\U0001f600"' in written
    assert written.startswith(POST[:10])
    marked = put(tmp_path, "m.md", b"\xef\xbb\xbf" + POST.encode())
    MarkdownPosts(tmp_path).write_cover("m.md", a_cover("/c.png"))
    assert marked.read_bytes().startswith(b"\xef\xbb\xbf---\n")


def test_a_link_inside_the_folder_stays_a_link(tmp_path):
    put(tmp_path, "real.md")
    (tmp_path / "link.md").symlink_to(tmp_path / "real.md")
    MarkdownPosts(tmp_path).write_cover("link.md", a_cover("/c.png"))
    assert (tmp_path / "link.md").is_symlink()
    assert "/c.png" in (tmp_path / "real.md").read_text()


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = put(tmp_path, "p.md")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(Exception, match="cannot be written: No space left"):
        MarkdownPosts(tmp_path).write_cover("p.md", a_cover("/c.png"))
    assert path.read_text() == POST
    assert [file.name for file in tmp_path.iterdir()] == ["p.md"]


def test_ctrl_c_while_writing_leaves_no_draft(tmp_path, monkeypatch):
    path = put(tmp_path, "p.md")

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        MarkdownPosts(tmp_path).write_cover("p.md", a_cover("/c.png"))
    assert path.read_text() == POST
    assert [file.name for file in tmp_path.iterdir()] == ["p.md"]


def test_a_plain_page_gets_its_cover_in_the_head(tmp_path):
    path = put(tmp_path, "p.html", "<html>\r\n<head>\r\n<title>t</title>\r\n</head><body>words</body></html>")
    posts = MarkdownPosts(tmp_path)
    assert posts.write_cover("p.html", a_cover("/c.png?a=1&b=2", 'say "hi"')).changed
    assert path.read_bytes().decode() == (
        '<html>\r\n<head>\r\n<title>t</title>\r\n<meta property="og:image" content="/c.png?a=1&amp;b=2">\r\n'
        '<meta property="og:image:alt" content="say &quot;hi&quot;">\r\n</head><body>words</body></html>')
    assert posts.read("p.html").cover == "/c.png?a=1&b=2"
    assert not posts.write_cover("p.html", a_cover("/d.png")).changed
    assert posts.write_cover("p.html", a_cover("/d.png"), force=True).changed
    assert path.read_text().count("og:image\"") == 1


@pytest.mark.parametrize("head", [
    '<!-- <meta property="og:image" content=""> -->', '<!-- </head> -->', '<meta property="og:image" content="a<b>c">',
    "<META content='>' property = og:image>", '<meta name="og:image" content="old">',
    '<meta property="og:image:alt" content="<">', """<script>'<meta property="og:image" content="">'</script>"""])
def test_a_page_gets_a_cover_that_its_readers_find(tmp_path, head):
    path = put(tmp_path, "p.html", f"<!-- <head> --><html><head>{head}</head><body>words</body></html>")
    posts = MarkdownPosts(tmp_path)
    assert posts.write_cover("p.html", a_cover("/c.png", "alt"), force=True).changed
    assert posts.read("p.html").cover == "/c.png"
    before = path.read_bytes()
    assert not posts.write_cover("p.html", a_cover("/c.png", "alt"), force=True).changed
    assert path.read_bytes() == before
    for kept in ("<!-- <head> -->", *(head for _ in range("<!--" in head or "<script>" in head))):
        assert kept in before.decode()


@pytest.mark.parametrize("head", [
    "<script>'</head>'</script>", "<noscript></head></noscript>", "<meta property='og:image' content='", "<!-- "])
def test_a_cover_that_no_reader_would_find_is_not_written(tmp_path, head):
    path = put(tmp_path, "p.html", before := f"<html><head>{head}</head><body>words--></body></html>")
    with pytest.raises(Refused, match=r"p\.html: it"):
        MarkdownPosts(tmp_path).write_cover("p.html", a_cover("/c.png", "alt"))
    assert path.read_text() == before


def test_html_with_front_matter_gets_its_cover_there(tmp_path):
    path = put(tmp_path, "p.html", "---\ntitle: t\n---\n<p>words</p>")
    MarkdownPosts(tmp_path).write_cover("p.html", a_cover("/c.png"))
    assert path.read_text() == '---\ntitle: t\ncover: "/c.png"\n---\n<p>words</p>'


def test_a_page_without_a_head_is_refused(tmp_path):
    put(tmp_path, "p.html", "<p>words</p>")
    with pytest.raises(Refused, match=r"p\.html: it has no <head>"):
        MarkdownPosts(tmp_path).write_cover("p.html", a_cover("/c.png"))
