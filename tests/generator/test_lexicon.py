"""The lexicon: words in texts, the longest first, singular and plural, and nothing inside other English words."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.errors import CheckpointError
from generator.lexicon import Lexicon, load_lexicon, stem
from generator.topics import lexicon, topic_words

WORDS = Lexicon({"cloud": ("云", "云原生", "cloud native"), "hills": ("山", "mountain", "cherry"),
                 "car": ("C++", "T恤", "bus", "won", "right of way")})
NAMES = tuple(WORDS.words)


def named(text):
    return [(text[found.start:found.end], NAMES[found.motif]) for found in WORDS.find(text)]


@pytest.mark.parametrize(("text", "words"), [
    ("云原生在山上", [("云原生", "cloud"), ("山", "hills")]),
    ("Cloud-Native and cloud native", [("Cloud-Native", "cloud"), ("cloud native", "cloud")]),
    ("cloud, native", []),
    ("mountainous mountains", [("mountains", "hills")]),
    ("cherries", [("cherries", "hills")]),
    ("a bus, two buses, C++", [("bus", "car"), ("C++", "car")]),
    ("一件T恤", [("T恤", "car")]),
    ("#mountain C++教育", [("mountain", "hills"), ("C++", "car")]),
    ("bus+公交 & mountain's", [("bus+", "car"), ("mountain's", "hills")]),
    ("Zürichmountain mountainé busé", []),
    ("won't, they're, rights", []),
    ("", []),
])
def test_words_are_found_whole_and_the_longest_first(text, words):
    assert named(text) == words


@given(st.text(max_size=80))
@settings(deadline=None)
def test_any_text_is_read_and_no_word_overlaps_another(text):
    found = WORDS.find(text)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert all(0 <= word.start < word.end <= len(text) for word in found)


def test_a_lexicon_comes_back_from_its_file(tmp_path):
    WORDS.save(tmp_path)
    assert load_lexicon(tmp_path).words == WORDS.words


def test_a_lexicon_with_an_endless_word_is_refused(tmp_path):
    Lexicon({"cloud": ("云" * 65,)}).save(tmp_path)
    with pytest.raises(CheckpointError, match="65 characters"):
        load_lexicon(tmp_path)


@pytest.mark.parametrize("word", ["right", "new", "number", "forty", "won't", "leave"])
def test_common_words_name_no_motif(word):
    assert not lexicon().find(word)


@pytest.mark.parametrize(("word", "alone"), [
    ("boxes", "box"), ("cities", "city"), ("glass", "glass"), ("bus", "bus"), ("trees", "tree")])
def test_a_regular_plural_loses_its_ending(word, alone):
    assert stem(word) == alone


def test_every_topic_word_is_found_as_its_own_motif():
    names = tuple(lexicon().words)
    for motif, by_language in topic_words().items():
        for word in (*by_language["zh"], *by_language["en"]):
            assert [names[found.motif] for found in lexicon().find(word)] == [motif], word
