"""Writing a cover into a post so that one process does it at a time, and so that it can be taken back whatever dies on the way.

The ledger hears of it twice: "writing" before the post is changed, with all that `undo` needs, and "published" after it. Where
the writer died in between, whoever next finds the post with that very cover says "published" in its place.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial

from flows import wiring
from flows.record import CoverRecord
from flows.steps import WAIT_S, published_name, whole_file
from integrations.errors import Unavailable
from integrations.ports import Entry, Happening, PostCover, StoredFile, Written


def write_into_post(source: str, record: CoverRecord, file: StoredFile, force: bool) -> Written:
    """Give the post its cover and alt text. Nothing changes if the post has a cover by now and `force` is not set.

    record: of what is to be written; its cover is how the post will name it, "" where the source keeps the picture itself.
    """
    ports = wiring.ports()
    cover = PostCover(reference=record.cover, alt_text=record.alt_text, name=published_name(file), data=whole_file(file),
                      content_type=f"image/{file.format}")
    with alone_at(source, record.id):
        ports.check_current()
        written = ports.open_source(source).write_cover(record.id, cover, force=force,
                                                        about_to=partial(_note, source, record, "writing"))
        if written.changed:
            _note(source, record, "published", written)
        else:
            _tell_of(source, record.id)
    return written


def settle(source: str, post_id: str) -> None:
    """Tell the ledger of a publication that its writer did not live to tell: the post names the picture that was meant.

    A writer that is still at work is waited for, for it tells by itself. Raises Unavailable as `alone_at` does.
    """
    if _find_untold(source, post_id):
        with alone_at(source, post_id):
            _tell_of(source, post_id)


def _tell_of(source: str, post_id: str) -> None:
    """Only to be called where nobody else can be writing into the post."""
    ports, untold = wiring.ports(), _find_untold(source, post_id)
    if untold and ports.open_source(source).read(post_id).cover == untold.content["cover"]:
        ports.ledger.append(replace(untold, happening="published", number=0, at=0.0))


def _find_untold(source: str, post_id: str) -> Entry | None:
    """What was about to be written last, if nothing was heard of it since."""
    told = wiring.ports().ledger.entries(site=source, post_id=post_id, newest_first=True)
    last = next((entry for entry in told if entry.happening in ("writing", "published", "restored")), None)
    return last if last and last.happening == "writing" else None


@contextmanager
def alone_at(source: str, post_id: str) -> Iterator[None]:
    """The right to write into the post, which one process has at a time: two at once would give it one picture too many.

    Raises Unavailable where another keeps it; one that died loses it after cache.hold_s.
    """
    ports = wiring.ports()
    name = hashlib.sha256(f"post\n{source}\n{post_id}".encode("utf-8", "surrogatepass")).hexdigest()
    hold_s = ports.settings.cache.hold_s
    give_up = time.monotonic() + 2 * hold_s
    while time.monotonic() < give_up:
        with ports.cache.claim(name, hold_s) as ours:
            if ours:
                yield
                return
        time.sleep(WAIT_S)
    raise Unavailable(f"{source} {post_id}: another process has been writing into it for {2 * hold_s:.0f} s")


def _note(source: str, record: CoverRecord, happening: Happening, written: Written) -> None:
    """What was put into the post, and what was there before: what `undo` needs."""
    content = {"written": asdict(written), "style": record.style, "checkpoint": record.checkpoint, "seed": record.seed,
               "alt_text": record.alt_text, "editor": record.editor, "cached": record.cached,
               "cover": written.address or record.cover, "file": asdict(record.files[0])}
    wiring.ports().ledger.append(Entry(site=source, post_id=record.id, happening=happening, fingerprint=record.fingerprint,
                                       content=content))
