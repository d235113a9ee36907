"""Word lists: CSV files in one schema, checked as they are read. How words are found lives in words.py."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from integrations.errors import NotFound, Refused
from integrations.safety.normalise import normalise

Level = Literal["block", "review", "note"]
Action = Literal["flag", "allow"]
COLUMNS = ["word", "category", "level", "action", "source", "licence"]
MAX_WORD_CHARACTERS = 200
MIN_LETTERS = 2
BUNDLED = Path(__file__).with_name("lists")


@dataclass(frozen=True, kw_only=True)
class WordRule:
    """One line of a list.

    word: as written, or /a regular expression/ over the normalised text (letters and digits only, no spaces).
    level: what a find leads to. action: "flag" finds it; "allow" excuses every find inside it.
    source, licence: where the word comes from and under which terms, so that a list can be passed on.
    """

    word: str
    category: str
    level: Level
    action: Action
    source: str
    licence: str

    @property
    def expression(self) -> str:
        """The regular expression, or empty if this is a plain word."""
        return self.word[1:-1] if len(self.word) > 2 and self.word[0] == self.word[-1] == "/" else ""


@dataclass(frozen=True)
class WordList:
    """Rules in the order of their files. version: the first 12 hex digits of the SHA-256 over all files."""

    rules: tuple[WordRule, ...]
    version: str


def bundled_lists() -> list[Path]:
    """The lists that come with the project: small, self-written, Chinese and English."""
    return sorted(BUNDLED.glob("*.csv"))


def load_words(paths: Sequence[Path]) -> WordList:
    """All rules of the CSV files at `paths`. Raises NotFound, Refused naming file, line and rule."""
    digest = hashlib.sha256()
    rules: list[WordRule] = []
    for path in paths:
        data = _read(path)
        digest.update(hashlib.sha256(data).digest())
        rules += _rules(data, path)
    return WordList(tuple(rules), digest.hexdigest()[:12])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise NotFound(f"{path}: there is no such word list") from exc
    except OSError as exc:
        raise Refused(f"{path}: the word list cannot be read: {exc.strerror}") from exc


def _rules(data: bytes, path: Path) -> Iterator[WordRule]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise Refused(f"{path}:{line}: the word list is not UTF-8") from exc
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines_of: dict[str, int] = {}
    try:
        if (header := next(reader, [])) != COLUMNS:
            raise Refused(f"{path}:1: the columns are {','.join(header)!r}; they must be {','.join(COLUMNS)!r}")
        for row in reader:
            if not row:
                continue
            try:
                yield _rule(row, lines_of, reader.line_num)
            except ValueError as exc:
                raise Refused(f"{path}:{reader.line_num}: {exc}") from exc
    except csv.Error as exc:
        raise Refused(f"{path}:{reader.line_num}: this is no CSV: {exc}") from exc


def _rule(row: list[str], lines_of: dict[str, int], line: int) -> WordRule:
    """The rule in `row`. Raises ValueError. lines_of: the words read so far, normalised, with their lines; added to."""
    if len(row) != len(COLUMNS):
        raise ValueError(f"the line has {len(row)} fields; it must have {len(COLUMNS)}: {', '.join(COLUMNS)}")
    fields = dict(zip(COLUMNS, (field.strip() for field in row), strict=True))
    for name, value in fields.items():
        if not value:
            raise ValueError(f"{name} is empty")
    for name, allowed in (("level", get_args(Level)), ("action", get_args(Action))):
        if fields[name] not in allowed:
            raise ValueError(f"{name} is {fields[name]!r}; it must be one of {', '.join(allowed)}")
    rule = WordRule(
        word=fields["word"],
        category=fields["category"],
        level=cast(Level, fields["level"]),
        action=cast(Action, fields["action"]),
        source=fields["source"],
        licence=fields["licence"],
    )
    key = _checked(rule)
    if key in lines_of:
        raise ValueError(f"{rule.word!r} reads the same as the word in line {lines_of[key]}")
    lines_of[key] = line
    return rule


def _checked(rule: WordRule) -> str:
    """What must differ between two rules of a list. Raises ValueError if the word cannot be looked for."""
    if len(rule.word) > MAX_WORD_CHARACTERS:
        raise ValueError(f"word has {len(rule.word)} characters; at most {MAX_WORD_CHARACTERS} are allowed")
    if rule.expression:
        _check_expression(rule.expression)
        return rule.word
    letters = normalise(rule.word).text
    if len(letters) < MIN_LETTERS:
        raise ValueError(f"word {rule.word!r} has {len(letters)} letters or digits; at least {MIN_LETTERS} are needed")
    return letters


def _check_expression(expression: str) -> None:
    try:
        compiled = re.compile(expression)
    except re.error as exc:
        raise ValueError(f"the regular expression /{expression}/ is wrong: {exc}") from exc
    if compiled.match(""):
        raise ValueError(f"the regular expression /{expression}/ matches nothing at all, so it would match everywhere")
