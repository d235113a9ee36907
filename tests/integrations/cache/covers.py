"""A cover to remember, and the loop by which a process makes one cover once."""

import time
from pathlib import Path

from integrations.ports import CachedCover, CoverCache, Finding, StoredFile, Verdict

FINGERPRINT = "ab" * 32


def a_cover(fingerprint: str = FINGERPRINT, created_at: float = 1.5) -> CachedCover:
    file = StoredFile(path="/封面/a.png", name="ab/a.png", width=64, height=48, format="png", sha256="0" * 64)
    finding = Finding(category="gambling", level="review", text="赌博", start=2, end=4, context="在线赌博网站")
    verdict = Verdict(check="words.title", decision="review", findings=(finding,), scores={"nsfw": 0.25})
    return CachedCover(fingerprint=fingerprint, files=(file,), verdicts=(verdict,), created_at=created_at)


def make_once(cache: CoverCache, fingerprint: str, tally: Path, *, hold_s: float, work_s: float) -> None:
    """Return when the cover is there; each making of it adds a line to `tally`."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if cache.find(fingerprint) is not None:
            return
        with cache.claim(fingerprint, hold_s) as is_ours:
            if is_ours and cache.find(fingerprint) is None:
                with tally.open("a") as file:
                    file.write("made\n")
                time.sleep(work_s)
                cache.remember(a_cover(fingerprint))
        time.sleep(0.02)
    raise TimeoutError(f"no cover {fingerprint} within 30 s")
