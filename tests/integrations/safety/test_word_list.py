import re

import pytest

from integrations.errors import NotFound, Refused
from integrations.safety.word_list import bundled_lists, load_words

HEADER = "word,category,level,action,source,licence\n"
GOOD = "赌博,gambling,review,flag,own,Apache-2.0\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="words.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_line_becomes_a_rule(write):
    (rule,) = load_words([write(HEADER + GOOD)]).rules
    assert (rule.word, rule.category, rule.level, rule.action) == ("赌博", "gambling", "review", "flag")
    assert (rule.source, rule.licence, rule.expression) == ("own", "Apache-2.0", "")


def test_a_word_between_slashes_is_a_regular_expression(write):
    (rule,) = load_words([write(HEADER + "/qq[0-9]{5}/,spam,review,flag,own,CC0\n")]).rules
    assert rule.expression == "qq[0-9]{5}"


def test_excels_byte_order_mark_line_ends_and_empty_lines_are_read(write):
    path = write(b"\xef\xbb\xbf" + (HEADER + "\n" + GOOD + "\n").replace("\n", "\r\n").encode())
    assert len(load_words([path]).rules) == 1


def test_the_version_follows_the_files_content(write):
    one, two = write(HEADER + GOOD, "a.csv"), write(HEADER, "b.csv")
    assert re.fullmatch(r"[0-9a-f]{12}", load_words([one]).version)
    assert load_words([one]).version == load_words([write(HEADER + GOOD, "c.csv")]).version
    assert len({load_words([one]).version, load_words([two]).version, load_words([one, two]).version}) == 3


def line(word="赌博", category="gambling", level="review", action="flag", source="own", licence="CC0"):
    return f"{word},{category},{level},{action},{source},{licence}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r":1: the columns are ''; they must be 'word,category,level,action,source,licence'"),
        ("word,category\n", r":1: the columns are 'word,category'; they must be "),
        (HEADER + GOOD + "赌场,gambling\n", r":3: the line has 2 fields; it must have 6: word, category"),
        (HEADER + line(level="high"), r":2: level is 'high'; it must be one of block, review, note"),
        (HEADER + line(action="delete"), r":2: action is 'delete'; it must be one of flag, allow"),
        (HEADER + line(word=" "), r":2: word is empty"),
        (HEADER + line(category=""), r":2: category is empty"),
        (HEADER + line(source=""), r":2: source is empty"),
        (HEADER + line(licence=""), r":2: licence is empty"),
        (HEADER + line(word="赌"), r":2: word '赌' has 1 letters or digits; at least 2 are needed"),
        (HEADER + line(word="!?"), r":2: word '!\?' has 0 letters or digits"),
        (HEADER + line(word="赌" * 201), r":2: word has 201 characters; at most 200 are allowed"),
        (HEADER + GOOD + line(word="賭 博"), r":3: '賭 博' reads the same as the word in line 2"),
        (HEADER + line(word="/qq[/"), r":2: the regular expression /qq\[/ is wrong: "),
        (HEADER + line(word="/q*/"), r":2: the regular expression /q\*/ matches nothing at all"),
        (HEADER + '"赌博,gambling\n', r":2: this is no CSV: "),
        (HEADER.encode() + GOOD.encode() + "赌场".encode("gbk") + b"\n", r":3: the word list is not UTF-8"),
    ],
)
def test_a_bad_list_is_refused_with_file_and_line(write, text, problem):
    path = write(text)
    with pytest.raises(Refused, match=rf"^{re.escape(str(path))}(?:{problem})") as caught:
        load_words([path])
    assert "\n" not in str(caught.value)


def test_a_missing_list_is_not_found(tmp_path):
    with pytest.raises(NotFound, match=r"none\.csv: there is no such word list$"):
        load_words([tmp_path / "none.csv"])


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(Refused, match=r": the word list cannot be read: Is a directory$"):
        load_words([tmp_path])


def test_the_bundled_lists_are_ours_to_give_and_cover_every_level():
    rules = load_words(bundled_lists()).rules
    assert {rule.licence for rule in rules} == {"Apache-2.0"}
    assert {rule.category for rule in rules} == {"advertising", "gambling", "scam", "spam", "sexual"}
    assert {rule.level for rule in rules} == {"block", "review", "note"}


def test_every_bundled_word_is_found_in_a_sentence_or_excused_by_an_allowed_one():
    from integrations.safety.words import WordListScreen

    words = load_words(bundled_lists())
    screen = WordListScreen(words)
    flagged = [rule for rule in words.rules if rule.action == "flag" and not rule.expression]
    missed = [rule.word for rule in flagged if not screen.check(f"看：{rule.word}。", "body").findings]
    assert missed == []
