"""What the commands show a person: progress, tables, contact sheets. Decides nothing."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from flows import cover_post as plain_engine
from flows.cover_backlog import Outcome, count_posts, cover_backlog, list_failures
from flows.errors import BacklogFailed, BadInput
from flows.record import CoverRecord, Wishes
from flows.steps import check_folder, place_file
from flows.wiring import ports
from generator.request import CoverImage, CoverRequest
from integrations.pictures import encode
from prompts.article import Language
from prompts.brief import Brief, Subject
from prompts.plain import plain
from prompts.render import render
from prompts.style import StyleGuide, all_styles, load_style

COLOURS = {"covered": "green", "kept": "dim", "asked": "cyan", "missing": "yellow", "failed": "red"}
errors = Console(stderr=True, highlight=False)

EXAMPLES: dict[Language, Brief] = {
    "zh": Brief(
        sentence="云原生架构如何让小团队也能稳定地服务百万用户",
        language="zh",
        method="example",
        subjects=(Subject(name="云原生", weight=0.6), Subject(name="弹性", weight=0.4)),
    ),
    "en": Brief(
        sentence="How a cloud native architecture lets a small team serve a million users",
        language="en",
        method="example",
        subjects=(Subject(name="cloud native", weight=0.6), Subject(name="elasticity", weight=0.4)),
    ),
}
"""What `styles show` and `styles preview` illustrate."""


class Watcher(AbstractContextManager["Watcher"]):
    """A progress bar for the denoising steps of one picture, on standard error, where that is a terminal."""

    def __init__(self, title: str) -> None:
        self._bar = make_bar(transient=True)
        self._task = self._bar.add_task(escape(plain(title)), total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        ports().progress = lambda step, total: self._bar.update(self._task, completed=step, total=total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        ports().progress = None
        self._bar.stop()


def hear(step: int, steps: int) -> None:
    """Tell whoever watches now."""
    if progress := ports().progress:
        progress(step, steps)


def make_bar(*, transient: bool) -> Progress:
    """A progress bar on standard error, where that is a terminal."""
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                    console=errors, transient=transient, disable=not errors.is_terminal)


def make_console() -> Console:
    """Standard output as a console; wide where nobody's window bounds it."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 160
    return console


def print_json(content: Any) -> None:
    """One line of JSON on standard output, in UTF-8 whatever the locale."""
    line = json.dumps(content, ensure_ascii=False) + "\n"
    sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()


def cover_all(source: str, posts: list[str], wishes: Wishes, *, as_json: bool,
              complain: Callable[[Exception, str], None]) -> list[Exception]:
    """Cover these posts, printing each record; what goes wrong is told, returned, and stops no other post."""
    failures: list[Exception] = []
    with _engine() as engine:
        for post_id in posts:
            try:
                with Watcher(post_id):
                    record = (engine or plain_engine).cover_post(source, post_id, wishes)
            except Exception as exc:  # one post's trouble, foreseen or not, never stops the others
                failures.append(exc)
                complain(exc, post_id if len(posts) > 1 else "")
            else:
                print_record(record, as_json)
    return failures


@contextmanager
def _engine() -> Iterator[Any]:
    """flows.engine, recording on the configured Prefect server, or None where there is none."""
    api_url = ports().settings.prefect_api_url
    if not api_url:
        yield None
        return
    # Prefect reads these as it is imported. Its own log would stand between our lines; the server gets it all the same.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from flows import engine

    with engine.on_server(api_url):
        yield engine


def print_record(record: CoverRecord, as_json: bool) -> None:
    """A record for programs, or a few lines for a person."""
    if as_json:
        print_json(record.as_json())
        return
    console = Console(highlight=False, soft_wrap=True, markup=False)
    title = Text(plain(record.title), style="bold")
    if record.status == "kept":
        console.print(title.append(": has a cover already; --force replaces it", style="not bold"))
        return
    assert record.brief is not None
    source = "from cache" if record.cached else f"painted in {record.timings_s['generate']:.1f} s"
    console.print(title)
    console.print(f"  {plain(record.brief['sentence'])} ({record.brief['method']})")
    console.print(
        f"  style {record.style}, seed {record.seed}, {source}" + (", written into the post" if record.written else "")
    )
    for file in record.files:
        console.print(f"  {plain(file.path)}")


def run_backlog(source: str, wishes: Wishes, *, limit: int | None, dry_run: bool, as_json: bool) -> int:
    """Work through a backlog with a bar, then print a table. Exit code 1 if any post failed."""
    outcomes: list[Outcome] = []
    with make_bar(transient=False) as bar:
        task = bar.add_task("posts", total=count_posts(source))

        def tell(outcome: Outcome) -> None:
            outcomes.append(outcome)
            bar.advance(task)
            if as_json:
                print_json(outcome.as_json())

        ports().tell = tell
        try:
            _work_through(source, wishes, limit, dry_run)
        finally:
            ports().tell = None
            bar.stop()
            if not as_json:
                _print_outcomes(outcomes)
    return 1 if any(list_failures(outcomes)) else 0


def _work_through(source: str, wishes: Wishes, limit: int | None, dry_run: bool) -> None:
    if dry_run:
        cover_backlog(source, wishes, limit=limit, dry_run=True)
        return
    with _engine() as engine:
        if engine is None:
            cover_backlog(source, wishes, limit=limit)
            return
        with suppress(BacklogFailed):  # the outcomes say which
            engine.cover_backlog(source, wishes, limit)


def _print_outcomes(outcomes: list[Outcome]) -> None:
    console = make_console()
    table = Table(Column("post", max_width=48, no_wrap=True, overflow="ellipsis"), Column("result", no_wrap=True),
                  Column("cover, or why not", overflow="fold"), box=None, pad_edge=False)
    for outcome in outcomes:
        files = outcome.record.files if outcome.record else ()
        table.add_row(
            Text(plain(outcome.title or outcome.post_id)),
            Text(outcome.result, style=COLOURS[outcome.result]),
            Text(plain(outcome.reason or (files[0].path if files else ""))),
        )
    if outcomes:
        console.print(table)
    counts = {result: sum(outcome.result == result for outcome in outcomes) for result in COLOURS}
    console.print(", ".join(f"{count} {result}" for result, count in counts.items() if count) or "no posts")


def make_request(prompt: str, negative: str, size: tuple[int, int], seed: int, steps: int | None, lora: str = "") -> CoverRequest:
    """What `fengmian generate` asks for, over the settings. Raises BadInput, GeneratorError."""
    settings = ports().settings.generator
    checkpoint = ports().painter.checkpoint_with(lora) if lora else ports().generator.checkpoint
    return _request(prompt=prompt, negative=negative, width=size[0], height=size[1], seed=seed,
                    steps=settings.steps if steps is None else steps, guidance=settings.guidance,
                    checkpoint=checkpoint)


def generate_pictures(first: CoverRequest, count: int, out: Path, as_json: bool) -> None:
    """Paint `first` and its likes with the seeds after it, `count` in all; more than one get a contact sheet."""
    requests = [_request(**(asdict(first) | {"seed": first.seed + number})) for number in range(count)]
    check_folder(out)
    pictures = []
    painted = ports().generator.generate_many(requests, hear)
    for number, request in enumerate(requests):
        with Watcher(f"{number + 1}/{count}"):
            picture = next(painted)
        pictures.append(picture)
        data = encode(picture, "png")
        path = out / f"{request.fingerprint[:12]}-{request.seed}-{request.width}x{request.height}.png"
        place_file(path, data)
        if as_json:
            print_json({"path": str(path), "seed": request.seed, "fingerprint": request.fingerprint,
                        "width": request.width, "height": request.height, "format": "png",
                        "sha256": hashlib.sha256(data).hexdigest()})
        else:
            print(path)
    if count > 1:
        sheet = place_sheet(out / f"sheet-{first.fingerprint[:12]}-{count}.png", pictures,
                             [f"seed {request.seed}" for request in requests])
        print(sheet, file=sys.stderr if as_json else sys.stdout)


def _request(**fields: Any) -> CoverRequest:
    try:
        return CoverRequest(**fields)
    except ValueError as exc:
        raise BadInput(str(exc)) from None


def _paint(request: CoverRequest, title: str) -> CoverImage:
    with Watcher(title):
        return ports().generator.generate(request, ports().progress)


def place_sheet(path: Path, pictures: list[CoverImage], captions: list[str]) -> Path:
    """A contact sheet as a file; its path."""
    from integrations.contact_sheet import contact_sheet
    place_file(path, contact_sheet(pictures, captions, columns=4 if len(pictures) > 6 else 3))
    return path


def list_guides() -> None:
    """A table of all style guides, ours and the site's."""
    table = Table("name", "名称", "title", "palette", "sizes", box=None, pad_edge=False)
    for guide in all_styles(ports().settings.brand_folder):
        sizes = ", ".join(f"{width}x{height}" for width, height in guide.sizes)
        table.add_row(guide.name, guide.title.zh, guide.title.en, _swatches(guide), sizes)
    make_console().print(table)


def _swatches(guide: StyleGuide) -> Text:
    if not sys.stdout.isatty():
        return Text(" ".join(colour.hex for colour in guide.palette))
    return Text("").join(Text("   ", style=f"on {colour.hex}") for colour in guide.palette)


def show_guide(name: str, language: str) -> None:
    """The prompt and negative prompt that a guide gives for an example article."""
    settings = ports().settings
    guide = load_style(name, settings.brand_folder)
    for tongue, brief in EXAMPLES.items():
        if language in ("", tongue):
            prompt = render(brief, guide, tongue, settings.template_folder)
            print(f"[{tongue}] {prompt.text}\n[{tongue} negative] {prompt.negative}\n")


def preview_guides(out: Path, size: tuple[int, int]) -> None:
    """One example article in every style, as a contact sheet in `out`."""
    check_folder(out)
    settings, checkpoint = ports().settings, ports().generator.checkpoint
    pictures, captions = [], []
    for guide in all_styles(settings.brand_folder):
        prompt, hints = render(EXAMPLES["zh"], guide, "zh", settings.template_folder), guide.hints_for(checkpoint)
        pictures.append(
            _paint(
                _request(
                    prompt=prompt.text,
                    negative=prompt.negative,
                    width=size[0],
                    height=size[1],
                    seed=1,
                    checkpoint=checkpoint,
                    steps=hints.steps or settings.generator.steps,
                    guidance=hints.guidance or settings.generator.guidance,
                ),
                guide.name,
            )
        )
        captions.append(f"{guide.name} {guide.title.zh}")
    print(place_sheet(out / "styles.png", pictures, captions))
