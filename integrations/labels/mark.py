"""The visible label: a few words in a corner that say that a machine made the picture. Drawn, and found again on the pixels.

GB 45438-2025 wants every character at least 5 % of the shortest side high, as ink: a font's size says little about that.
"""

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from generator.request import CoverImage
from integrations.errors import Refused

Corner = Literal["bottom-right", "bottom-left", "top-right", "top-left"]
Mask = NDArray[np.float64]
INK_SHARE = 0.05
"""Of the shortest side: how high the lowest character is."""
MARGIN_SHARE = 0.02
MIN_CONTRAST = 4.5
"""Between ink and plate, as WCAG 2.2 counts it: enough for small text."""
FOUND_CONTRAST = 3.0
FOUND_LIKENESS = 0.65
"""From which correlation with the drawn words on a mark counts as found, after other people's encoding and resizing."""
GLYPHS: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "A": (((0.0, 1.0), (0.42, 0.0), (0.84, 1.0)), ((0.15, 0.66), (0.69, 0.66))),
    "I": (((0.1, 0.0), (0.1, 1.0)),),
    "生": (((0.24, 0.0), (0.17, 0.22), (0.04, 0.4)), ((0.17, 0.24), (0.92, 0.24)), ((0.12, 0.6), (0.88, 0.6)),
          ((0.0, 1.0), (1.0, 1.0)), ((0.52, 0.0), (0.52, 1.0))),
    "成": (((0.13, 0.22), (0.96, 0.22)), ((0.13, 0.22), (0.13, 0.6), (0.0, 1.0)),
          ((0.13, 0.5), (0.42, 0.5), (0.38, 0.82), (0.28, 0.8)),
          ((0.54, 0.0), (0.58, 0.42), (0.7, 0.8), (0.86, 1.0), (0.95, 0.96), (0.98, 0.76)),
          ((0.86, 0.4), (0.7, 0.76), (0.44, 1.0)), ((0.72, 0.02), (0.84, 0.12))),
}
"""Strokes in a square, drawn for this purpose: the usual words need no font on the machine."""
STROKE = 0.115
"""Width of a stroke, of a character's height."""
GAP = 0.2
LARGE_PX = 240
"""Height at which words are drawn, before they are shrunk to their place."""
SEARCH_PX = 2
SEARCH_SIDE_PX = 480
"""Larger pictures are looked at in this size, of their shorter side."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What stands where. colour: of the ink, as #RRGGBB, or "" for what contrasts most. font: a file, for words that need one.

    Raises Refused for words that do not say what the standard wants, and for a colour that is none.
    """

    text: str = "AI生成"
    corner: Corner = "bottom-right"
    colour: str = ""
    font: Path | None = None

    def __post_init__(self) -> None:
        if not (re.search(r"AI|人工智能", self.text) and re.search(r"生成|合成|(?i:generated|made)", self.text)):
            raise Refused(f"labels: the visible text {self.text[:40]!r} must name AI (AI, 人工智能) and say that it made "
                          "the picture (生成, 合成, generated, made)")
        if len(self.text) > 24 or "\n" in self.text:
            raise Refused(f"labels: the visible text {self.text[:40]!r} must be one line of at most 24 characters")
        if self.colour and not re.fullmatch(r"#[0-9a-fA-F]{6}", self.colour):
            raise Refused(f"labels: the colour {self.colour[:40]!r} is not #RRGGBB")


@dataclass(frozen=True)
class _Placed:
    """ink, plate: coverage in 0..1 over the box (left, top, right, bottom) of the picture."""

    box: tuple[int, int, int, int]
    ink: Mask
    plate: Mask


def draw(picture: CoverImage, mark: Mark) -> CoverImage:
    """The picture with its mark, whose contrast is enough on any ground: a plate behind the words is as dense as it takes.

    Raises Refused where the words have characters that the font lacks.
    """
    placed = _place(picture.width, picture.height, mark, ink_height(picture.width, picture.height))
    pixels = _pixels(picture).copy()
    left, top, right, bottom = placed.box
    ground = pixels[top:bottom, left:right].astype(np.float64)
    ink = _choose_ink(mark, ground)
    plate = np.zeros(3) if luminance(ink) > 0.18 else np.full(3, 255.0)
    for density in np.arange(0.5, 1.01, 0.1):
        behind = ground + (plate - ground) * density
        if _contrasts(ink, behind).min() >= MIN_CONTRAST:
            break
    shown = ground + (behind - ground) * placed.plate[..., None]
    shown += (ink - shown) * placed.ink[..., None]
    pixels[top:bottom, left:right] = np.rint(shown).astype(np.uint8)
    return CoverImage(width=picture.width, height=picture.height, rgb=pixels.tobytes())


def find(picture: CoverImage, mark: Mark) -> str:
    """Why the mark cannot be read in the picture, "" where it can. It may have been encoded and resized since it was drawn."""
    image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
    if min(image.size) > SEARCH_SIDE_PX:
        scale = SEARCH_SIDE_PX / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BOX)
    light = _luminances(np.asarray(image, np.float64))
    least, best, contrast = INK_SHARE * min(light.shape), 0.0, 1.0
    for tall in np.arange(least, least + 2.01, 0.25):
        try:
            placed = _place(image.width, image.height, mark, float(tall))
        except Refused:  # larger than the picture has room for, so they are not there in this size
            break
        left, top, right, bottom = placed.box
        sure = placed.plate > 0.99
        ink, behind = placed.ink > 0.9 * placed.ink.max(), sure & (placed.ink < 0.05)
        for down, across in product(range(-SEARCH_PX, SEARCH_PX + 1), repeat=2):
            part = light[max(top + down, 0):bottom + down, max(left + across, 0):right + across]
            if part.shape == placed.ink.shape:
                likeness = abs(_correlate(part, placed.ink, sure))
                if likeness > best:
                    best, contrast = likeness, _ratio(float(part[ink].mean()), float(part[behind].mean()))
    if best < FOUND_LIKENESS:
        return f"the words {mark.text!r} are not at the {mark.corner} (likeness {best:.2f}, {FOUND_LIKENESS:g} is needed)"
    if contrast < FOUND_CONTRAST:
        return f"the words {mark.text!r} have a contrast of {contrast:.1f}; {FOUND_CONTRAST:g} is needed"
    return ""


def ink_height(width: int, height: int) -> int:
    """How many pixels high the lowest character is drawn in a picture of this size: one more than must be, for soft edges."""
    return math.ceil(INK_SHARE * min(width, height)) + 1


def luminance(colour: Mask) -> float:
    """Relative luminance of an sRGB colour (0..255), 0..1. Source: WCAG 2.2."""
    return float(_luminances(np.asarray(colour, np.float64)))


def _luminances(colours: Mask) -> Mask:
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    result: Mask = linear @ np.array([0.2126, 0.7152, 0.0722])
    return result


def _ratio(first: float, second: float) -> float:
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)


def _contrasts(ink: Mask, ground: Mask) -> Mask:
    one, others = luminance(ink), _luminances(ground)
    result: Mask = (np.maximum(one, others) + 0.05) / (np.minimum(one, others) + 0.05)
    return result


def _choose_ink(mark: Mark, ground: Mask) -> Mask:
    if mark.colour:
        return np.array(list(bytes.fromhex(mark.colour[1:])), np.float64)
    return np.full(3, 255.0 if luminance(ground.mean((0, 1))) < 0.35 else 17.0)


def _correlate(part: Mask, ink: Mask, where: NDArray[np.bool_]) -> float:
    seen, drawn = part[where] - part[where].mean(), ink[where] - ink[where].mean()
    size = float(np.sqrt((seen**2).sum() * (drawn**2).sum()))
    return float((seen * drawn).sum()) / size if size > 1e-9 else 0.0


def _pixels(picture: CoverImage) -> NDArray[np.uint8]:
    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)


@lru_cache(64)
def _place(width: int, height: int, mark: Mark, tall: float) -> _Placed:
    """Words and plate in the mark's corner of a picture of this size. tall: px of the lowest character."""
    large = _draw_words(mark)
    scale = tall / LARGE_PX
    words_width, words_height = max(1, round(large.width * scale)), max(1, round(large.height * scale))
    pad = max(2, round(0.45 * tall))
    box_width, box_height = words_width + 2 * pad, words_height + 2 * pad
    if box_width > width or box_height > height:
        raise Refused(f"labels: the words {mark.text!r} need {box_width}x{box_height} px; the picture has {width}x{height}")
    margin = min(round(MARGIN_SHARE * min(width, height)), (width - box_width) // 2, (height - box_height) // 2)
    left = margin if mark.corner.endswith("left") else width - margin - box_width
    top = margin if mark.corner.startswith("top") else height - margin - box_height
    ink = np.zeros((box_height, box_width))
    ink[pad:pad + words_height, pad:pad + words_width] = _shrink(large, words_width, words_height)
    plate = Image.new("L", (4 * box_width, 4 * box_height))
    ImageDraw.Draw(plate).rounded_rectangle((0, 0, plate.width - 1, plate.height - 1), 4 * pad, fill=255)
    return _Placed((left, top, left + box_width, top + box_height), ink, _shrink(plate, box_width, box_height))


def _shrink(image: Image.Image, width: int, height: int) -> Mask:
    return np.asarray(image.resize((width, height), Image.Resampling.BOX)) / 255


@lru_cache(8)
def _draw_words(mark: Mark) -> Image.Image:
    """The words, so large that their lowest character is LARGE_PX high: of our own glyphs where they are enough."""
    return _draw_strokes(mark.text) if set(mark.text) <= {*GLYPHS, " "} else _draw_font(mark)


def _draw_strokes(text: str) -> Image.Image:
    width = STROKE * LARGE_PX
    reach, starts, at = LARGE_PX - width, [], 0.0
    for character in text:
        starts.append(at)
        at += GAP * LARGE_PX
        if character in GLYPHS:
            at += max(x for stroke in GLYPHS[character] for x, _ in stroke) * reach + width
    image = Image.new("L", (math.ceil(at - GAP * LARGE_PX), LARGE_PX))
    pen = ImageDraw.Draw(image)
    for character, start in zip(text, starts, strict=True):
        for stroke in GLYPHS.get(character, ()):
            points = [(start + width / 2 + x * reach, width / 2 + y * reach) for x, y in stroke]
            pen.line(points, 255, round(width), "curve")
            for x, y in (points[0], points[-1]):
                pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), 255)
    return image


def _draw_font(mark: Mark) -> Image.Image:
    font = _open_font(mark, LARGE_PX)
    _check_characters(mark, font)
    lowest = min(_heights(mark.text, font))
    if not lowest:
        raise Refused(f"labels: the font {str(mark.font)!r} draws nothing for some of {mark.text!r}")
    font = _open_font(mark, math.ceil(1.02 * LARGE_PX * LARGE_PX / lowest))
    left, top, right, bottom = font.getbbox(mark.text)
    image = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), mark.text, 255, font)
    return image


def _open_font(mark: Mark, size: int) -> ImageFont.FreeTypeFont:
    if mark.font is None:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    try:
        return ImageFont.truetype(str(mark.font), size)
    except OSError as exc:
        raise Refused(f"labels: the font {str(mark.font)!r} cannot be read: {exc}") from exc


def _heights(text: str, font: ImageFont.FreeTypeFont) -> list[int]:
    """Of the ink of every letter and digit."""
    tops = [font.getmask(character).getbbox() for character in text if character.isalnum()]
    return [box[3] - box[1] if box else 0 for box in tops]


def _check_characters(mark: Mark, font: ImageFont.FreeTypeFont) -> None:
    """A font draws one and the same box for all that it lacks."""
    missing = bytes(font.getmask("\U0010ffff"))
    for character in mark.text:
        if not character.isspace() and bytes(font.getmask(character)) == missing:
            told = f"the font {str(mark.font)!r}" if mark.font else "the built-in font"
            raise Refused(f"labels: {told} has no {character!r}; set labels.font to one that has")
