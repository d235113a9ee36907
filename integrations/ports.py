"""The ports: what the story needs from outside systems, in our words. One adapter per system implements each."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from generator.request import CoverImage, CoverRequest
from prompts.article import Article
from prompts.brief import Brief

Decision = Literal["pass", "review", "block", "error", "not_configured"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One reason behind a verdict. start, end: offsets into the text that was checked, or 0, 0 for pictures."""

    category: str
    level: str
    text: str = ""
    start: int = 0
    end: int = 0
    context: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a screen decided. Only "pass" and "not_configured" may be published without a person."""

    check: str
    """What was checked, as shown in the record: "words.title", "words.prompt", "nsfw"."""
    decision: Decision
    findings: tuple[Finding, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    model: str = ""
    """Model id and revision or hash that decided, or the word list's version."""
    policy: str = ""
    """Of a picture screen: the model and the bounds that decided."""
    milliseconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One stored picture. path: where a reader finds it (a file path or a CDN URL). sha256: of the file's bytes."""

    path: str
    name: str
    width: int
    height: int
    format: Literal["png", "webp"]
    sha256: str


@dataclass(frozen=True, kw_only=True)
class CachedCover:
    """What is remembered under a fingerprint: the stored files and the verdicts on the picture, never the bytes."""

    fingerprint: str
    files: tuple[StoredFile, ...]
    verdicts: tuple[Verdict, ...] = ()
    created_at: float = 0.0
    """Seconds since the epoch."""


class ImageGenerator(Protocol):
    """Paints. Slow; holds the weights between calls."""

    @property
    def checkpoint(self) -> str:
        """Name and revision of the weights, as it enters the fingerprint. Cheap: loads nothing."""
        ...

    def generate(self, request: CoverRequest, progress: Callable[[int, int], None] | None = None) -> CoverImage:
        """The picture for `request`. progress(step, steps) is called after each step."""
        ...

    def generate_many(self, requests: Sequence[CoverRequest],
                      progress: Callable[[int, int], None] | None = None) -> Iterator[CoverImage]:
        """Their pictures in order, each as `generate` would make it; several may be painted together."""
        ...


class Summarizer(Protocol):
    """Writes briefs."""

    @property
    def name(self) -> str:
        """As shown in the record: "extractive" or "t5:NAME"."""
        ...

    def summarise(self, articles: Sequence[Article]) -> list[Brief]:
        """One brief per article, in order."""
        ...


class CoverCache(Protocol):
    """Remembers finished covers by fingerprint, and lets one process at a time make one."""

    def find(self, fingerprint: str) -> CachedCover | None:
        """The finished cover for these exact inputs, or None. A damaged record is a miss. Raises Unavailable."""
        ...

    def remember(self, cover: CachedCover) -> None:
        """Keep `cover`; the newest wins. Raises Unavailable."""
        ...

    def forget(self, fingerprint: str) -> None:
        """Drop the record, if there is one. Raises Unavailable."""
        ...

    def claim(self, fingerprint: str, hold_s: float) -> AbstractContextManager[bool]:
        """Hold the right to make this cover for at most `hold_s` seconds: True if we have it, False if another has.

        Released on leaving the block, only if it is still ours; a holder that died loses it when its time is up.
        """
        ...


class ImageStore(Protocol):
    """Keeps picture files under content-addressed names and never overwrites one."""

    def put(self, name: str, data: bytes, content_type: str) -> str:
        """Store `data` once and return where readers find it. The same name again keeps what is there.

        Raises Unavailable, or Refused if the name is unsafe.
        """
        ...

    def get(self, name: str) -> bytes | None:
        """The bytes stored under `name`, or None. Raises Unavailable."""
        ...

    def address(self, name: str) -> str:
        """Where readers find `name` now: a cover may be older than the site's CDN."""
        ...


class WordScreen(Protocol):
    """Looks for words that must not be published."""

    def check(self, text: str, where: str) -> Verdict:
        """The verdict on `text`; `where` names it in the record ("title", "body", "prompt")."""
        ...


class PictureScreen(Protocol):
    """Looks at a finished picture."""

    @property
    def policy(self) -> str:
        """The model and the bounds in force, as in the verdicts: one made under another policy does not count."""
        ...

    def check(self, picture: CoverImage) -> Verdict:
        """The verdict; a failure to decide is decision "error", never a pass."""
        ...


class PostSource(Protocol):
    """Where posts live."""

    def list_posts(self) -> Iterator[str]:
        """The ids of all posts, in a stable order. Raises Unavailable, NotFound, Refused."""
        ...

    def read(self, post_id: str) -> Article:
        """One post as an Article. Raises Unavailable, NotFound, Refused (a post without words, say)."""
        ...

    def check_writable(self, post_id: str) -> None:
        """Raise Refused where a cover could not be written into the post: asked before the painting, not after."""
        ...

    def write_cover(self, post_id: str, cover: str, alt_text: str, *, force: bool = False) -> bool:
        """Write the cover field and alt text into the post. False if nothing changed: it has
        one and `force` is not set, or exactly this one.

        cover: a URL, or a path as the post's own files refer to pictures. Raises Refused where posts are read-only.
        """
        ...
