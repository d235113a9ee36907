import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.safety.normalise import CLAUSE, INVISIBLE, JOINT, NOTHING, SPACE, normalise


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("ＡＢＣ１２", "abc12"),
        ("線上賭博", "线上赌博"),
        ("Café NAÏVE", "cafenaive"),
        ("cafe\u0301", "cafe"),
        ("Straße", "strasse"),
        ("赌&#8203;博&nbsp;&amp;", "赌博"),
        ("&#x8d4c;&#21338;", "赌博"),
        ("𝐝𝐮𝐛𝐨", "dubo"),
        ("dub\u043e", "dubo"),
        ("\u03c1\u043er\u0578", "por\u0578"), ("\u0440\u03bfr\u03b7", "porn"),
        ("①②", "12"),
        ("\u2f57", "父"),
        ("a\u3164b\u115fc\u1160d\uffa0e", "abcde"),
        ("가", "가"),
        ("が", "が"),
        ("\ud800x\x00y", "xy"),
        ("🎲\u202e\ue000\U000e0061", ""),
        ("", ""),
    ],
)
def test_what_hides_a_word_is_taken_away(source, expected):
    assert normalise(source).text == expected


@pytest.mark.parametrize(
    ("between", "gap"),
    [("", NOTHING), ("\u200b", INVISIBLE), ("·", JOINT), ("🎲", JOINT), (" ", SPACE), ("\n", SPACE), ("。", CLAUSE)],
)
def test_a_letter_knows_what_stood_before_it(between, gap):
    assert normalise(f"a{between}b").gaps == [NOTHING, gap]


def test_the_widest_of_several_gaps_counts():
    assert normalise("a\u200b 。\u200bb").gaps[1] == CLAUSE


def test_offsets_lead_back_to_the_source():
    source = "x &amp; 賭&#8203;ß"
    normal = normalise(source)
    assert [source[start:end] for start, end in zip(normal.starts, normal.ends, strict=True)] == ["x", "賭", "ß", "ß"]


def test_an_entity_that_is_none_is_text():
    assert normalise("AT&T&nosuch;").text == "attnosuch"


@given(st.text())
def test_any_text_gives_offsets_that_rise_and_stay_inside(source):
    normal = normalise(source)
    assert len(normal.text) == len(normal.starts) == len(normal.ends) == len(normal.gaps)
    assert normal.starts == sorted(normal.starts)
    assert all(0 <= start < end <= len(source) for start, end in zip(normal.starts, normal.ends, strict=True))


@given(st.text())
def test_normal_text_is_normal_already(source):
    assert normalise(normalise(source).text).text == normalise(source).text
