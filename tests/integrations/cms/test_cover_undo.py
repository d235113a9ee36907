"""Taking a cover out of a file again: what stays, what comes back, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.cms.markdown_posts import MarkdownPosts
from integrations.errors import Refused
from tests.integrations.cms.pictures import a_cover

YAML = "---\ntitle: t # mine\ntags: [a]\n---\nwords\n"
LINES = st.lists(unique_by=lambda line: line.split(":")[0], elements=st.sampled_from([
    "title: t", "tags: [a, b]", "cover:", "cover: old.png # mine", "cover: {image: a.png}", "image: /x.png", "# a remark", "",
    "image:\n  path: a\n  alt: b", "heroImage: ''", "text: |\n  cover: not this", "other: 'x'"]))


def put(folder, content, name="p.md"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write(folder, name="p.md", **options):
    return MarkdownPosts(folder).write_cover(name, a_cover("/c.png", "一幅画"), **options)


def restore(folder, written, name="p.md"):
    return MarkdownPosts(folder).restore(name, written)


@pytest.mark.parametrize(("name", "content"), [
    ("p.md", YAML), ("p.md", YAML.replace("\n", "\r\n")), ("p.md", "words only"), ("p.md", "+++\ntitle = 't'\n+++\nwords"),
    ("p.md", "---\n{title: t}\n---\nwords"), ("p.md", "---\ntitle: t\ncover:\n  image: a.png\n---\nwords"),
    ("p.md", "---\ncover: a\n---\nwords cover: a"),
    ("p.md", YAML.replace("words", '---\ncover: "/c.png"\ncover_alt: "一幅画"')),
    ("p.md", YAML.encode("utf-16")), ("p.md", ("---\ntitle: 标题与正文\n---\n" + "开放与封锁，正文在此。" * 9).encode("gbk")),
    ("p.html", "<html>\r\n<head><title>t</title></head><body>words</body></html>"),
    ("p.html", "<head>\n<meta property='og:image' content='a'>\n</head>words")])
def test_every_byte_comes_back(tmp_path, name, content):
    path = put(tmp_path, content, name)
    before = path.read_bytes()
    written = write(tmp_path, name, force=True)
    assert written.changed
    assert path.read_bytes() != before
    assert restore(tmp_path, written, name)
    assert path.read_bytes() == before


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "words", "cover: x\n---\n"]))
def test_every_byte_of_any_front_matter_comes_back(tmp_path_factory, lines, newline, body):
    folder = tmp_path_factory.mktemp("posts")
    path = put(folder, "\n".join(["---", *lines, "---", body]).replace("\n", newline))
    before = path.read_bytes()
    written = write(folder, force=True)
    assert restore(folder, written)
    assert path.read_bytes() == before


def test_what_was_changed_elsewhere_in_front_matter_and_body_stays(tmp_path):
    path = put(tmp_path, YAML)
    written = write(tmp_path)
    path.write_text(path.read_text().replace("title: t", "title: new").replace("[a]", "[a, b]") + "more\n")
    assert restore(tmp_path, written)
    assert path.read_text() == "---\ntitle: new # mine\ntags: [a, b]\n---\nwords\nmore\n"


def test_the_old_cover_put_back_by_hand_is_taken_as_done(tmp_path):
    path = put(tmp_path, "---\ncover: a.png\n---\nwords")
    written = write(tmp_path, force=True)
    path.write_text("---\ntitle: x\ncover: 'a.png'\n---\nwords")
    assert restore(tmp_path, written) is False


@pytest.mark.parametrize(("old", "new"), [
    ('cover: "/c.png"', "cover: /mine.png"), ("一幅画", "两幅画"), ('cover: "/c.png"', "cover:\n  image: /c.png"),
    ('cover_alt: "一幅画"\n', 'cover_alt: "一幅画"\n  going on\n')])
def test_lines_that_somebody_changed_are_refused_with_both_covers(tmp_path, old, new):
    path = put(tmp_path, YAML)
    written = write(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    before = path.read_bytes()
    with pytest.raises(Refused) as caught:
        restore(tmp_path, written)
    assert path.read_bytes() == before
    assert str(caught.value).startswith("p.md: ")


def test_what_somebody_added_below_our_lines_is_never_left_hanging(tmp_path):
    path = put(tmp_path, "+++\ntitle = 't'\n+++\nwords")
    written = write(tmp_path)
    path.write_text(path.read_text().replace("\n+++\nwords", "\ncaption = 'mine'\n+++\nwords"))
    before = path.read_text()
    assert "[cover]" in before
    with pytest.raises(Refused, match=r"its lines have changed since, so 'no cover' is not put back"):
        restore(tmp_path, written)
    assert path.read_text() == before


def test_both_sides_are_json_that_names_the_covers(tmp_path):
    put(tmp_path, "---\ncover: a.png\n---\nwords")
    written = write(tmp_path, force=True)
    assert (json.loads(written.before)["cover"], json.loads(written.now)["cover"]) == ("a.png", "/c.png")
