"""`fengmian edit`: inpaint, outpaint, variants, img2img. Heavy things are imported inside the commands, as in cli.py."""

from pathlib import Path
from typing import Annotated

import typer

from flows.parsing import number, parse_size, whole_number

edit_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                       help="Change a part of a picture, or add to its sides. What is not asked for stays to the last bit.")
Picture = Annotated[Path, typer.Argument(help="PNG, JPEG, WebP or AVIF file.")]
Prompt = Annotated[str, typer.Option("--prompt", help="What to paint there, in Chinese, English or both.")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="PNG file that gets the picture.")]
Negative = Annotated[str, typer.Option("--negative", help="What must not be painted.")]
Seed = Annotated[int, typer.Option("--seed", parser=whole_number, metavar="N")]
Steps = Annotated[int | None, typer.Option("--steps", parser=whole_number, metavar="N", help="Denoising steps.")]
Feather = Annotated[int, typer.Option("--feather", parser=whole_number, metavar="PX",
                                      help="Fade from the old to the new over so many pixels inside the mask's edge.")]
Sheet = Annotated[bool, typer.Option("--sheet", help="Also a sheet with before and after, FILE-sheet.png.")]
Json = Annotated[bool, typer.Option("--json", help="The report as one JSON object per picture.")]


@edit_app.command()
def inpaint(
    picture: Picture,
    prompt: Prompt,
    out: Out,
    rect: Annotated[str, typer.Option("--rect", metavar="X0,Y0,W,H", help="Paint into this rectangle of pixels.")] = "",
    ellipse: Annotated[str, typer.Option("--ellipse", metavar="X0,Y0,W,H", help="Or into the ellipse in it.")] = "",
    polygon: Annotated[str, typer.Option("--polygon", metavar="X,Y;X,Y;...", help="Or into this polygon.")] = "",
    mask: Annotated[Path | None, typer.Option("--mask", metavar="FILE", help="Or where this picture is white.")] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Paint everything but that.")] = False,
    feather: Feather = 0,
    negative: Negative = "",
    seed: Seed = 0,
    steps: Steps = None,
    sheet: Sheet = False,
    as_json: Json = False,
) -> None:
    """Paint something new into a part of a picture."""
    from flows.editing import Wanted, draw_mask, inpaint

    region = draw_mask(rect=rect, ellipse=ellipse, polygon=polygon, file=mask, invert=invert, feather_px=feather)
    inpaint(picture, region, Wanted(prompt=prompt, out=out, negative=negative, seed=seed, steps=steps, sheet=sheet,
                                    as_json=as_json))


@edit_app.command()
def outpaint(
    picture: Picture,
    prompt: Prompt,
    out: Out,
    to: Annotated[str, typer.Option("--to", metavar="WxH", help="Size to grow to.")],
    anchor: Annotated[str, typer.Option("--anchor", help="What it keeps: left, center, right, top or bottom.")] = "center",
    negative: Negative = "",
    seed: Seed = 0,
    steps: Steps = None,
    sheet: Sheet = False,
    as_json: Json = False,
) -> None:
    """Add to the sides of a picture, as for another ratio."""
    from flows.editing import Wanted, outpaint

    outpaint(picture, parse_size(to), anchor, Wanted(prompt=prompt, out=out, negative=negative, seed=seed, steps=steps,
                                                     sheet=sheet, as_json=as_json))


@edit_app.command()
def img2img(
    picture: Picture,
    prompt: Prompt,
    out: Out,
    strength: Annotated[float, typer.Option("--strength", parser=number, metavar="X",
                                            help="How far from the picture: above 0, at most 1.")] = 0.6,
    negative: Negative = "",
    seed: Seed = 0,
    steps: Steps = None,
    sheet: Sheet = False,
    as_json: Json = False,
) -> None:
    """Paint the whole picture anew, starting from what is there."""
    from flows.editing import Wanted, img2img

    img2img(picture, strength, Wanted(prompt=prompt, out=out, negative=negative, seed=seed, steps=steps, sheet=sheet,
                                      as_json=as_json))


@edit_app.command()
def variants(
    picture: Picture,
    spec: Annotated[Path, typer.Option("--spec", metavar="FILE", help="YAML: masks, and prompts for each; see docs/editing.md.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that gets the pictures.")],
    sheet: Annotated[bool, typer.Option("--sheet", help="Also one sheet of all, DIR/sheet.png.")] = False,
    as_json: Json = False,
) -> None:
    """Many versions of one picture that differ within masks only: colours, materials, scenes."""
    from flows.editing import variants

    variants(picture, spec, out, sheet=sheet, as_json=as_json)
