"""Topic words: which words lead to which motif. Free of skia, so that it can be asked where nothing is drawn."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import yaml

from generator.lexicon import Lexicon

FILE = Path(__file__).with_name("topics.yaml")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C reads these many words ten times as fast."""
GENERIC = "shapes"
"""The motif of a topic that no word here fits."""


@cache
def topic_words() -> dict[str, dict[str, tuple[str, ...]]]:
    """Topic words by motif and language ("zh", "en"). The first of each is the motif's own name."""
    content = yaml.load(FILE.read_text(encoding="utf-8"), Loader=LOADER)
    return {motif: {"zh": tuple(words["zh"].split()), "en": tuple(word.strip() for word in words["en"].split(","))}
            for motif, words in content.items()}


@cache
def telling_characters() -> frozenset[str]:
    """Chinese characters that stand for a motif on their own."""
    return frozenset(word for words in topic_words().values() for word in words["zh"] if len(word) == 1)


@cache
def lexicon() -> Lexicon:
    """The topic words of both languages."""
    return Lexicon({motif: (*words["zh"], *words["en"]) for motif, words in topic_words().items()})


def topics_in(text: str) -> list[tuple[str, str]]:
    """The words of `text` that lead to a motif, in order, each with its motif."""
    names = tuple(lexicon().words)
    return [(text[found.start:found.end], names[found.motif]) for found in lexicon().find(text)]


def mentions(*texts: str) -> list[str]:
    """The motifs that known words in `texts` name, in order."""
    return [motif for text in texts for _, motif in topics_in(text)]


def topic_of(sentence: str) -> str:
    """The motif that most known words of `sentence` name; of equals, the one named first. The generic one where none is known."""
    named = mentions(sentence)
    return max(named, key=named.count) if named else GENERIC


def subject_of(theme: str, subjects: Sequence[str]) -> str:
    """The motif of a template: that of the first known word among its subjects, and where none is known the theme's."""
    return next(iter(mentions(*subjects)), topic_of(theme))


def motifs_of(text: str) -> frozenset[str]:
    """Every motif that a word of `text` leads to."""
    return frozenset(mentions(text))
