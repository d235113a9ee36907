"""Text as a word screen compares it: what can hide a word is taken away, and every letter knows where it came from."""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NOTHING, INVISIBLE, JOINT, SPACE, CLAUSE = range(5)
"""What stood before a letter and was dropped, by how far apart it sets the two neighbours: nothing; something no
reader sees; a mark or symbol as inside dub-o; white space; the end of a clause."""

CHARACTER_REFERENCE = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});?")
BLANK_LETTERS = "\u3164\u115f\u1160\uffa0"  # Hangul fillers: letters to Unicode, nothing to the eye
CLAUSE_MARKS = "。！？；：，、!?;:,…"

# Cyrillic and Greek letters that look like Latin ones, after casefold, in the order of their twins below.
CONFUSABLES = str.maketrans(
    "авекмнорстухіјѕԁһӏԛԝցɡαβγεηικνορτυχω",
    "abekmhopctyxijsdhlqwggabyenikvoptuxw",
)


@dataclass(frozen=True)
class NormalText:
    """text: lower-case simplified letters and digits only. Letter i came from source[starts[i]:ends[i]].

    gaps: before each letter, the farthest of what was dropped there: NOTHING to CLAUSE.
    """

    text: str
    starts: list[int]
    ends: list[int]
    gaps: list[int]


def normalise(source: str) -> NormalText:
    """`source` without what hides a word: entities, width, case, accents, marks, spaces, look-alikes, old forms."""
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    gaps: list[int] = []
    gap = NOTHING
    for start, end, character in _characters(source):
        kept, kind = _fold(character)
        for letter in kept:
            letters.append(letter)
            starts.append(start)
            ends.append(end)
            gaps.append(gap)
            gap = NOTHING
        if kind > gap:
            gap = kind
    return NormalText("".join(letters), starts, ends, gaps)


def _characters(source: str) -> Iterator[tuple[int, int, str]]:
    """Every character with its place in the source; a reference such as &#8203; is the character it stands for."""
    done = 0
    for reference in CHARACTER_REFERENCE.finditer(source):
        for place in range(done, reference.start()):
            yield place, place + 1, source[place]
        done = reference.end()
        for character in html.unescape(reference.group()):
            yield reference.start(), done, character
    for place in range(done, len(source)):
        yield place, place + 1, source[place]


@cache  # at most one entry for every character of Unicode
def _fold(character: str) -> tuple[str, int]:
    """The letters and digits `character` counts as; if none, how far apart it sets its neighbours."""
    kept = ""
    for letter in unicodedata.normalize("NFKC", character).casefold():
        if unicodedata.category(letter)[0] in "LN" and letter not in BLANK_LETTERS:
            plain = unicodedata.normalize("NFD", letter)[0] if letter < "\u2000" else _simplified().get(letter, letter)
            kept += plain.translate(CONFUSABLES)
    return kept, NOTHING if kept else _gap(character)


def _gap(character: str) -> int:
    if character in CLAUSE_MARKS:
        return CLAUSE
    if character.isspace():
        return SPACE
    return JOINT if unicodedata.category(character)[0] in "PS" else INVISIBLE


@cache
def _simplified() -> dict[str, str]:
    """Traditional characters with their usual simplified form: OpenCC's table, read without its converter."""
    table = files("opencc").joinpath("dictionary/TSCharacters.txt").read_text(encoding="utf-8")
    pairs = (line.split("\t") for line in table.splitlines() if "\t" in line)
    return {traditional: simplified.split(" ")[0] for traditional, simplified in pairs}
