"""WordListScreen: finds the words of a list in a text, however they are dressed up. The lists live in word_list.py."""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import ahocorasick

from integrations.ports import Decision, Finding, Verdict, WordScreen
from integrations.safety.normalise import CLAUSE, INVISIBLE, JOINT, SPACE, NormalText, normalise
from integrations.safety.word_list import Level, WordList, WordRule

MAX_CHARACTERS = 1_000_000
MAX_FINDINGS = 50
MAX_QUOTE = 100
CONTEXT = 30
SEVERITY: dict[Level, int] = {"note": 0, "review": 1, "block": 2}
DECISIONS: tuple[Decision, ...] = ("pass", "review", "block")


@dataclass(frozen=True)
class _Word:
    """A plain word of the list. breaks: the places inside it where the list itself has white space."""

    rule: WordRule
    size: int
    breaks: frozenset[int]


@dataclass(frozen=True)
class _Hit:
    """A find. start, end: offsets into the source."""

    rule: WordRule
    level: Level
    start: int
    end: int


class WordListScreen(WordScreen):
    """words: as read by load_words. Safe to share between threads."""

    def __init__(self, words: WordList) -> None:
        self._version = f"words:{words.version}"
        self._automaton = _automaton(rule for rule in words.rules if not rule.expression)
        self._expressions = [(re.compile(rule.expression), rule) for rule in words.rules if rule.expression]

    def check(self, text: str, where: str) -> Verdict:
        """The verdict on `text`: its worst find decides. Finds of level "note" are told but pass."""
        began = time.perf_counter()
        if len(text) > MAX_CHARACTERS:
            detail = f"the text has {len(text)} characters; at most {MAX_CHARACTERS} can be checked"
            return Verdict(check=f"words.{where}", decision="error", model=self._version, detail=detail)
        hits = _told(self._hits(normalise(text)))
        worst = max((1 + SEVERITY[hit.level] for hit in hits), default=1) - 1
        return Verdict(
            check=f"words.{where}",
            decision=DECISIONS[worst],
            findings=tuple(_finding(hit, text) for hit in hits[:MAX_FINDINGS]),
            model=self._version,
            milliseconds=(time.perf_counter() - began) * 1000,
            detail=f"{len(hits) - MAX_FINDINGS} more finds are not listed" if len(hits) > MAX_FINDINGS else "",
        )

    def _hits(self, normal: NormalText) -> Iterator[_Hit]:
        for last, word in self._automaton.iter(normal.text) if len(self._automaton) else ():
            start, end = last + 1 - word.size, last + 1
            if _is_whole(normal, start, end) and _is_one_word(normal, start, word):
                yield from _hit(word.rule, normal, start, end, word.breaks)
        for expression, rule in self._expressions:
            for match in expression.finditer(normal.text):
                if match.group() and _is_whole(normal, *match.span()):
                    yield from _hit(rule, normal, *match.span(), frozenset())


def _automaton(rules: Iterable[WordRule]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for rule in rules:
        normal = normalise(rule.word)
        known = automaton.get(normal.text, None)
        if known is None or _outranks(rule, known.rule):
            breaks = frozenset(place for place, gap in enumerate(normal.gaps) if place and gap >= SPACE)
            automaton.add_word(normal.text, _Word(rule, len(normal.text), breaks))
    automaton.make_automaton()
    return automaton


def _outranks(rule: WordRule, known: WordRule) -> bool:
    """Which of two lists is right about a word: the one that allows it, else the severer one."""
    if "allow" in (rule.action, known.action):
        return known.action == "flag"
    return SEVERITY[rule.level] > SEVERITY[known.level]


def _is_whole(normal: NormalText, start: int, end: int) -> bool:
    """False if the find is a piece of a longer Latin word or number: sex in Essex, dubo in Dubois."""
    return not any(
        0 < place < len(normal.text) and normal.gaps[place] <= INVISIBLE and _is_run(normal.text, place)
        for place in (start, end)
    )


def _is_run(text: str, place: int) -> bool:
    """Whether the letters on both sides of `place` belong to one Latin word or one number."""
    before, after = text[place - 1], text[place]
    if not (before.isascii() and after.isascii()):
        return False
    return (before.isalpha() and after.isalpha()) or (before.isdigit() and after.isdigit())


def _is_one_word(normal: NormalText, start: int, word: _Word) -> bool:
    """False if the find is glued together from pieces of Latin words, as sex in "it's ex".

    White space between Latin letters is taken where the list has it, and where every letter is set apart: s e x.
    """
    joints = [place for place in range(1, word.size) if _is_run(normal.text, start + place)]
    if all(normal.gaps[start + place] < SPACE or place in word.breaks for place in joints):
        return True
    return all(normal.gaps[start + place] >= JOINT for place in joints)


def _hit(rule: WordRule, normal: NormalText, start: int, end: int, breaks: frozenset[int]) -> Iterator[_Hit]:
    """The find, unless it is a mere note across the end of a clause; there, nothing is certain enough to block."""
    level = rule.level
    if any(normal.gaps[place] == CLAUSE and place - start not in breaks for place in range(start + 1, end)):
        if level == "note":
            return
        level = "review"
    yield _Hit(rule, level, normal.starts[start], normal.ends[end - 1])


def _told(hits: Iterable[_Hit]) -> list[_Hit]:
    """The finds worth telling, worst first: none inside an allowed phrase, none inside another as bad."""
    told: list[_Hit] = []
    # Swept by start: a find lies inside an earlier one exactly if that one reaches as far.
    allowed_to, told_to = 0, [0] * len(SEVERITY)
    for hit in sorted(hits, key=lambda hit: (hit.start, hit.rule.action != "allow", -hit.end, -SEVERITY[hit.level])):
        severity = SEVERITY[hit.level]
        if hit.rule.action == "allow":
            allowed_to = max(allowed_to, hit.end)
        elif hit.end > max(allowed_to, told_to[severity]):
            told.append(hit)
            for milder in range(severity + 1):
                told_to[milder] = max(told_to[milder], hit.end)
    return sorted(told, key=lambda hit: (-SEVERITY[hit.level], hit.start))


def _finding(hit: _Hit, text: str) -> Finding:
    return Finding(
        category=hit.rule.category,
        level=hit.level,
        text=text[hit.start : min(hit.end, hit.start + MAX_QUOTE)],
        start=hit.start,
        end=hit.end,
        context=text[max(0, hit.start - CONTEXT) : min(hit.end, hit.start + MAX_QUOTE) + CONTEXT],
    )
