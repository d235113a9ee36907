"""The lexicon: which words lead to which motif. Free of skia, so that it can be asked where nothing is drawn."""

from functools import cache
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("lexicon.yaml")
GENERIC = "shapes"
"""The motif of a topic that no word here fits."""


@cache
def topic_words() -> dict[str, dict[str, tuple[str, ...]]]:
    """Topic words by motif and language ("zh", "en"). The first of each is the motif's own name."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {motif: {"zh": tuple(words["zh"].split()), "en": tuple(word.strip() for word in words["en"].split(","))}
            for motif, words in content.items()}


@cache
def telling_characters() -> frozenset[str]:
    """Chinese characters that stand for a motif on their own."""
    return frozenset(word for words in topic_words().values() for word in words["zh"] if len(word) == 1)


def motifs_of(text: str) -> frozenset[str]:
    """Every motif that a word of `text` leads to; Chinese words also inside longer ones (云 in 云原生), English ones whole."""
    padded = "".join(letter if letter.isalnum() else " " for letter in f" {text} ".casefold())
    padded = " " + " ".join(padded.split()) + " "
    return frozenset(motif for motif, words in topic_words().items()
                     if any(word.casefold() in padded for word in words["zh"])
                     or any(f" {word.casefold()} " in padded for word in words["en"]))
