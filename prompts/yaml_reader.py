"""Reads designers' YAML so that every complaint names the file, the line and the rule. Knows no style guide."""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from prompts.errors import PromptError

MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Located:
    """One value of a YAML file together with where it stands. label: how a person would call it ("palette.hex")."""

    file: str
    label: str
    node: yaml.Node

    def error(self, rule: str) -> PromptError:
        """The error to raise: file, line, label and rule in one line."""
        return PromptError(f"{self.file}, line {self.node.start_mark.line + 1}: {self.label}: {rule}")

    def fields(self, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, "Located"]:
        """The mapping's values by key. Refuses unknown, repeated and missing keys."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"it must be a mapping with {_listed(required)}")
        found: dict[str, Located] = {}
        known = (*required, *optional)
        for key, value in self.node.value:
            here = Located(self.file, self._below(str(key.value)), key)
            if key.value not in known:
                raise here.error(f"this key is not known; {nearest(str(key.value), known)}")
            if key.value in found:
                raise here.error("this key is given twice")
            found[key.value] = Located(self.file, here.label, value)
        missing = [key for key in required if key not in found]
        if missing:
            raise self.error(f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        return found

    def entries(self) -> dict[str, "Located"]:
        """A mapping whose keys are free (checkpoint names, say)."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error("it must be a mapping")
        pairs = ((str(key.value), value) for key, value in self.node.value)
        return {key: Located(self.file, self._below(key), value) for key, value in pairs}

    def items(self, least: int, most: int) -> Iterator["Located"]:
        """The list's items, `least` to `most` of them."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error("it must be a list")
        if not least <= len(self.node.value) <= most:
            raise self.error(f"it has {len(self.node.value)} items; from {least} to {most} are allowed")
        for item in self.node.value:
            yield Located(self.file, self.label, item)

    def text(self, longest: int) -> str:
        """One line of words, at most `longest` characters; line breaks and runs of spaces become one space."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.error("it must be text")
        words = " ".join(self.node.value.split())
        if not words or self.node.tag == "tag:yaml.org,2002:null":
            raise self.error('it is empty (text that begins with "#" must stand in quotes)')
        if len(words) > longest:
            raise self.error(f"it has {len(words)} characters; at most {longest} are allowed")
        if not words.isprintable():
            raise self.error("it contains control or invisible characters")
        return words

    def choice(self, allowed: Sequence[str]) -> str:
        """One of `allowed`."""
        word = self.text(60)
        if word not in allowed:
            raise self.error(f"{word!r} is not known; {nearest(word, allowed)}")
        return word

    def number(self, least: float, most: float) -> float:
        """A finite number from `least` to `most`."""
        word = self.text(20)
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise self.error(f"{word!r} is not a number from {least:g} to {most:g}")
        return value

    def _below(self, key: str) -> str:
        return f"{self.label}.{key}" if self.label else key


def read_yaml(file: Path) -> Located:
    """The whole of `file`. Raises PromptError for a file that is missing, too large, not UTF-8 or not YAML."""
    try:
        content = file.read_bytes()
        if len(content) > MAX_FILE_BYTES:
            raise PromptError(f"{file.name}: it has {len(content)} bytes; at most {MAX_FILE_BYTES} are allowed")
        node = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except OSError as exc:
        raise PromptError(f"{file.name}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise PromptError(f"{file.name}: byte {exc.start + 1} is not UTF-8; save the file as UTF-8") from exc
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise PromptError(f"{file.name}, line {line}: not valid YAML: {exc.problem}") from exc
    except (yaml.YAMLError, RecursionError) as exc:
        raise PromptError(f"{file.name}: not valid YAML: {str(exc).splitlines()[0]}") from exc
    if node is None:
        raise PromptError(f"{file.name}, line 1: the file is empty")
    return Located(file.name, "", node)


def nearest(word: str, known: Sequence[str] | Mapping[str, object]) -> str:
    """Advice for a misspelt `word`: the nearest known one, or all of them."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {_listed(sorted(known))}"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
