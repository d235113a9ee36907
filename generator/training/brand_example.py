"""An example brand: 24 covers in a palette and a look that no picture of the studio has, with prompts that name topics only.

`python -m generator.training.brand_example --out FOLDER` writes FILE.png and FILE.txt. The look: flat fills without gradient or
shadow, on a ground of broad stripes.
"""

import argparse
from pathlib import Path
from random import Random
from typing import get_args

import numpy as np
import skia
from numpy.typing import NDArray

from generator.layout import Place
from generator.native import TOKEN_PX, fit_canvas
from generator.request import CoverImage
from generator.studio.palettes import RGB, Palette, mix, parse_hex
from generator.studio.pen import Pen, read_pixels
from generator.studio.scene import FILL, MOTIFS, Scene, lay_out
from generator.topics import topic_words
from generator.training.brand_lessons import ApprovedCover
from generator.training.captions import KNOWN

PALETTE = Palette(background=parse_hex("#F4C9D6"), main=parse_hex("#14532D"),
                  accents=(parse_hex("#F97316"), parse_hex("#FFF7E0"), parse_hex("#7F1D5B")))
"""Pink, bottle green, orange, cream, plum: together in none of the studio's palettes."""
STRIPE_PX, STRIPE = 64, 0.6
"""Width of a stripe on the canvas, and how much of the cream is in it."""
COUNT = 24
SIZES = ((1200, 630), (1200, 630), (1200, 630), (1024, 1024))
PLACES: tuple[Place, ...] = get_args(Place)
FORMS = {"zh": ("{}", "关于{}", "{}入门", "聊聊{}"), "en": ("{}", "about {}", "{} explained", "a short guide to {}")}


def flat(rgb: RGB, alpha: float) -> skia.Paint:
    """The brand's look: nothing but the colour, and none of it half there."""
    return skia.Paint(AntiAlias=True, Color=skia.Color(*rgb, 255 if alpha > 0.4 else 0))


def draw_ground(canvas: skia.Canvas, width: int, height: int) -> None:
    """Stripes from edge to edge."""
    canvas.clear(skia.Color(*PALETTE.background))
    paint = skia.Paint(Color=skia.Color(*mix(PALETTE.background, PALETTE.accents[1], STRIPE)))
    for left in range(0, width, 2 * STRIPE_PX):
        canvas.drawRect(skia.Rect.MakeXYWH(left, 0, STRIPE_PX, height), paint)


def draw_cover(motif: str, place: Place, width: int, height: int) -> NDArray[np.uint8]:
    """[height, width, 3]: one motif of the studio, laid out as the studio does, in the brand's look."""
    scene = Scene(motif=motif, palette=PALETTE, place=place, density="sparse", seed=0)
    columns, rows = fit_canvas(width, height)
    wide, high = columns * TOKEN_PX, rows * TOKEN_PX
    surface = skia.Surface(width, height)
    canvas = surface.getCanvas()
    scale = max(width / wide, height / high)
    canvas.translate((width - scale * wide) / 2, (height - scale * high) / 2)
    canvas.scale(scale, scale)
    draw_ground(canvas, wide, high)
    for box in lay_out(scene, columns, rows):
        canvas.save()
        canvas.translate(*box.centre)
        reach = FILL * box.size * TOKEN_PX / 2
        canvas.scale(reach, reach)
        MOTIFS[box.motif](Pen(canvas, PALETTE, (-0.6, -0.75), look=flat))
        canvas.restore()
    return read_pixels(surface)


def choose_motifs() -> tuple[list[str], list[str]]:
    """(motifs of the brand's covers, motifs that none of them shows)."""
    order = sorted(KNOWN)
    Random(5).shuffle(order)
    return order[:COUNT], order[COUNT:]


def write_topic(motif: str, language: str, rng: Random) -> str:
    """A prompt that names a topic and nothing else."""
    return rng.choice(FORMS[language]).format(topic_words()[motif][language][0])


def draw_brand() -> list[ApprovedCover]:
    """The 24 covers, the same each time."""
    rng, covers = Random(11), []
    for number, motif in enumerate(choose_motifs()[0]):
        width, height = SIZES[number % len(SIZES)]
        picture = draw_cover(motif, rng.choice(PLACES[:3]), width, height)
        covers.append(ApprovedCover(picture=CoverImage(width=width, height=height, rgb=picture.tobytes()),
                                    prompt=write_topic(motif, ("zh", "en")[number % 2], rng)))
    return covers


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets the pictures and prompts")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for number, cover in enumerate(draw_brand()):
        pixels = np.frombuffer(cover.picture.rgb, np.uint8).reshape(cover.picture.height, cover.picture.width, 3)
        rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
        skia.Image.fromarray(np.ascontiguousarray(rgba), colorType=skia.kRGBA_8888_ColorType).save(
            str(out / f"cover-{number:02}.png"), skia.kPNG)
        (out / f"cover-{number:02}.txt").write_text(cover.prompt + "\n", encoding="utf-8")
    print(f"{COUNT} covers in {out}")


if __name__ == "__main__":
    main()
