"""What the story is asked for (Wishes) and what it leaves behind (CoverRecord). The record's fields are a contract."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from integrations.ports import CachedCover, StoredFile, Verdict

Timing = Literal["fetch", "summarise", "render", "generate", "screen", "store", "write"]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the caller wants for one post or many. None leaves a thing to the style guide or to the post.

    out: folder that gets copies of the pictures, or empty. write: whether the cover is written into the post; None: for a site
    of the settings. A post that has a cover is left alone with `write` or `only_missing`, unless `force` is set.
    waive_review: no editor is asked, though the site wants one to be.
    """

    style: str | None = None
    seed: int | None = None
    size: tuple[int, int] | None = None
    language: Literal["zh", "en", "auto"] = "auto"
    out: str = ""
    write: bool | None = None
    only_missing: bool = False
    force: bool = False
    waive_review: bool = False

    def leaves_alone(self, cover: str) -> bool:
        """Whether a post with this cover ("" for none) keeps it."""
        return bool(cover) and (self.write or self.only_missing) and not self.force


@dataclass(frozen=True, kw_only=True)
class Painted:
    """A finished cover. cached: whether it was there already. seconds: how long each part of the work took."""

    cover: CachedCover
    cached: bool
    seconds: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class CoverRecord:
    """One post and its cover, as `fengmian cover --json` prints it. status: "covered", or "kept" if it had a cover.

    cover: how the post names it, where it is written into the post. editor: who chose it, "" for nobody.
    """

    id: str
    title: str
    status: Literal["covered", "kept"]
    brief: dict[str, Any] | None = None
    prompt: str = ""
    negative: str = ""
    style: str = ""
    fingerprint: str = ""
    seed: int = 0
    checkpoint: str = ""
    cached: bool = False
    verdicts: tuple[Verdict, ...] = ()
    alt_text: str = ""
    cover: str = ""
    files: tuple[StoredFile, ...] = ()
    written: bool = False
    editor: str = ""
    timings_s: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values only."""
        content = asdict(self)
        for file in content["files"]:
            del file["name"]
        return content


class Stopwatch:
    """Adds up how long each named part of the story took, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(get_args(Timing), 0.0)

    @contextmanager
    def timing(self, part: Timing) -> Iterator[None]:
        """Count the block's time towards `part`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = round(self.seconds[part] + time.perf_counter() - started, 4)

    def add(self, seconds: dict[str, float]) -> None:
        """Count what another watch measured."""
        for part, spent in seconds.items():
            self.seconds[part] = round(self.seconds[part] + spent, 4)
