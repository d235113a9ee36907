"""The ports: what the story needs from outside systems, in our words. One adapter per system implements each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from generator.request import CoverImage, CoverRequest, RedoRequest
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


@dataclass(frozen=True, kw_only=True)
class PostCover:
    """A finished cover, ready for a post: one source refers to it, another keeps the bytes itself."""

    reference: str
    """How the post's own files name the picture: a URL, or a path. Empty for a source that keeps pictures itself."""
    alt_text: str
    name: str
    """ASCII file name made from the picture's content: the same picture always has the same name."""
    data: bytes = field(repr=False)
    content_type: str


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of a cover, with all that `restore` needs. before, now: the adapter's own JSON; empty if nothing changed."""

    changed: bool
    before: str = ""
    now: str = ""
    address: str = ""
    """Where readers find the picture, from a source that keeps pictures itself and has this one; else empty."""


Happening = Literal["painted", "reviewed", "rejected", "writing", "published", "restored"]
"""What the ledger tells of a post. writing: said before it is published, for whoever finds that the writer has died."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened to one post. site: the source. content: plain values, by happening (docs/sites.md).

    number: its place in the ledger, 0 for one that is not in it yet. at: seconds since the epoch, 0 for now.
    """

    site: str
    post_id: str
    happening: Happening
    fingerprint: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0
    at: float = 0.0


class Ledger(Protocol):
    """What happened to every post. Only ever added to, but for what the site keeps no longer."""

    def append(self, entry: Entry) -> int:
        """Add it; its number. Raises Unavailable."""
        ...

    def entries(self, *, site: str | None = None, post_id: str | None = None, happening: Happening | None = None,
                since: float = 0, newest_first: bool = False) -> Iterator[Entry]:
        """Those that fit, oldest first unless said otherwise. since: seconds since the epoch. Raises Unavailable."""
        ...

    def count(self, happenings: Sequence[Happening], before: float) -> int:
        """How many of these are older than that moment. Raises Unavailable."""
        ...

    def forget(self, happenings: Sequence[Happening], before: float) -> int:
        """Take those away, for good; how many they were. Raises Unavailable."""
        ...


class ImageGenerator(Protocol):
    """Paints. Slow; holds the weights between calls."""

    @property
    def checkpoint(self) -> str:
        """Name and revision of the weights, as it enters the fingerprint. Cheap: loads nothing."""
        ...

    def generate(self, request: CoverRequest, progress: Callable[[int, int], None] | None = None) -> CoverImage:
        """The picture for `request`. progress(step, steps) is called after each step."""
        ...

    def redo(self, request: RedoRequest, picture: CoverImage) -> CoverImage:
        """`picture`, whose fingerprint the request names, with its region painted anew; outside of it, its very pixels."""
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

    def list_names(self, older_than: float) -> Iterator[str]:
        """The pictures last stored before that moment (seconds since the epoch); foreign files are passed over.

        Raises Unavailable, Refused.
        """
        ...

    def delete(self, name: str) -> None:
        """Take the picture away, if it is there. Raises Unavailable, or Refused if the name is unsafe or it may not be."""
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


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What labels tell of a picture. picture_id: in printable ASCII. language: of the article, for the words that readers see."""

    picture_id: str
    checkpoint: str
    language: str


class Labeller(Protocol):
    """Labels pictures as made by AI, and reads such labels."""

    @property
    def policy(self) -> str:
        """Which labels there are to be: pictures labelled under another policy do not count."""
        ...

    def apply(self, picture: CoverImage, form: Literal["png", "jpeg", "webp", "avif"], origin: Origin) -> bytes:
        """The picture as a file that carries every label, once. Raises Refused."""
        ...

    def verify(self, data: bytes, name: str, language: str) -> tuple[Verdict, ...]:
        """A verdict on each label of a file: "pass", "block" with the reason, "not_configured". Raises Refused."""
        ...


class PostSource(Protocol):
    """Where posts live."""

    keeps_pictures: bool = False
    """Whether the source takes the picture's bytes, so that its posts name no address of ours."""

    def list_posts(self) -> Iterator[str]:
        """The ids of all posts, in a stable order. Raises Unavailable, NotFound, Refused."""
        ...

    def read(self, post_id: str) -> Article:
        """One post as an Article. Raises Unavailable, NotFound, Refused (a post without words, say)."""
        ...

    def version(self, post_id: str) -> str:
        """Changes when what the cover is made from does, never by our own writing. Raises as `read` does."""
        ...

    def check_writable(self, post_id: str) -> None:
        """Raise Refused where a cover could not be written into the post: asked before the painting, not after."""
        ...

    def write_cover(self, post_id: str, cover: PostCover, *, force: bool = False,
                    about_to: Callable[[Written], None] | None = None) -> Written:
        """Give the post this cover and its alt text. Nothing changes if it has one and `force` is not set, or exactly this one.

        about_to: told what this will have written, last thing before the post is changed; if it raises, nothing is changed.
        Raises Refused where posts are read-only, Unavailable, NotFound.
        """
        ...

    def restore(self, post_id: str, written: Written) -> bool:
        """Put back what was there before; False if that is so already.

        Raises Refused, naming both values, where somebody has changed the cover since; Unavailable, NotFound.
        """
        ...


class ChangedPosts(Protocol):
    """A source that can be asked what is new."""

    def changed_since(self, moment: datetime) -> Iterator[str]:
        """The ids of posts changed at `moment` (with its time zone) or later, some perhaps from shortly before it.

        Our own writing counts as a change; `PostSource.version` tells it from others. Raises Unavailable, Refused.
        """
        ...
