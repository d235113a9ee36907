"""fengmian labels: keys, labels on files that are there already, and reading them back."""

from pathlib import Path
from typing import Annotated

import typer

from flows.parsing import bad

labels_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Label pictures as made by AI, and read such labels.")
Lang = Annotated[str, typer.Option("--lang", help="Language of the visible words: zh or en.")]


@labels_app.command()
def keygen(
    out: Annotated[Path, typer.Option("--out", help="Folder that gets the keys.")],
    name: Annotated[str, typer.Option("--name", help="Whom the certificates name: your site or company.")],
) -> None:
    """Make keys for C2PA: a root of your own and a signer, for a year. Keep root.key away from the machine that signs."""
    from flows.labelling import make_keys

    make_keys(out, name)


@labels_app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="PNG, JPEG, WebP or AVIF file.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where it goes. Default: in place.")] = None,
    picture: Annotated[str, typer.Option("--id", help="Which picture it is, in the implicit label. Default: its SHA-256.")] = "",
    lang: Lang = "zh",
) -> None:
    """Put the labels on a file. Without visible words every pixel stays as it is."""
    from flows.labelling import apply_labels

    apply_labels(file, out or file, picture, _language(lang))


@labels_app.command()
def verify(
    file: Annotated[str, typer.Argument(help="File, or web address of a served copy.")],
    lang: Lang = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Exit code 0 if every label that is asked for is there, once, and valid; else 1."""
    from flows.labelling import verify_labels

    raise typer.Exit(0 if verify_labels(file, _language(lang) if lang else "", as_json) else 1)


def _language(lang: str) -> str:
    if lang not in ("zh", "en"):
        bad(f"lang: {lang!r} is not zh or en")
    return lang
