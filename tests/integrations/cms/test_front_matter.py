"""Reading front matter, and writing a cover into it without touching anything else."""

import re
import time
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from integrations.cms.cover_edit import with_cover
from integrations.cms.front_matter import (
    ASTRO,
    HEXO,
    JEKYLL,
    JEKYLL_MAP,
    JEKYLL_SRC,
    PAPERMOD,
    choose_dialect,
    cover_of,
    parse_block,
    read_front_matter,
)
from integrations.errors import Refused

DIALECTS = (HEXO, PAPERMOD, ASTRO, JEKYLL, JEKYLL_MAP, JEKYLL_SRC)


def write(text, dialect=None, cover="/covers/1.png", alt="一幅 \"画\"", encoding="utf-8"):
    matter = read_front_matter(text)
    chosen = dialect or choose_dialect(matter.fields, [], matter.format)
    return with_cover(text, cover, alt, chosen, name="post.md", encoding=encoding)


@pytest.mark.parametrize(("text", "cover"), [
    ("---\ncover: /a.png\n---\n", "/a.png"),
    ("---\ntop_img: /t.png\n---\n", "/t.png"),
    ("---\ntop_img: /t.png\ncover: /a.png\n---\n", "/a.png"),
    ("---\ntop_img: false\n---\n", ""),
    ("---\ncover: false\n---\n", "false"),
    ("---\ncover:\n  image: a.png\n  alt: b\n  caption: c\n---\n", "a.png"),
    ("---\nimage: /b.png\n---\n", "/b.png"),
    ("---\nimage:\n  path: /b.png\n  alt: x\n---\n", "/b.png"),
    ("---\nheroImage: ../h.png\n---\n", "../h.png"),
    ("---\ncover: [a.png, b.png]\n---\n", "a.png"),
    ("---\ncover:\n---\n", ""), ("---\ncover: ~\n---\n", ""), ("---\ncover: ''\n---\n", ""), ("no front matter", ""),
    ("+++\n[cover]\nimage = 'a.png'\n+++\n", "a.png"),
    ("+++\ncover = 'a.png'\n+++\n", "a.png"),
    ("+++\ncover = false\n+++\n", "false"),
    ("---\r\ncover: /a.png\r\n---\r\nbody", "/a.png"),
])
def test_the_cover_a_post_already_has_is_found(text, cover):
    assert cover_of(read_front_matter(text).fields) == cover


@pytest.mark.parametrize("text", [
    "", "---", "---\n", "---\ntitle: x\n", "a\n---\nb: c\n---\n", "---\nwords\n---\nmore", "---\n- a\n---\n",
    "+++\nno closing = 1\n", " ---\na: b\n---\n"])
def test_a_text_without_front_matter_is_all_body(text):
    matter = read_front_matter(text)
    assert (matter.format, dict(matter.fields), text[matter.body_start :]) == ("none", {}, text)


@pytest.mark.parametrize("text", [
    "---\ntitle: x\n---\nbody", "---\r\ntitle: x\r\n---\r\nbody", "--- \ntitle: x\n---\t\nbody",
    "+++\ntitle = 'x'\n+++\nbody"])
def test_the_body_begins_after_the_closing_line(text):
    matter = read_front_matter(text)
    assert text[matter.body_start :] == "body"
    assert matter.fields == {"title": "x"}


@pytest.mark.parametrize(("text", "rule"), [
    ("---\ntitle: a: b\n---\n", r"p\.md: front matter, line 2: mapping values are not allowed here"),
    ("---\na: 1\n\tb: 2\n---\n", r"p\.md: front matter, line 3"),
    ("---\na: \x07\n---\n", r"p\.md: front matter"),
    ("\n\n---\ntitle: a: b\n---\n", r"p\.md: front matter, line 4"),
    ("+++\na = \n+++\n", r"p\.md: front matter: Invalid value \(at line 1"),
    ("+++\n" + "a." * 9000 + "b = 1\n+++\n", r"p\.md: front matter: a line of TOML has more than 1000 dots"),
    ("+++\na = " + "1" * 5000 + "\n+++\n", r"p\.md: front matter: Exceeds the limit"),
    ("---\n" + "[" * 60_000 + "\n---\n", r"p\.md: front matter"),
    ("+++\na = " + "[" * 60_000 + "\n+++\n", r"p\.md: front matter"),
    ("---\na: " + "x" * 70_000 + "\n---\n", r"p\.md: its front matter has 70004 characters; at most 65536"),
])
def test_malformed_front_matter_names_the_post_and_the_place(text, rule):
    with pytest.raises(Refused, match=rule) as caught:
        read_front_matter(text, "p.md")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [
    "\n---\ntitle: x\n---\nbody", " \t\r\n\n+++\ntitle = 'x'\n+++\nbody", "----\ntitle: x\n----\nbody",
    "------ \r\ntitle: x\r\n------\r\nbody", "---\ntitle: x\n-----\nbody", "---\ntitle: x\n...\nbody"])
def test_blank_lines_above_and_longer_fences_are_read_and_written(text):
    matter = read_front_matter(text)
    assert (matter.fields, text[matter.body_start :]) == ({"title": "x"}, "body")
    written = write(text, HEXO, "/c.png", "")
    assert read_front_matter(written).fields == {"title": "x", "cover": "/c.png"}
    assert others(written) == others(text)


@pytest.mark.parametrize(("text", "form"), [
    ("title: x\ndate: 2024-01-01\ncover: /a.png\n---\nbody", "front matter without a line `---` above it"),
    ("\r\ntitle: x\r\n\r\ncover: /a.png\r\n-----\r\nbody", "front matter without a line `---` above it"),
    (';;;\n"title": "x",\n"cover": "/a.png"\n;;;\nbody', "JSON front matter that ends with `;;;`"),
    ('"title": "x",\n"cover": "/a.png"\n;;;\nbody', "JSON front matter that ends with `;;;`"),
    ('\n{\n "title": "x", "n": 1, "cover": "/a.png"\n}body', "JSON front matter"),
])
def test_forms_that_cannot_be_written_are_read_all_the_same(text, form):
    matter = read_front_matter(text)
    assert (matter.fields["title"], cover_of(matter.fields), text[matter.body_start :]) == ("x", "/a.png", "body")
    with pytest.raises(Refused, match=rf"post\.md: its cover cannot be set in {re.escape(form)}; write it as YAML"):
        write(text)


@pytest.mark.parametrize(("text", "form"), [
    ('{"title": }\nbody', "JSON front matter that cannot be read"), ('{"a":' * 60_000, "JSON front matter that"),
    (";;;\nwrong\n;;;\nbody", "begins with ';;;'"), (" ---\ntitle: x\n---\nbody", "begins with '---'"),
    ("---\ntitle: x\nbody", "begins with '---'"), ("Title: x\nDate: y\n\nbody", "begins with 'Title: x'"),
])
def test_what_looks_like_front_matter_is_never_hidden_behind_a_new_block(text, form):
    assert read_front_matter(text).format == "none"
    with pytest.raises(Refused, match=form):
        write(text)


@pytest.mark.parametrize("text", [
    "words\n---\nmore", "note: I went there.\n\nThen came back.\n\n---\n\nmore", "第一章：开始\n---\nmore", "{% raw %}x",
    '"Yes," he said.\n;;;\n', "---\nwords\n---\nmore", "a: b"])
def test_prose_with_a_rule_in_it_gets_a_new_block(text):
    assert write(text, HEXO, "/c.png", "") == f'---\ncover: "/c.png"\n---\n{text}'


def test_impossible_dates_and_odd_numbers_stay_text():
    fields = read_front_matter("---\ndate: 2024-02-30 99:00\nn: 0o9e999\nb: yes\n---\n").fields
    assert fields == {"date": "2024-02-30 99:00", "n": "0o9e999", "b": "yes"}


@pytest.mark.parametrize(("fields", "dialect"), [
    ({"cover": "x"}, HEXO), ({"cover": {"image": "x"}}, PAPERMOD), ({"cover": {}}, PAPERMOD),
    ({"heroImage": ""}, ASTRO),
    ({"image": "x"}, JEKYLL), ({"image": {"path": "x"}}, JEKYLL_MAP), ({"image": {"src": "x"}}, JEKYLL_SRC),
    ({"cover": ""}, HEXO), ({"title": "x"}, HEXO), ({"top_img": "x"}, HEXO)])
def test_the_fields_of_the_post_decide_the_dialect(fields, dialect):
    assert choose_dialect(fields, [], "yaml") == dialect


def test_without_fields_of_its_own_a_post_follows_most_of_its_siblings():
    siblings = [{"heroImage": "a"}, {"cover": {"image": "x"}}, {"cover": {"image": "y"}}, {"title": "t"}]
    assert choose_dialect({"title": "x"}, siblings, "yaml") == PAPERMOD
    assert choose_dialect({"cover": ""}, siblings, "yaml") == PAPERMOD
    assert choose_dialect({"cover": ""}, [{"heroImage": "a"}], "yaml") == HEXO
    assert choose_dialect({"image": "x"}, siblings, "yaml") == JEKYLL


def test_without_any_hint_it_is_cover_and_in_hugo_toml_a_cover_table():
    assert choose_dialect({}, [], "yaml") == HEXO
    assert choose_dialect({}, [], "toml") == PAPERMOD


@pytest.mark.parametrize(("before", "after"), [
    ("---\ntitle: x # c\n---\nbody", '---\ntitle: x # c\ncover: "/c"\ncover_alt: "b"\n---\nbody'),
    ("---\r\ncover: # none yet\r\nz: 1\r\n---\r\nx",
     '---\r\ncover: "/c" # none yet\r\ncover_alt: "b"\r\nz: 1\r\n---\r\nx'),
    ("---\ncover:\n  image: a # k\n  caption: c\n---\n",
     '---\ncover:\n  image: "/c" # k\n  alt: "b"\n  caption: c\n---\n'),
    ("---\ncover:\n    caption: c\nt: x\n---\n",
     '---\ncover:\n    image: "/c"\n    alt: "b"\n    caption: c\nt: x\n---\n'),
    ("---\ncover: {image: a, caption: c}\n---\n", '---\ncover: {alt: "b", image: "/c", caption: c}\n---\n'),
    ("---\nimage: 'a'\n---\n", '---\nimage: "/c"\nimage_alt: "b"\n---\n'),
    ("---\nimage:\n  path: a\n  alt: old\n---\n", '---\nimage:\n  path: "/c"\n  alt: "b"\n---\n'),
    ("---\nheroImage: ''\nk: |+\n  x\n\n---\n", '---\nheroImage: "/c"\nheroImageAlt: "b"\nk: |+\n  x\n\n---\n'),
    ("---\nbase: &b x.png\ncover: *b\n---\n", '---\nbase: &b x.png\ncover: "/c"\ncover_alt: "b"\n---\n'),
    ("---\ncover: >\n  a\n  b\n\n# note\nt: x\n---\n", '---\ncover: "/c"\ncover_alt: "b"\n\n# note\nt: x\n---\n'),
    ("---\n{title: x}\n---\n", '---\n{cover_alt: "b", cover: "/c", title: x}\n---\n'),
    ("---\n  title: x\n---\n", '---\n  title: x\n  cover: "/c"\n  cover_alt: "b"\n---\n'),
    ("---\n---\n", '---\ncover: "/c"\ncover_alt: "b"\n---\n'),
    ("---\n# only a note\n---\n", '---\n# only a note\ncover: "/c"\ncover_alt: "b"\n---\n'),
    ("words", '---\ncover: "/c"\ncover_alt: "b"\n---\nwords'),
    ("words\r\nmore", '---\r\ncover: "/c"\r\ncover_alt: "b"\r\n---\r\nwords\r\nmore'),
    ("+++\ntitle = 'x' # c\n+++\nb", '+++\ntitle = \'x\' # c\n[cover]\nimage = "/c"\nalt = "b"\n+++\nb'),
    ("+++\n[cover]\n# k\nimage = \"a\" # c\n[params]\nz = 1\n+++\n",
     '+++\n[cover]\n# k\nimage = "/c" # c\nalt = "b"\n[params]\nz = 1\n+++\n'),
    ("+++\n[cover]\ncaption = 'k'\n[[menu]]\ncover = 1\n+++\n",
     '+++\n[cover]\nimage = "/c"\nalt = "b"\ncaption = \'k\'\n[[menu]]\ncover = 1\n+++\n'),
    ("+++\ncover = { caption = 'a, }', image = 'x' }\n+++\n",
     '+++\ncover = { alt = "b", caption = \'a, }\', image = "/c" }\n+++\n'),
    ("+++\ncover.image = 'a'\nt = '''\n[cover]\n'''\n+++\n",
     '+++\ncover.image = "/c"\ncover.alt = "b"\nt = \'\'\'\n[cover]\n\'\'\'\n+++\n'),
    ("+++\ncover = 'x'\n[a]\n+++\n", '+++\ncover = "/c"\ncover_alt = "b"\n[a]\n+++\n'),
])
def test_only_the_cover_and_its_alt_text_change(before, after):
    assert write(before, cover="/c", alt="b") == after


def test_a_new_plain_cover_goes_above_the_tables_of_toml():
    assert write("+++\nt = 1\n[a]\nb = 2\n+++\n", HEXO, "/c", "b") == (
        '+++\nt = 1\ncover = "/c"\ncover_alt = "b"\n[a]\nb = 2\n+++\n')
    assert write("+++\n[a]\nb = 2\n+++\n", HEXO, "/c", "b") == '+++\ncover = "/c"\ncover_alt = "b"\n[a]\nb = 2\n+++\n'


def test_an_empty_alt_text_is_not_written():
    assert write("---\nt: x\n---\n", alt="") == '---\nt: x\ncover: "/covers/1.png"\n---\n'


def test_what_the_encoding_cannot_say_is_escaped():
    written = write("---\ntitle: 开放\n---\n", alt="画😀\u202e\x07", encoding="gbk")
    assert '"画\\U0001f600\\u202e\\u0007"' in written
    written.encode("gbk")


@pytest.mark.parametrize(("text", "rule"), [
    ("---\ncover: a\ncover: b\n---\n", "cannot be set"),
    ("---\nbase: &b {image: x}\n? {a: b}\n: c\n---\n", "unhashable|cannot be set"),
    ("---\ncover: &c x\nlogo: *c\n---\n", "undefined alias|cannot be set"),
    ('{\n"title": "x"\n}\nbody', "JSON front matter"),
    ('+++\ncover.image = "x"\n+++\n', "cannot be set"),
])
def test_what_cannot_be_edited_safely_is_refused(text, rule):
    with pytest.raises(Refused, match=rule):
        write(text, HEXO)


def test_a_list_that_aliases_make_endless_is_refused_in_time():
    lists = "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 12))
    started = time.perf_counter()
    with pytest.raises(Refused, match="cannot be set in"):
        write(f"---\na0: &a0 [x]\n{lists}---\n")
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("text", ["---\na: &a x\nb: [*a, *a]\n---\n", "+++\n" + "a." * 700 + "b = 1\n+++\n"])
def test_a_few_aliases_and_deep_tables_are_written_around(text):
    assert read_front_matter(write(text, HEXO, "/c")).fields["cover"] == "/c"


def test_an_empty_cover_is_refused():
    with pytest.raises(Refused, match="the cover to write is empty"):
        write("x", cover=" ")


KEYS = st.sampled_from(["title", "date", "tags", "draft", "description", "weight", "lang"])
YAML_VALUES = st.sampled_from([
    "x", "'it''s'", '"a # b"', "2024-01-01", "[a, b]  # list", "{a: b}", "", "|\n  block\n  more", "|+\n  kept\n\n",
    ">-\n  folded\n\n  more", "\n  - a\n  - b", "\n  nested: 1  # n\n  other: 'x'", "中文：标题", "~", "a   # spaced"])
TOML_VALUES = st.sampled_from([
    '"x"', "'it'", '"a # b"', "2024-01-01", "[\n 'a', # [\n 'b']", "{ a = 1 }", "true", "1_000",
    '"""\nmany\n[cover]\n"""'])
COVERS = {
    "yaml": st.sampled_from([
        "", "cover: old\n", "cover:\n", "cover:  # c\n", "cover: 'o'  # c\n", "cover_alt: z\ncover: o\n",
        "cover: {image: o}\n", "cover: [a, b]\n", "heroImage: o\n", "image: {path: o}\n"]),
    "toml": st.sampled_from([
        "", 'cover = "o" # c\n', "cover = {}\n", 'cover = {image = "o"}\n', 'cover.image = "o"\n']),
}
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@st.composite
def posts(draw):
    form = draw(st.sampled_from(["yaml", "toml"]))
    values, mark, fence = (YAML_VALUES, ":", "---") if form == "yaml" else (TOML_VALUES, " =", "+++")
    lines = [f"{key}{mark} {draw(values)}\n".replace(": \n", ":\n") for key in draw(st.lists(KEYS, unique=True))]
    lines.insert(draw(st.integers(0, len(lines))), draw(COVERS[form]))
    lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(["", "# note\n", "\n", "# cover: no\n"])))
    if form == "toml":
        lines.append(draw(st.sampled_from(["", "[params]\nz = 1\n", "[[menu]]\ncover = 3\n", "# end\n"])))
    head = f"{fence}\n{''.join(lines)}{fence}{draw(st.sampled_from(['', chr(10)]))}"
    head = head.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    return head + (draw(WORDS) if head.endswith("\n") else "")


def others(text):
    ours = re.compile(r"\s*\[?(cover|image|alt|heroImage|path|src)")
    return [line for line in re.split(r"(?<=\n)", text) if not ours.match(line)]


@given(text=posts(), dialect=st.sampled_from(DIALECTS), alt=WORDS, cover=WORDS.filter(str.strip))
@settings(max_examples=400, deadline=None)
def test_whatever_the_front_matter_looks_like_every_other_line_stays(text, dialect, alt, cover):
    matter = read_front_matter(text)
    assume(not ("cover.image" in text and dialect == HEXO))  # TOML cannot hold both; refused, see above
    written = with_cover(text, cover, alt, dialect, name="post.md")
    again = read_front_matter(written)
    assert others(written) == others(text)
    assert written[again.body_start :] == text[matter.body_start :]
    assert with_cover(written, cover, alt, dialect, name="post.md") == written
    value = again.fields
    for key in dialect.image:
        value = value[key]
    assert value == " ".join(cover.split())


@given(text=WORDS, alt=WORDS)
@settings(max_examples=100, deadline=None)
def test_a_text_without_front_matter_stays_whole_behind_the_new_block(text, alt):
    matter = read_front_matter(text)
    if matter.format == "none" and not matter.unwritable:
        newline = "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"
        assert write(text, HEXO, "/c.png", alt).endswith(f"---{newline}{text}")


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_block_is_parsed_or_refused(block):
    for form in ("yaml", "toml"):
        with suppress(Refused):
            assert isinstance(parse_block(block, form, "p"), dict | None)
