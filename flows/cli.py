"""The command line. Everything heavy is imported inside the commands, so that --help answers at once.

Standard output carries results only; progress and errors go to standard error.
Exit codes: 0 done, 1 failure, 2 bad input, 130 stopped.
"""

import io
import logging
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli_deploy import deploy, work
from flows.cli_edit import edit_app
from flows.cli_gateway import gateway, keys_app
from flows.cli_labels import labels_app
from flows.cli_models import models_app
from flows.cli_train import train_app
from flows.cli_up import down, status, up
from flows.parsing import bad, parse_size, whole_number

if TYPE_CHECKING:
    from flows.record import Wishes

MAX_COUNT = 64
STOPPED = 130
"""Exit code after Ctrl-C."""

app = typer.Typer(name="fengmian", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  rich_markup_mode=None, help="封面 Fengmian: every post gets a cover, made on your own machine.")
styles_app = typer.Typer(no_args_is_help=False, rich_markup_mode=None, help="List, show and preview style guides.")
app.add_typer(styles_app, name="styles")
app.add_typer(edit_app, name="edit")
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")
app.add_typer(labels_app, name="labels")
app.command()(gateway)
app.command()(deploy)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(work)
for each in (up, down, status):
    app.command()(each)
app.add_typer(train_app, name="train")


Source = Annotated[str, typer.Argument(help="Markdown or HTML file, folder, web page, RSS/Atom feed, or site:NAME.")]
Style = Annotated[str | None, typer.Option("--style", help="Style guide; see `fengmian styles`.")]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", parser=whole_number, metavar="N", help="Same seed, same picture. Default: made from the post's title."
    ),
]
Size = Annotated[
    str | None, typer.Option("--size", metavar="WxH", help="Pixels, e.g. 1200x630. Default: the style's first size.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace a cover that the post already has.")]


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version
        print(f"fengmian {version('fengmian')}")
        raise typer.Exit


@app.callback()
def _root(context: typer.Context,
          version: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True,
                                                help="Print the version.")] = False,
          debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """Options of every command."""
    context.obj = debug


@app.command()
def cover(
    context: typer.Context,
    source: Source,
    style: Style = None,
    seed: Seed = None,
    size: Size = None,
    lang: Annotated[
        str, typer.Option("--lang", help="Language of the prompt: zh, en or auto (the article's).")
    ] = "auto",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder that gets the pictures. Default: covers, or as the site says.")
    ] = None,
    write: Annotated[
        bool | None,
        typer.Option("--write/--no-write", help="Write cover and alt text into the post. Default: yes for site:NAME, else no."),
    ] = None,
    force: Force = False,
    post: Annotated[str | None, typer.Option("--post", metavar="ID", help="Only this post of the folder, feed or site.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per post on standard output.")] = False,
) -> None:
    """Paint the cover of one post, or of every post of a folder, feed or site."""
    from flows.console import cover_all
    from flows.record import Wishes
    from flows.wiring import ports

    wishes = Wishes(style=style, seed=seed, size=_size(size), language=lang,  # type: ignore[arg-type]
                    out=_out(source, out, Path("covers")), write=write, force=force)
    _check(wishes)
    if write and "://" in source:
        bad(f"source: {source!r} is on the web and read only; --write needs a file or folder")
    posts = [post] if post is not None else list(ports().open_source(source).list_posts())
    if not posts:
        bad(f"source: {source!r} holds no posts")
    failures = cover_all(source, posts, wishes, as_json=as_json, complain=partial(_complain, debug=context.obj))
    if failures:
        raise typer.Exit(2 if all(_is_bad_input(exc) for exc in failures) else 1)


@app.command()
def undo(
    source: Annotated[str, typer.Argument(help="Where the post is: a folder, or site:NAME.")],
    post: Annotated[str, typer.Argument(help="Its id, as `fengmian cover --json` prints it.")],
) -> None:
    """Take our cover out of a post again: what was there before is put back. Nobody's later choice is overwritten."""
    from flows.undo import undo as put_back

    print(f"{post}: {'as it was before' if put_back(source, post) else 'it was so already'}")


@app.command()
def backlog(
    source: Source,
    style: Style = None,
    size: Size = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the pictures. Default: covers/ inside FOLDER.")
    ] = None,
    write: Annotated[
        bool | None,
        typer.Option(
            "--write/--no-write",
            help="Write cover and alt text into the posts. Default: "
            "yes for a folder, no for a feed, which is read only.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which posts have no cover.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", parser=whole_number, metavar="N", help="Cover at most this many posts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per post on standard output.")] = False,
) -> None:
    """Cover every post that has no cover yet. Stop it with Ctrl-C and start it again: nothing is done twice."""
    from flows.console import run_backlog
    from flows.record import Wishes

    if limit is not None and limit < 1:
        bad(f"limit: {limit} is not at least 1")
    folder = Path(source) / "covers" if os.path.isdir(source) else Path("covers")  # False for what is no path at all
    if write and "://" in source:
        bad(f"source: {source!r} is on the web and read only; --write needs a file or folder")
    is_written = "://" not in source if write is None else write
    wishes = Wishes(style=style, size=_size(size), out=_out(source, out, folder), write=is_written)
    _check(wishes)
    raise typer.Exit(run_backlog(source, wishes, limit=limit, dry_run=dry_run, as_json=as_json))


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(help="What to paint, in Chinese, English or both.")],
    negative: Annotated[str, typer.Option("--negative", help="What must not be in the picture.")] = "",
    size: Annotated[str, typer.Option("--size", metavar="WxH")] = "1200x630",
    seed: Annotated[
        int,
        typer.Option(
            "--seed", parser=whole_number, metavar="N", help="Seed of the first picture; the next ones count up."
        ),
    ] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", parser=whole_number, metavar="N", help="Denoising steps.")
    ] = None,
    count: Annotated[
        int,
        typer.Option(
            "-n",
            parser=whole_number,
            metavar="N",
            help="How many pictures; a contact sheet is added for more than one.",
        ),
    ] = 1,
    lora: Annotated[str, typer.Option("--lora", help="LoRA to switch on; see generator.switch_loras.")] = "",
    out: Annotated[Path, typer.Option("--out", help="Folder that gets the pictures.")] = Path("covers"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture on standard output.")] = False,
) -> None:
    """The generator alone: a prompt in, pictures out."""
    from flows.console import generate_pictures, make_request

    if not 1 <= count <= MAX_COUNT:
        bad(f"-n: {count} is not from 1 to {MAX_COUNT}")
    first = make_request(prompt, negative, parse_size(size), seed, steps, lora)
    generate_pictures(first, count, out, as_json)


@app.command("eval")
def evaluate(
    limit: Annotated[
        int | None, typer.Option("--limit", parser=whole_number, metavar="N", help="Paint only so many of the held-out prompts.")
    ] = None,
    articles: Annotated[
        str | None, typer.Option("--articles", metavar="SOURCE", help="Also judge how well covers fit these posts of your own.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option("--sheet", metavar="FILE", help="PNG that gets 48 of the pictures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Score the generator on held-out prompts: motif, place, count, relation, palette, quiet room for a title, and more."""
    from flows.evaluating import evaluate_generator

    if limit is not None and limit < 1:
        bad(f"limit: {limit} is not at least 1")
    evaluate_generator(limit, articles, sheet, as_json)


@app.command()
def serve() -> None:
    """The generator for other machines: REST in OpenAI's shapes and gRPC, where settings, section service, say."""
    from flows.serving import serve as serve_until_signal

    serve_until_signal()


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """What is configured, what is reachable, what would be used, and what to do about each gap."""
    from flows.doctor import examine, print_report

    raise typer.Exit(print_report(examine(), as_json))


@styles_app.callback(invoke_without_command=True)
def styles(context: typer.Context) -> None:
    """List the style guides."""
    if context.invoked_subcommand is None:
        from flows.console import list_guides

        list_guides()


@styles_app.command()
def show(name: Annotated[str, typer.Argument(help="Style guide.")],
         lang: Annotated[str, typer.Option("--lang", help="zh or en; both by default.")] = "") -> None:
    """Print the rendered prompt for an example article."""
    from flows.console import show_guide

    if lang not in ("", "zh", "en"):
        bad(f"lang: {lang!r} is not zh or en")
    show_guide(name, lang)


@styles_app.command()
def preview(out: Annotated[Path, typer.Option("--out", help="Folder that gets the sheet.")] = Path("covers"),
            size: Annotated[str, typer.Option("--size", metavar="WxH")] = "1200x630") -> None:
    """Paint one example article in every style, as a contact sheet."""
    from flows.console import preview_guides

    preview_guides(out, parse_size(size))


def _out(source: str, given: Path | None, default: Path) -> str:
    """The folder of the pictures; a site of the settings says itself whether there is one."""
    return str(given) if given is not None else "" if source.startswith("site:") else str(default)


def _size(text: str | None) -> tuple[int, int] | None:
    return None if text is None else parse_size(text)


def _check(wishes: "Wishes") -> None:
    """Say at once, before any post is read, what cannot be wished for."""
    from flows.wiring import ports
    from prompts.style import load_style

    if wishes.language not in ("zh", "en", "auto"):
        bad(f"lang: {wishes.language!r} is not zh, en or auto")
    if wishes.seed is not None and not 0 <= wishes.seed < 2**63:
        bad(f"seed: {wishes.seed} is not from 0 to 2**63-1")
    load_style(wishes.style or ports().settings.style, ports().settings.brand_folder)


def _is_bad_input(exc: Exception) -> bool:
    """Whether the caller can mend it by asking differently."""
    from flows.errors import BadInput, SettingsError
    from integrations.errors import Refused
    from prompts.errors import PromptError

    return isinstance(exc, BadInput | SettingsError | Refused | PromptError)


def _complain(exc: BaseException, post: str = "", *, debug: bool) -> None:
    """One line on standard error, naming the post where there are several; with --debug the traceback before it."""
    if debug:
        traceback.print_exception(exc)
    line = " ".join(str(exc).split())
    if not _is_ours(exc):
        line = f"{type(exc).__name__}: {line} (not foreseen: --debug shows where, please report it)"
    if post and not line.startswith(post):
        line = f"{post}: {line}"
    print("fengmian: " + line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)


def _is_ours(exc: BaseException) -> bool:
    from flows.cover_backlog import OUR_ERRORS

    return isinstance(exc, OUR_ERRORS)


def main() -> None:
    """Entry point: runs the command, and turns every error into one line and an exit code."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("fengmian: %(message)s"))
    for room in ("flows", "integrations", "generator", "prompts"):  # not the root: other people's logs are theirs
        logging.getLogger(room).addHandler(handler)
    for stream in (sys.stdout, sys.stderr):  # a locale that lacks a letter must not end the run
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line, without the program's name; the exit code. --debug may stand anywhere."""
    debug = "--debug" in arguments
    arguments = ["--debug"] * debug + [argument for argument in arguments if argument != "--debug"]
    try:
        result: Any = app(arguments or ["--help"], standalone_mode=False)
    except Exception as exc:  # the process entry point
        if hasattr(exc, "format_message"):  # a usage error; typer brings classes of its own for these
            print(f"fengmian: {' '.join(exc.format_message().split())}", file=sys.stderr)
            return 2
        _complain(exc, debug=debug)
        return 2 if _is_bad_input(exc) else 1
    if result == STOPPED:
        print("fengmian: stopped; nothing that was finished is lost", file=sys.stderr)
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
