"""Lexicon: finds in a text the words that name a motif. A checkpoint's reader brings its own (lexicon.json)."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from generator.errors import CheckpointError

LEXICON_FILE = "lexicon.json"
MOST_CHARACTERS = 64
"""Of a word."""
MAX_RUNS = 4
"""Latin words that one entry has at most ("large language model")."""
JOINTS = " -.'’/_"
"""What may stand between two of them."""
_RUN = re.compile(r"(?:(?![\u3400-\u9fff_])\w)(?:(?![\u3400-\u9fff_])\w|[+#&]|['’](?=[a-z]{1,2}\b))*")
"""A word that is not Chinese, with what an apostrophe cuts off (won't, app's)."""
_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class Found:
    """A word of the lexicon in a text: text[start:end] names the motif of that number."""

    start: int
    end: int
    motif: int


class Lexicon:
    """Words by motif; the motifs' order is their numbering. A word with a Chinese character is also found inside longer ones
    (云 in 云原生), the longest first; any other stands alone, in the singular or the plural.
    """

    def __init__(self, words: Mapping[str, Sequence[str]]) -> None:
        self.words = {motif: tuple(entries) for motif, entries in words.items()}
        numbered = [(word.lower(), number) for number, entries in enumerate(self.words.values()) for word in entries]
        self._chinese = {word: number for word, number in numbered if _CHINESE.search(word)}
        self._longest = max(map(len, self._chinese), default=0)
        self._latin = {tuple(_RUN.findall(word)): number for word, number in numbered if not _CHINESE.search(word)}

    def find(self, text: str) -> list[Found]:
        """The words in `text` that name a motif, from left to right; none overlaps another."""
        lowered = "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)
        runs = list(_RUN.finditer(lowered))
        starts = {run.start(): place for place, run in enumerate(runs)}
        found, at = [], 0
        while at < len(lowered):
            hit = self._find_chinese(lowered, at) or (self._find_latin(lowered, runs, starts[at]) if at in starts else None)
            if hit:
                found.append(hit)
            at = hit.end if hit else runs[starts[at]].end() if at in starts else at + 1
        return found

    def _find_chinese(self, text: str, at: int) -> Found | None:
        for end in range(min(at + self._longest, len(text)), at, -1):
            number = self._chinese.get(text[at:end])
            if number is not None:
                return Found(at, end, number)
        return None

    def _find_latin(self, text: str, runs: Sequence[re.Match[str]], first: int) -> Found | None:
        for last in range(first + _reach(text, runs[first:first + MAX_RUNS]) - 1, first - 1, -1):
            *before, word = (run[0] for run in runs[first:last + 1])
            for form in (word, word.rstrip("+#&"), stem(word)):
                if (number := self._latin.get((*before, form))) is not None:
                    return Found(runs[first].start(), runs[last].end(), number)
        return None

    def save(self, folder: Path) -> None:
        """Write folder/lexicon.json."""
        content = {motif: " | ".join(words) for motif, words in self.words.items()}
        (folder / LEXICON_FILE).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def load_lexicon(folder: Path) -> Lexicon:
    """The lexicon in a text encoder's folder. Raises CheckpointError."""
    file = folder / LEXICON_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        words = {motif: [word for word in entries.split(" | ") if word] for motif, entries in content.items()}
    except (OSError, ValueError, AttributeError, RecursionError) as exc:
        raise CheckpointError(f"{file}: not a lexicon: {exc}") from exc
    longest = max((word for entries in words.values() for word in entries), key=len, default="")
    if len(longest) > MOST_CHARACTERS:
        raise CheckpointError(f"{file}: {longest[:20]!r}… has {len(longest)} characters; at most {MOST_CHARACTERS} are allowed")
    return Lexicon(words)


def _reach(text: str, runs: Sequence[re.Match[str]]) -> int:
    """How many of `runs` stand close enough to be one expression: one character between them, and no comma."""
    gaps = (text[one.end():other.start()] for one, other in pairwise(runs))
    return 1 + next((count for count, gap in enumerate(gaps) if len(gap) != 1 or gap not in JOINTS), len(runs) - 1)


def stem(word: str) -> str:
    """An English word without an ending of possession or a regular plural."""
    word = re.sub(r"['’]s?$", "", word)
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
