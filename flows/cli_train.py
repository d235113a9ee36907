"""`fengmian train`: curate pictures, and train a team's own look. Heavy things are imported inside the commands, as in cli.py."""

from pathlib import Path
from typing import Annotated

import typer

from flows.parsing import bad, number, whole_number

train_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                        help="Choose good pictures, and teach the generator a team's own look.")
Json = Annotated[bool, typer.Option("--json", help="The summary as one JSON object.")]


@train_app.command()
def curate(
    source: Annotated[Path, typer.Argument(help="Folder of pictures, or a manifest (JSON lines) that names them.")],
    out: Annotated[Path, typer.Option("--out", help="Folder that gets the manifest of decisions and the contact sheets.")] = Path(
        "curated"),
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="YAML file with bounds of your own.")] = None,
    as_json: Json = False,
) -> None:
    """Decide for every picture whether it is good enough to learn from, and say why."""
    from flows.curating import curate_source

    curate_source(source, out, policy, as_json)


@train_app.command()
def brand(
    folder: Annotated[Path, typer.Argument(help="Folder of approved covers; FILE.txt beside a picture holds its prompt.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="LoRA file (safetensors) that is written.")] = Path(
        "brand.safetensors"),
    minutes: Annotated[float, typer.Option("--minutes", parser=number, metavar="N", help="How long it may train.")] = 20.0,
    rank: Annotated[int, typer.Option("--rank", parser=whole_number, metavar="N", help="Rank of the LoRA.")] = 16,
    seed: Annotated[int, typer.Option("--seed", parser=whole_number, metavar="N")] = 0,
    as_json: Json = False,
) -> None:
    """Teach the generator a team's look from covers it has approved. Use the file with the setting generator.loras."""
    from flows.branding import Plan, train_brand

    if not 0 < minutes <= 24 * 60:
        bad(f"minutes: {minutes:g} is not above 0 and at most 1440")
    if not 1 <= rank <= 128:
        bad(f"rank: {rank} is not from 1 to 128")
    train_brand(folder, Plan(out=out, minutes=minutes, rank=rank, seed=seed), as_json=as_json)
