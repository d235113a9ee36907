"""Text to sentences and sentences to words that carry meaning. Ranking them lives in ranking.py."""

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from integrations.summarizer.stop_words import STOP_WORDS
from prompts.article import Language

MAX_CHARACTERS = 60_000
"""The rest of a longer article is not looked at: what it is about stands before."""
MAX_SENTENCES = 200
MAX_SENTENCE_CHARACTERS = 400

_ENDINGS = re.compile(r"[。！？；!?;]+[”’」』）)\"']*|…+[”’」』]*(?=\s|$|[“「])|"
                      r"\.+[”’\")\]]*(?=\s|$)|(?<=[\u4e00-\u9fff])\.")
_ABBREVIATIONS = frozenset(re.findall(r"\S+", (
    "mr mrs ms dr prof sr jr st vs etc inc ltd co corp no vol fig figs eq ed eds al approx dept est e.g i.e cf u.s u.k "
    "a.m p.m ph.d jan feb mar apr jun jul aug sep sept oct nov dec")))
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9+#]*(?:['’.-][A-Za-z0-9+#]+)*")
_CHINESE = re.compile(r"[\u3400-\u9fff]+")
# Names of several parts stay whole: Dan Wang, 彼得·蒂尔.
_NAME = re.compile(r"[A-Z][a-z]+(?: [A-Z][a-z]+)+")
_WORDS = re.compile(f"{_NAME.pattern}|[\u3400-\u9fff·•]+|{_LATIN.pattern}")


_FUNCTION = frozenset("被不没的很更最也都就又再让把将能会要可该这那个位名种些其之所以为于与和或从向到每各某")


@dataclass(frozen=True)
class _Lexicon:
    """jieba's cutter, with what its dictionary says of each word."""

    cutter: Any
    nouns: frozenset[str]
    verbs: frozenset[str]


def sentences_of(text: str) -> list[str]:
    """The sentences of `text`, whose lines are paragraphs, in order. Abbreviations and decimal points end none."""
    found: list[str] = []
    for paragraph in text[:MAX_CHARACTERS].split("\n"):
        found.extend(sentence[:MAX_SENTENCE_CHARACTERS] for sentence in _split(paragraph) if sentence)
        if len(found) >= MAX_SENTENCES:
            break
    return found[:MAX_SENTENCES]


def _split(paragraph: str) -> list[str]:
    pieces, start = [], 0
    for ending in _ENDINGS.finditer(paragraph):
        if ending[0][0] == "." and _is_abbreviation(paragraph[max(start, ending.start() - 12) : ending.start()]):
            continue
        pieces.append(paragraph[start : ending.end()].strip())
        start = ending.end()
    return [*pieces, paragraph[start:].strip()]


def _is_abbreviation(before: str) -> bool:
    words = before.split()
    last = words[-1].lower().lstrip("(\"'“‘") if words else ""
    return last in _ABBREVIATIONS or (len(last) == 1 and last.isalpha())


def words_of(sentence: str, language: Language) -> list[str]:
    """The words of `sentence` that carry meaning, in order: no stop words, no single characters, no numbers."""
    found: list[str] = []
    for match in _WORDS.finditer(sentence):
        found.extend(filter(_is_telling, _cut(match[0], language)))
    return found


def _cut(piece: str, language: Language) -> list[str]:
    if _NAME.fullmatch(piece):
        # At the start of an English sentence any word has a capital: "The Rust Foundation" is no name of three parts.
        parts = piece.split(" ")
        return [piece] if all(map(_is_telling, parts)) else parts
    if language == "en" or not _CHINESE.match(piece):
        return [piece]
    words: list[str] = []
    is_name = False
    for word in _lexicon().cutter.cut(piece):
        if is_name and words:
            words[-1] += f"·{word}"
        elif word not in "·•":
            words.append(word)
        is_name = word in "·•"
    return words


def is_noun(word: str) -> bool:
    """True for what a picture can show: a noun or name by jieba's dictionary, or a word that is not in it."""
    if not _CHINESE.match(word):
        return True
    lexicon = _lexicon()
    return word in lexicon.nouns or (not lexicon.cutter.FREQ.get(word) and word[0] not in _FUNCTION)


def is_known(word: str) -> bool:
    """True for a Chinese word that jieba's dictionary has, and for any other."""
    return not _CHINESE.fullmatch(word) or bool(_lexicon().cutter.FREQ.get(word))


def is_verb(word: str) -> bool:
    """True for a Chinese verb by jieba's dictionary."""
    return bool(_CHINESE.match(word)) and word in _lexicon().verbs


def _is_telling(word: str) -> bool:
    return len(word) > 1 and word.lower().replace("’", "'") not in STOP_WORDS


def rarity(word: str) -> float:
    """How much a word tells, from about 0.3 (common) to 1.5 (rare): from its frequency in jieba's dictionary."""
    if not _CHINESE.match(word):
        return 1.0
    cutter = _lexicon().cutter
    return 0.1 * math.log(cutter.total / max(cutter.FREQ.get(word, 0), 3))


@cache
def _lexicon() -> _Lexicon:
    """jieba's dictionary, read once (about a second).

    Not through jieba's own start: that keeps a marshal file in the shared temporary folder, which anyone may replace.
    """
    import jieba

    cutter = jieba.Tokenizer()
    nouns, verbs, frequencies, total = set(), set(), {}, 0
    with cutter.get_dict_file() as file:
        for line in file.read().decode("utf-8").splitlines():
            word, count, tag = line.split(" ")
            frequencies[word] = int(count)
            total += int(count)
            if tag[0] == "n" or tag in ("vn", "an", "eng"):
                nouns.add(word)
            elif tag[0] == "v":
                verbs.add(word)
    for word in list(frequencies):
        for length in range(1, len(word)):
            frequencies.setdefault(word[:length], 0)
    cutter.FREQ, cutter.total, cutter.initialized = frequencies, total, True
    return _Lexicon(cutter, frozenset(nouns), frozenset(verbs))
