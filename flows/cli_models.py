"""`fengmian models`: pull, list, verify, remove. Heavy things are imported inside the commands, as in cli.py."""

from typing import Annotated

import typer

models_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                         help="Pull, list, verify and remove the models that the settings can name.")
Name = Annotated[str, typer.Argument(help="A name that `fengmian models list` shows.")]


@models_app.command()
def pull(
    name: Name,
    revision: Annotated[
        str, typer.Option("--revision", metavar="REV", help="Commit, tag or branch. Default: as pulled before, else the newest.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The model's record as one JSON object.")] = False,
) -> None:
    """Bring a model here, checked against the hub's hashes. Stop it and start it again: only the rest is fetched."""
    from flows.models_console import pull

    pull(name, revision, as_json)


@models_app.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="One JSON object per model.")] = False) -> None:
    """The models that we know, and what of them is here."""
    from flows.models_console import list_models

    list_models(as_json)


@models_app.command()
def verify(name: Annotated[str | None, typer.Argument(help="A pulled model. Default: all of them.")] = None,
           as_json: Annotated[bool, typer.Option("--json", help="One JSON object per model.")] = False) -> None:
    """Hash every file of a pulled model again. Exit code 1 if any is damaged; `pull` mends it."""
    from flows.models_console import verify

    raise typer.Exit(verify(name, as_json))


@models_app.command()
def remove(name: Name) -> None:
    """Delete what was pulled, whole or in part. Files that no pull brought stay."""
    from flows.models_console import remove

    remove(name)
