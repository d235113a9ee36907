"""The steps of the story as plain functions. Adapters come from wiring.ports(); nothing here knows Prefect."""

import errno
import hashlib
import logging
import os
import re
import secrets
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from flows import wiring
from flows.errors import BadInput, CoverRejected, OverBudget
from flows.parsing import parse_size
from flows.record import Painted, Stopwatch, Wishes
from generator.request import CoverImage, CoverRequest, RedoRequest
from integrations.errors import NotFound, Unavailable
from integrations.pictures import decode, encode
from integrations.ports import CachedCover, Entry, StoredFile, Verdict
from integrations.storage.naming import holds, object_name
from prompts.article import Article, Language
from prompts.brief import Brief
from prompts.render import Prompt, render
from prompts.style import StyleGuide, load_style

log = logging.getLogger(__name__)
WAIT_S = 0.25
FORMATS: tuple[Literal["webp", "png"], ...] = ("webp", "png")
REVIEW_REMEDY = "; change the words, or let what a person should see be published: safety.on_review=publish"
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""What ails a disk, not the question."""


def fill_wishes(source: str, wishes: Wishes) -> Wishes:
    """What the caller leaves open as the site has it, where the source is one."""
    site = wiring.ports().site(source)
    if site is None:
        return replace(wishes, write=bool(wishes.write))
    size = parse_size(site.size) if site.size else None
    language = site.language if wishes.language == "auto" else wishes.language
    return replace(wishes, style=wishes.style or site.style or None, size=wishes.size or size, language=language,
                   out=wishes.out or site.out, write=True if wishes.write is None else wishes.write)


def check_budget(source: str) -> None:
    """Raise OverBudget where the site has painted for as long as it may today (UTC)."""
    site = wiring.ports().site(source)
    if site is None or not site.budget_s:
        return
    today = time.time() // 86400 * 86400
    spent = sum(float(entry.content["seconds"])
                for entry in wiring.ports().ledger.entries(site=source, happening="painted", since=today))
    if spent >= site.budget_s:
        raise OverBudget(f"{source}: {spent:.0f} s of painting today, and its budget_s is {site.budget_s:g}; "
                         f"it goes on at midnight UTC")


def note_painting(source: str, post_id: str, painted: Painted) -> None:
    """Tell the ledger what a new picture took; one that was there already took nothing."""
    if not painted.cached:
        wiring.ports().ledger.append(Entry(site=source, post_id=post_id, happening="painted",
                                           fingerprint=painted.cover.fingerprint,
                                           content={"seconds": painted.seconds["generate"]}))


def check_wishes(source: str, wishes: Wishes) -> None:
    """Raise BadInput where a post would get a cover that its readers cannot reach, or its folder takes no files."""
    ports = wiring.ports()
    is_reachable = not wishes.write or wishes.out or ports.settings.store.base_url
    if not (is_reachable or ports.open_source(source).keeps_pictures):
        raise BadInput("write: the post would name a file in our own store; give a folder of the site (out), "
                       "or set store.base_url")
    if wishes.out:
        check_folder(Path(wishes.out))


def fetch(source: str, post_id: str) -> Article:
    """The post as an Article."""
    return wiring.ports().open_source(source).read(post_id)


def check_writable(source: str, post_id: str) -> None:
    """Raise Refused where the cover could not be written into the post in the end."""
    wiring.ports().open_source(source).check_writable(post_id)


def screen_article(article: Article) -> tuple[Verdict, ...]:
    """Verdicts on the title and the body. Raises CoverRejected where they may not be illustrated."""
    return tuple(screen_text(text, where, article.id) for text, where in ((article.title, "title"), (article.text, "body")))


def screen_text(text: str, where: str, what: str = "") -> Verdict:
    """The verdict on some words. Raises CoverRejected, naming `what` they are of, unless the site lets them be published."""
    verdict = wiring.ports().words.check(text, where)
    _accept((verdict,), what or where)
    return verdict


def summarise(article: Article) -> Brief:
    """What the article is about, in one sentence and a few subjects."""
    return wiring.ports().summarizer.summarise([article])[0]


def choose_style(wishes: Wishes) -> StyleGuide:
    """The style guide asked for, or the site's own default."""
    settings = wiring.ports().settings
    return load_style(wishes.style or settings.style, settings.brand_folder)


def write_prompt(brief: Brief, style: StyleGuide, article: Article, wishes: Wishes) -> Prompt:
    """The prompt in the language wished for, else in the article's."""
    return render_prompt(brief, style, article.language if wishes.language == "auto" else wishes.language)


def render_prompt(brief: Brief, style: StyleGuide, language: Language) -> Prompt:
    """The prompt by the site's own template, where it has one."""
    return render(brief, style, language, wiring.ports().settings.template_folder)


def make_request(prompt: Prompt, style: StyleGuide, article: Article, wishes: Wishes) -> CoverRequest:
    """The exact picture to paint: wishes over the style guide's hints over settings."""
    ports = wiring.ports()
    checkpoint, settings = ports.generator.checkpoint, ports.settings.generator
    hints = style.hints_for(checkpoint)
    width, height = wishes.size or style.sizes[0]
    seed = derive_seed(article.title) if wishes.seed is None else wishes.seed
    try:
        return CoverRequest(
            prompt=prompt.text,
            negative=prompt.negative,
            width=width,
            height=height,
            steps=hints.steps or settings.steps,
            guidance=hints.guidance or settings.guidance,
            seed=seed,
            checkpoint=checkpoint,
        )
    except ValueError as exc:
        raise BadInput(str(exc)) from None


def derive_seed(title: str) -> int:
    """The same post always gets the same seed, wherever its file lies; two posts with one brief get different pictures."""
    return int.from_bytes(hashlib.sha256(title.encode("utf-8", "surrogatepass")).digest()[:4], "big")


def paint_once(request: CoverRequest) -> Painted:
    """The finished cover. However many processes ask for it at once, one of them paints and the others wait for it.

    Raises CoverRejected, GeneratorError, Unavailable.
    """
    ports = wiring.ports()
    return _once(request.fingerprint, lambda: ports.generator.generate(request, ports.progress))


def redo_once(request: RedoRequest, cover: CachedCover) -> Painted:
    """A finished cover with a region painted anew, as once as any. Raises as `paint_once`."""
    def redo() -> CoverImage:
        file = next(file for file in cover.files if file.format == "png")
        return wiring.ports().generator.redo(request, decode(whole_file(file), file.name))

    return _once(request.fingerprint, redo)


def _once(fingerprint: str, paint: Callable[[], CoverImage]) -> Painted:
    ports, watch = wiring.ports(), Stopwatch()
    ports.check_publishable()
    hold_s = ports.settings.cache.hold_s
    give_up, is_told = time.monotonic() + 2 * hold_s, False
    while time.monotonic() < give_up:
        if found := find_whole(fingerprint, watch):
            return Painted(cover=found, cached=True, seconds=watch.seconds)
        with ports.cache.claim(fingerprint, hold_s) as ours:
            if ours:
                ports.check_current()
                found = find_whole(fingerprint, watch)
                return Painted(cover=found or _paint(fingerprint, paint, watch), cached=found is not None, seconds=watch.seconds)
        if not is_told:
            log.warning("cover %s: another process is painting it; waiting at most %.0f s", fingerprint[:12], 2 * hold_s)
            is_told = True
        time.sleep(WAIT_S)
    raise Unavailable(f"cache: another process has held {fingerprint[:12]} for {2 * hold_s:.0f} s")


def find_whole(fingerprint: str, watch: Stopwatch) -> CachedCover | None:
    """The remembered cover if every file of it is still there and whole; else None, and the record is forgotten.

    A cover judged by another picture screen or bounds than the site's own, or by none, does not count: it is painted and
    judged anew. Raises CoverRejected for one that waits for a person where the site holds those.
    """
    ports = wiring.ports()
    with watch.timing("store"):
        found = ports.cache.find(fingerprint)
        if found is None or (ports.pictures and any(v.policy != ports.pictures.policy for v in found.verdicts)):
            return None
        for file in found.files:
            data = ports.store.get(file.name)
            if data is None or hashlib.sha256(data).hexdigest() != file.sha256:
                log.warning(
                    "cover %s: stored file %s is gone or damaged; painting it again", fingerprint[:12], file.name
                )
                ports.cache.forget(fingerprint)
                return None
    _accept(found.verdicts, "picture")
    return replace(found, files=tuple(replace(file, path=ports.store.address(file.name)) for file in found.files))


def _paint(fingerprint: str, paint: Callable[[], CoverImage], watch: Stopwatch) -> CachedCover:
    with watch.timing("generate"):
        picture = paint()
    with watch.timing("screen"):
        verdict = screen_picture(picture)
    with watch.timing("store"):
        cover = CachedCover(fingerprint=fingerprint, files=store_files(fingerprint, picture), verdicts=(verdict,),
                            created_at=time.time())
        wiring.ports().cache.remember(cover)
    return cover


def screen_picture(picture: CoverImage) -> Verdict:
    """The picture screen's verdict. Raises CoverRejected unless it may be stored."""
    screen = wiring.ports().pictures
    if screen is None:
        return Verdict(check="nsfw", decision="not_configured")
    verdict = screen.check(picture)
    _accept((verdict,), "picture")
    return verdict


def store_files(fingerprint: str, picture: CoverImage) -> tuple[StoredFile, ...]:
    """The picture in every format, stored under names made from its content."""
    store, files = wiring.ports().store, []
    for form in FORMATS:
        data = encode(picture, form)
        name = object_name(fingerprint, picture.width, picture.height, data, form)
        files.append(StoredFile(path=store.put(name, data, f"image/{form}"), name=name, width=picture.width,
                                height=picture.height, format=form, sha256=hashlib.sha256(data).hexdigest()))
    return tuple(files)


def deliver(cover: CachedCover, article: Article, wishes: Wishes) -> tuple[StoredFile, ...]:
    """The cover's files; with wishes.out, copies of them in that folder under a readable name."""
    if not wishes.out:
        return cover.files
    folder, delivered = Path(wishes.out), []
    for file in cover.files:
        data = whole_file(file)
        target = folder / f"{readable_name(article)}-{cover.fingerprint[:8]}-{file.width}x{file.height}.{file.format}"
        place_file(target, data)
        delivered.append(replace(file, path=str(target)))
    return tuple(delivered)


def check_folder(folder: Path) -> None:
    """Make the folder; asked before the painting, not after. Raises BadInput if it cannot take files, Unavailable."""
    with _placing_in(folder):
        tempfile.TemporaryFile(dir=folder).close()


def place_file(target: Path, data: bytes) -> None:
    """Write a file whole or not at all, with its folder. Raises BadInput for an impossible place, Unavailable."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    with _placing_in(target.parent):
        try:
            draft.write_bytes(data)
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _placing_in(folder: Path) -> Iterator[None]:
    """`folder`, made if it is missing, while files are placed in it. Raises BadInput for an impossible place, Unavailable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        error = Unavailable if exc.errno in PASSING else BadInput
        raise error(f"out: {str(folder)!r} cannot take files: {exc.strerror}") from exc


def readable_name(article: Article) -> str:
    """The post's name as part of a file name: ASCII letters and digits, at most 48; "cover" if none are left."""
    path = PurePosixPath(article.id.rstrip("/").partition("?")[0])
    stem = path.parent.name if path.stem == "index" else path.stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:48].lower() or "cover"


def refer_to(source: str, cover: CachedCover, files: tuple[StoredFile, ...], article: Article) -> str:
    """How the post names its cover: by its address in the store or on the site, else by the path from the post.

    Empty where the source keeps the picture itself.
    """
    settings = wiring.ports().settings
    if wiring.ports().open_source(source).keeps_pictures:
        return ""
    if settings.store.base_url:
        return cover.files[0].path
    if settings.out_url:
        return f"{settings.out_url.rstrip('/')}/{Path(files[0].path).name}"
    return Path(os.path.relpath(Path(files[0].path).resolve(), Path(article.source).resolve().parent)).as_posix()


def was_rejected(source: str, post_id: str) -> bool:
    """Whether an editor has rejected the covers of this very version of the post: it is not asked about twice."""
    ports = wiring.ports()
    if ports.site(source) is None:
        return False
    last = next(ports.ledger.entries(site=source, post_id=post_id, happening="rejected", newest_first=True), None)
    return last is not None and last.content["version"] == tell_version(source, post_id)


def tell_version(source: str, post_id: str) -> str:
    """The post's version; "" for one that can be read and has none yet, such as a draft. Raises as reading does."""
    posts = wiring.ports().open_source(source)
    try:
        return posts.version(post_id)
    except NotFound:
        posts.read(post_id)  # raises again for a post that is gone
        return ""


def published_name(file: StoredFile) -> str:
    """What a source that keeps pictures calls this one. "fengmian-" is what our plugins know our pictures by."""
    return f"fengmian-{file.width}x{file.height}-{file.sha256[:16]}.{file.format}"


def whole_file(file: StoredFile) -> bytes:
    """The stored bytes. Raises Unavailable where they are gone or damaged."""
    data = wiring.ports().store.get(file.name)
    if data is None or not holds(file.name, data):
        raise Unavailable(f"store: {file.name} vanished while it was being delivered")
    return data


def write_alt_text(brief: Brief) -> str:
    """What a reader who does not see the cover is told, in the article's language."""
    return f"封面插画：{brief.sentence}" if brief.language == "zh" else f"Cover illustration: {brief.sentence}"


def describe_brief(brief: Brief) -> dict[str, Any]:
    """The brief as plain values."""
    return asdict(brief)


def _accept(verdicts: tuple[Verdict, ...], what: str) -> None:
    """Raise CoverRejected unless every verdict lets the cover be published under the site's policy."""
    hold = wiring.ports().settings.safety.on_review == "hold"
    for verdict in verdicts:
        if verdict.decision in ("block", "error") or (verdict.decision == "review" and hold):
            found = (
                ", ".join(f"{finding.category}: {finding.text}" for finding in verdict.findings[:3]) or verdict.detail
            )
            remedy = REVIEW_REMEDY if verdict.decision == "review" else ""
            raise CoverRejected(f"{what}: {verdict.check} says {verdict.decision}" + (f" ({found})" if found else "") + remedy)
        if verdict.decision == "review":
            log.warning("%s: %s asks for review; published because safety.on_review is publish", what, verdict.check)
