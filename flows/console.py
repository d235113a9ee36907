"""What the commands show a person: progress, tables, contact sheets. Decides nothing."""

import hashlib
import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from flows import steps
from flows.cover_backlog import Outcome, count_posts, cover_backlog, list_failures
from flows.record import CoverRecord, Wishes
from flows.wiring import ports
from generator.request import CoverImage, CoverRequest
from prompts.article import Language
from prompts.brief import Brief, Subject
from prompts.render import render
from prompts.style import list_styles, load_style

errors = Console(stderr=True, highlight=False)

EXAMPLES: dict[Language, Brief] = {
    "zh": Brief(sentence="云原生架构如何让小团队也能稳定地服务百万用户", language="zh", method="example",
                subjects=(Subject(name="云原生", weight=0.6), Subject(name="弹性", weight=0.4))),
    "en": Brief(sentence="How a cloud native architecture lets a small team serve a million users", language="en", method="example",
                subjects=(Subject(name="cloud native", weight=0.6), Subject(name="elasticity", weight=0.4))),
}
"""What `styles show` and `styles preview` illustrate."""


class Watcher(AbstractContextManager["Watcher"]):
    """A progress bar for the denoising steps of one picture, on standard error, where that is a terminal."""

    def __init__(self, title: str) -> None:
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                             console=errors, transient=True, disable=not errors.is_terminal)
        self._task = self._bar.add_task(_plain(title), total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        ports().progress = lambda step, total: self._bar.update(self._task, completed=step, total=total)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        ports().progress = None
        self._bar.stop()


def _plain(text: str) -> str:
    return text.replace("[", "\\[").encode("utf-8", "replace").decode()


def print_json(content: Any) -> None:
    """One line of JSON on standard output, in UTF-8 whatever the locale."""
    line = json.dumps(content, ensure_ascii=False) + "\n"
    sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()


def print_record(record: CoverRecord, as_json: bool) -> None:
    """A record for programs, or a few lines for a person."""
    if as_json:
        print_json(record.as_json())
        return
    console = Console(highlight=False, soft_wrap=True)
    if record.status == "kept":
        console.print(f"{_plain(record.title)}: has a cover already; --force replaces it")
        return
    assert record.brief is not None
    source = "from cache" if record.cached else f"painted in {record.timings_s['generate']:.1f} s"
    console.print(f"[bold]{_plain(record.title)}[/bold]\n  {_plain(record.brief['sentence'])} ({record.brief['method']})\n"
                  f"  style {record.style}, seed {record.seed}, {source}" + (", written into the post" if record.written else ""))
    for file in record.files:
        console.print(f"  {_plain(file.path)}")


def run_backlog(source: str, wishes: Wishes, *, limit: int | None, dry_run: bool, as_json: bool) -> int:
    """Work through a backlog with a bar, then print a table. Exit code 1 if any post failed."""
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=errors,
                   disable=not errors.is_terminal)
    outcomes: list[Outcome] = []
    with bar:
        task = bar.add_task("posts", total=count_posts(source))

        def tell(outcome: Outcome) -> None:
            outcomes.append(outcome)
            bar.advance(task)
            if as_json:
                print_json({"id": outcome.post_id, "result": outcome.result, "reason": outcome.reason,
                            **(outcome.record.as_json() if outcome.record else {"title": outcome.title})})

        try:
            cover_backlog(source, wishes, limit=limit, dry_run=dry_run, tell=tell, run=_runner())
        finally:
            if not as_json:
                _print_outcomes(outcomes)
    return 1 if any(list_failures(outcomes)) else 0


def _runner() -> Any:
    from flows.cover_post import plainly
    return plainly


def _print_outcomes(outcomes: list[Outcome]) -> None:
    table = Table("post", "result", "cover or reason", box=None)
    for outcome in outcomes:
        files = outcome.record.files if outcome.record else ()
        table.add_row(_plain(outcome.title or outcome.post_id), outcome.result, _plain(outcome.reason or (files[0].path if files else "")))
    counts = {result: sum(outcome.result == result for outcome in outcomes) for result in ("covered", "kept", "missing", "failed")}
    console = Console(highlight=False)
    console.print(table)
    console.print(", ".join(f"{count} {result}" for result, count in counts.items() if count) or "no posts")


def generate_pictures(prompt: str, negative: str, size: tuple[int, int], seed: int, count_steps: int | None, count: int,
                      out: Path, as_json: bool) -> None:
    """Paint `count` pictures of one prompt with consecutive seeds into `out`, with a contact sheet for more than one."""
    from flows.errors import BadInput
    settings = ports().settings.generator
    pictures = []
    for number in range(count):
        try:
            request = CoverRequest(prompt=prompt, negative=negative, width=size[0], height=size[1],
                                   steps=settings.steps if count_steps is None else count_steps, guidance=settings.guidance,
                                   seed=seed + number, checkpoint=ports().generator.checkpoint)
        except ValueError as exc:
            raise BadInput(str(exc)) from None
        with Watcher(f"{number + 1}/{count}"):
            picture = ports().generator.generate(request, ports().progress)
        pictures.append(picture)
        data = steps.encode(picture, "png")
        path = _write(out, f"{request.fingerprint[:12]}-{request.seed}-{size[0]}x{size[1]}.png", data)
        if as_json:
            print_json({"path": str(path), "seed": request.seed, "fingerprint": request.fingerprint, "width": size[0],
                        "height": size[1], "format": "png", "sha256": hashlib.sha256(data).hexdigest()})
        else:
            print(path)
    if count > 1:
        sheet = _write_sheet(out, f"sheet-{hashlib.sha256(prompt.encode('utf-8', 'replace')).hexdigest()[:8]}-{seed}.png", pictures,
                             [f"seed {seed + number}" for number in range(count)])
        print(sheet, file=sys.stderr if as_json else sys.stdout)


def _write(folder: Path, name: str, data: bytes) -> Path:
    from flows.errors import BadInput
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    except OSError as exc:
        raise BadInput(f"out: {folder} cannot take files: {exc.strerror}") from None
    return folder / name


def _write_sheet(folder: Path, name: str, pictures: list[CoverImage], captions: list[str]) -> Path:
    from integrations.contact_sheet import contact_sheet
    return _write(folder, name, contact_sheet(pictures, captions, columns=4 if len(pictures) > 6 else 3))


def list_guides() -> None:
    """A table of all style guides, ours and the site's."""
    folder = ports().settings.brand_folder
    table = Table("name", "名称", "title", "palette", "sizes", box=None)
    for name in list_styles(folder):
        guide = load_style(name, folder)
        swatches = " ".join(f"[on {colour.hex}]  [/]{colour.hex}" for colour in guide.palette)
        table.add_row(name, guide.title.zh, guide.title.en, swatches, ", ".join(f"{width}x{height}" for width, height in guide.sizes))
    Console(highlight=False).print(table)


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
    settings = ports().settings
    pictures, captions = [], []
    for name in list_styles(settings.brand_folder):
        guide = load_style(name, settings.brand_folder)
        prompt = render(EXAMPLES["zh"], guide, "zh", settings.template_folder)
        hints = guide.hints_for(ports().generator.checkpoint)
        with Watcher(name):
            pictures.append(ports().generator.generate(CoverRequest(
                prompt=prompt.text, negative=prompt.negative, width=size[0], height=size[1],
                steps=hints.steps or settings.generator.steps, guidance=hints.guidance or settings.generator.guidance, seed=1,
                checkpoint=ports().generator.checkpoint), ports().progress))
        captions.append(f"{name} {guide.title.zh}")
    print(_write_sheet(out, "styles.png", pictures, captions))
