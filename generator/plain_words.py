"""Plain words: common words that name nothing a picture could show. Briefs pass them over, and the reader learns to."""

from functools import cache
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("plain_words.yaml")


@cache
def plain_words() -> dict[str, tuple[str, ...]]:
    """Plain words by language ("zh", "en"), in lower case."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {language: tuple(str(content[language]).split()) for language in ("zh", "en")}


def is_plain(word: str) -> bool:
    """True for a common word of either language that names nothing."""
    return word.lower().replace("’", "'") in _all()


@cache
def _all() -> frozenset[str]:
    return frozenset(word for words in plain_words().values() for word in words)
