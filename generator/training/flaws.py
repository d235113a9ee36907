"""Flaws planted in finished pictures: what curation must find, and what the aesthetic scorer learns to mark down.

Each takes a picture [H, W, 3] and a source of chance, and gives a picture of the same size, which stays as it was. Strengths
are such that a designer notices at 1200x630; lengths grow with the short side.
"""

import math
from collections.abc import Callable
from io import BytesIO
from random import Random

import numpy as np
import skia
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from generator.curation.ground import lay_bare

Picture = NDArray[np.uint8]
SHORT_PX = 630
"""Short side of the cover that lengths are given for."""
MARKS = ("© Muster Bildagentur", "SAMPLE 0042781", "www.example.com", "PREVIEW ONLY - do not copy", "stock photo ID 8831207")


def _scale(picture: Picture) -> float:
    return float(min(picture.shape[:2]) / SHORT_PX)


def _finish(pixels: NDArray[np.floating]) -> Picture:
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def _chance(rng: Random) -> np.random.Generator:
    return np.random.default_rng(rng.getrandbits(64))


def _spot(picture: Picture, rng: Random) -> tuple[int, int]:
    """(x, y) on the subject; anywhere if there is none."""
    layout = lay_bare(picture)
    rows, columns = np.nonzero(layout.subject & ~layout.border)
    if not len(rows):
        return rng.randrange(picture.shape[1]), rng.randrange(picture.shape[0])
    index = rng.randrange(len(rows))
    return round(columns[index] * layout.scale), round(rows[index] * layout.scale)


def _look_up(picture: Picture, x: NDArray[np.floating], y: NDArray[np.floating]) -> Picture:
    """The picture read at fractional places (bilinear); beyond the rim, the rim."""
    high, wide = picture.shape[:2]
    x, y = np.clip(x, 0, wide - 1.001), np.clip(y, 0, high - 1.001)
    left, top = x.astype(np.int32), y.astype(np.int32)
    u, v = (x - left)[..., None], (y - top)[..., None]
    pixels = picture.astype(np.float32)
    upper = pixels[top, left] * (1 - u) + pixels[top, left + 1] * u
    lower = pixels[top + 1, left] * (1 - u) + pixels[top + 1, left + 1] * u
    return _finish(upper * (1 - v) + lower * v)


def blur(picture: Picture, rng: Random) -> Picture:
    """Out of focus: Gaussian, 2.5 to 6 px."""
    radius = rng.uniform(2.5, 6) * _scale(picture)
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def noise(picture: Picture, rng: Random) -> Picture:
    """Grain of a deviation of 9 to 26, grey or coloured, of 1 or 2 px."""
    high, wide = picture.shape[:2]
    grain, coloured = rng.choice((1, 2)), rng.random() < 0.5
    field = _chance(rng).normal(0, rng.uniform(9, 26), (-(-high // grain), -(-wide // grain), 3 if coloured else 1))
    return _finish(picture + field.repeat(grain, 0).repeat(grain, 1)[:high, :wide])


def banding(picture: Picture, rng: Random) -> Picture:
    """Too few levels: 8 to 18 in each channel."""
    step = 255 / (rng.randint(8, 18) - 1)
    return _finish(np.round(picture / step) * step)


def smear(picture: Picture, rng: Random) -> Picture:
    """Mush: 2 to 4 places on the subject are dragged and melted."""
    result, scale = picture.copy(), _scale(picture)
    for _ in range(rng.randint(2, 4)):
        column, row = _spot(picture, rng)
        reach = rng.uniform(45, 90) * scale
        left, top = max(round(column - 2 * reach), 0), max(round(row - 2 * reach), 0)
        window = result[top:round(row + 2 * reach), left:round(column + 2 * reach)]
        soft = np.asarray(Image.fromarray(window).filter(ImageFilter.GaussianBlur(7 * scale)))
        y, x = np.mgrid[:window.shape[0], :window.shape[1]].astype(np.float32)
        pull = np.exp(-(((x - (column - left)) ** 2 + (y - (row - top)) ** 2) / reach**2) ** 2)
        turn, length = rng.uniform(0, 2 * math.pi), rng.uniform(0.35, 0.7) * reach
        wave = np.sin(x / rng.uniform(9, 16) / scale) * np.cos(y / rng.uniform(9, 16) / scale) * 0.15 * reach
        x, y = x + pull * (math.cos(turn) * length + wave), y + pull * (math.sin(turn) * length - wave)
        dragged, melted = _look_up(window, x, y), _look_up(soft, x, y)
        window[...] = _finish(dragged + (melted.astype(np.float32) - dragged) * pull[..., None] * 0.8)
    return result


def broken(picture: Picture, rng: Random) -> Picture:
    """Shapes that do not hold together: patches moved, strips torn apart, or outlines that wobble."""
    return rng.choice((_patches, _tears, _wobble))(picture, rng)


def _patches(picture: Picture, rng: Random) -> Picture:
    high, wide = picture.shape[:2]
    result, scale = picture.copy(), _scale(picture)
    for _ in range(rng.randint(4, 8)):
        column, row = _spot(picture, rng)
        side_x, side_y = (min(round(rng.uniform(50, 120) * scale), limit // 3) for limit in (wide, high))
        left, top = min(max(column - side_x // 2, 0), wide - side_x), min(max(row - side_y // 2, 0), high - side_y)
        to_left = min(max(left + round(rng.choice((-1, 1)) * rng.uniform(18, 60) * scale), 0), wide - side_x)
        to_top = min(max(top + round(rng.choice((-1, 1)) * rng.uniform(18, 60) * scale), 0), high - side_y)
        result[to_top:to_top + side_y, to_left:to_left + side_x] = picture[top:top + side_y, left:left + side_x]
    return result


def _tears(picture: Picture, rng: Random) -> Picture:
    result, scale = picture.copy(), _scale(picture)
    for _ in range(rng.randint(3, 6)):
        _, row = _spot(picture, rng)
        top, bottom = round(row - rng.uniform(8, 30) * scale), round(row + rng.uniform(8, 30) * scale)
        top = max(top, 0)
        result[top:bottom] = np.roll(result[top:bottom], round(rng.choice((-1, 1)) * rng.uniform(18, 60) * scale), axis=1)
    return result


def _wobble(picture: Picture, rng: Random) -> Picture:
    high, wide = picture.shape[:2]
    y, x = np.mgrid[:high, :wide].astype(np.float32)
    scale = _scale(picture)
    swing, length = rng.uniform(6, 13) * scale, rng.uniform(5, 11) * scale
    return _look_up(picture, x + swing * np.sin(y / length + np.cos(x / (2.3 * length))),
                    y + swing * np.sin(x / (1.3 * length) + rng.uniform(0, 6)))


def blocks(picture: Picture, rng: Random) -> Picture:
    """JPEG of quality 3 to 10."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=rng.randint(3, 10))
    return np.asarray(Image.open(file).convert("RGB"))


def clipped(picture: Picture, rng: Random) -> Picture:
    """A closer crop, of the same ratio, whose frame runs across the subject on at least a tenth of its short side."""
    high, wide = picture.shape[:2]
    layout, best = lay_bare(picture), (0.0, 0, 0, wide, high)
    for _ in range(40):
        share = rng.uniform(0.5, 0.8)
        side_x, side_y = round(wide * share), round(high * share)
        x, y = rng.randint(0, wide - side_x), rng.randint(0, high - side_y)
        cut = _count_cut(layout.core, *(round(edge / layout.scale) for edge in (x, y, x + side_x, y + side_y)))
        best = max(best, (cut * layout.scale / min(side_x, side_y), x, y, side_x, side_y))
        if best[0] >= 0.1 and rng.random() < 0.5:
            break
    _, x, y, side_x, side_y = best
    crop = Image.fromarray(picture[y:y + side_y, x:x + side_x])
    return np.asarray(crop.resize((wide, high), Image.Resampling.LANCZOS))


def _count_cut(core: NDArray[np.bool_], left: int, top: int, right: int, bottom: int) -> int:
    """How many pixels of the subject the side that cuts most of it runs across; 0 if less than a third of it stays inside."""
    inside = core[top:bottom, left:right]
    if not inside.size or inside.sum() < core.sum() / 3:
        return 0
    return int(max(inside[0].sum(), inside[-1].sum(), inside[:, 0].sum(), inside[:, -1].sum()))


def washed(picture: Picture, rng: Random) -> Picture:
    """Low contrast: 15 to 35 % of what there was, around a grey from 90 to 190."""
    middle = picture.mean((0, 1)) * 0.5 + rng.uniform(90, 190) * 0.5
    return _finish(middle + (picture - picture.mean((0, 1))) * rng.uniform(0.15, 0.35))


def dark(picture: Picture, rng: Random) -> Picture:
    """Under-exposed: the brightest part comes to 25 to 70 of 255."""
    bright = max(float(np.quantile(picture.max(-1), 0.99)), 1.0)
    return _finish(picture * (rng.uniform(25, 70) / bright))


def blown(picture: Picture, rng: Random) -> Picture:
    """Over-exposed: the ground and half of the subject or more turn white."""
    layout = lay_bare(picture)
    view = np.asarray(Image.fromarray(picture).resize(layout.subject.shape[::-1], Image.Resampling.BOX))
    subject = view[layout.core] if layout.core.any() else view.reshape(-1, 3)
    level = max(float(np.quantile(subject.mean(-1), rng.uniform(0.4, 0.6))), 1.0)
    ground = max(float(np.median(view[layout.border].mean(-1))), 1.0)
    gain = min(255 / level, 3.0)
    return _finish(picture * gain + max(0.0, 255 - level * gain, 252 - ground * gain))


def text(picture: Picture, rng: Random) -> Picture:
    """A watermark: a line of text across the picture, or a small one at its rim."""
    high, wide = picture.shape[:2]
    mark, across = rng.choice(MARKS), rng.random() < 0.5
    font = skia.Font(skia.Typeface(), (rng.uniform(48, 80) if across else rng.uniform(24, 40)) * _scale(picture))
    font.setEdging(skia.Font.Edging.kAntiAlias)
    length = font.measureText(mark)
    if length > 0.9 * wide:
        font.setSize(font.getSize() * 0.9 * wide / length)
        length = 0.9 * wide
    x, y = ((wide - length) / 2, high * rng.uniform(0.35, 0.65)) if across else (
        rng.uniform(0.03, 0.97) * (wide - length), high * rng.choice((0.09, 0.94)))
    row, column = min(round(y), high - 1), round(min(max(x + length / 2, 0), wide - 1))
    shade = 0 if picture[row, column].mean() > 140 else 255
    pixels = np.dstack([picture, np.full((high, wide), 255, np.uint8)])
    surface = skia.Surface(pixels)
    with surface as canvas:
        if across:
            canvas.rotate(rng.uniform(-22, 22), wide / 2, high / 2)
        paint = skia.Paint(AntiAlias=True, Color=skia.ColorSetARGB(rng.randint(110, 215), shade, shade, shade))
        canvas.drawString(mark, x, y, font, paint)
    return np.ascontiguousarray(pixels[..., :3])


FLAWS: dict[str, Callable[[Picture, Random], Picture]] = {
    function.__name__: function
    for function in (blur, noise, banding, smear, broken, blocks, clipped, washed, dark, blown, text)
}
"""Every flaw by name, in a fixed order."""
