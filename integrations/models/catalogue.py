"""The models that we recommend, by name: where they are, which files, under which licence. The values are in catalogue.yaml."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import yaml

from integrations.errors import NotFound, Refused

Kind = Literal["checkpoint", "lora", "summarizer", "picture_screen"]
Source = Literal["huggingface", "modelscope"]
BRANCHES: Mapping[Source, str] = MappingProxyType({"huggingface": "main", "modelscope": "master"})


@dataclass(frozen=True, kw_only=True)
class Licence:
    """id: in small letters, as the hub spells it. commercial: whether what it paints may be published."""

    id: str
    url: str = ""
    commercial: bool


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model of the catalogue. size: in bytes, about. settings: which settings to use it with, for people."""

    name: str
    title: str
    kind: Kind
    huggingface: str
    files: tuple[str, ...]
    licence: Licence
    size: int
    settings: str
    modelscope: str = ""
    revision: str = ""

    def repo(self, source: Source) -> str:
        """Its repository on that hub. Raises Refused where it has none."""
        repo = self.huggingface if source == "huggingface" else self.modelscope
        if not repo:
            raise Refused(f"models: {self.name} is not on {source}; set models.source=huggingface")
        return repo

    def branch(self, source: Source) -> str:
        """What a first pull resolves to a commit."""
        return self.revision if self.revision and source == "huggingface" else BRANCHES[source]


@cache
def catalogue() -> Mapping[str, Model]:
    """Every model by name, in the order of the file."""
    entries = yaml.safe_load(Path(__file__).with_name("catalogue.yaml").read_text(encoding="utf-8"))
    return MappingProxyType({
        name: Model(**{**entry, "name": name, "files": tuple(entry["files"]), "licence": Licence(**entry["licence"])})
        for name, entry in entries.items()
    })


def find_model(name: str) -> Model:
    """The model of that name. Raises NotFound with the nearest one."""
    try:
        return catalogue()[name]
    except KeyError:
        near = difflib.get_close_matches(name, catalogue(), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else "see `fengmian models list`"
        raise NotFound(f"models: {name!r} is not known; {hint}") from None
