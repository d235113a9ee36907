"""Numbers of one picture that a bound can be set on. Decides nothing, and knows no file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generator.curation.ground import Layout, lay_bare
from generator.evaluation.colours import ciede2000, to_lab

Picture = NDArray[np.uint8]
Levels = NDArray[np.int16]
RGB = tuple[int, int, int]

SHORT_PX = 630
"""Short side that lengths are given for. A larger picture is measured at this size."""
EDGE_LEVELS, EDGE_REACH_PX = 30, 6
"""Least height of an edge whose width is measured, of 255; and how far around it both sides are looked for."""
WEAK = (4, 40)
"""Heights of steps that can be banding, of 255."""
MOST_BANDED_LEVELS = 40
"""Values in use, of 256, above which a picture is not banded."""
PALETTE_SHORT_PX, LEAST_SHARE = 80, 0.004
"""Short side at which a palette is looked for, and the share of the picture from which a colour is there."""
PERFECT_STEP = 0.4
"""Slope of an edge of height 1 after a Gaussian of 1 px: 1 / sqrt(2 pi)."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What can be said of a picture by looking at its pixels; docs/curation.md has the units."""

    width: int
    height: int
    blur: float
    grain: float
    banding: float
    blocks: float
    brightest: float
    blown: float
    contrast: float
    touch: float
    quiet: float


def measure(picture: Picture) -> Measures:
    """The measures of a picture [H, W, 3]."""
    high, wide = picture.shape[:2]
    view = shrink(picture, SHORT_PX)
    scale = SHORT_PX / min(view.shape[:2])
    luma = view.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    layout = lay_bare(view)
    return Measures(width=wide, height=high, blur=round(measure_blur(luma) * scale, 2), grain=round(measure_grain(view), 2),
                    banding=round(measure_banding(picture), 3), blocks=round(measure_blocks(picture), 3),
                    brightest=round(float(np.quantile(view.max(-1), 0.99)), 1), blown=round(measure_blown(view), 3),
                    contrast=round(float(np.quantile(layout.off, 0.99)), 1), touch=round(measure_touch(layout), 3),
                    quiet=round(1 - float(layout.subject.mean()), 3))


def shrink(picture: Picture, short_px: int) -> Picture:
    """The picture with a short side of at most `short_px`."""
    high, wide = picture.shape[:2]
    share = short_px / min(high, wide)
    if share >= 1:
        return picture
    return np.asarray(Image.fromarray(picture).resize((round(wide * share), round(high * share)), Image.Resampling.LANCZOS))


def measure_blur(luma: NDArray[np.float32]) -> float:
    """Width of the sharpest tenth of the clear edges, as the deviation in pixels of the Gaussian that would give it."""
    slope = np.zeros_like(luma)
    slope[:, 1:-1] = np.abs(luma[:, 2:] - luma[:, :-2]) / 2
    slope[1:-1] = np.maximum(slope[1:-1], np.abs(luma[2:] - luma[:-2]) / 2)
    height = _spread(luma, EDGE_REACH_PX)
    edges = (height > EDGE_LEVELS) & (slope > 1)
    if not edges.any():
        return 0.0
    steepest = float(np.quantile(slope[edges] / height[edges], 0.95))
    return PERFECT_STEP / steepest


def _spread(luma: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Highest less lowest value within `reach` pixels of each."""
    most, least = luma, luma
    for axis in (0, 1):
        padded_most = np.pad(most, [(reach, reach) if at == axis else (0, 0) for at in (0, 1)], mode="edge")
        padded_least = np.pad(least, [(reach, reach) if at == axis else (0, 0) for at in (0, 1)], mode="edge")
        most = np.lib.stride_tricks.sliding_window_view(padded_most, 2 * reach + 1, axis).max(-1)
        least = np.lib.stride_tricks.sliding_window_view(padded_least, 2 * reach + 1, axis).min(-1)
    return most - least


def measure_grain(view: Picture) -> float:
    """Deviation of the noise in the smoother half of the picture, 0..255 (Immerkaer 1996, with a median)."""
    pixels = view.astype(np.int16)
    rows = pixels[2:] - 2 * pixels[1:-1] + pixels[:-2]
    both = np.abs(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2])
    return float(1.4826 * np.median(both, axis=(0, 1)).max() / 6)


def measure_banding(picture: Picture) -> float:
    """Share of hard steps among the weak edges between smooth areas, 0..1; 0 where there are next to none of them, and where
    more levels are in use than banding would leave.
    """
    if count_levels(picture) > MOST_BANDED_LEVELS:
        return 0.0
    pixels = picture.astype(np.int16)
    counts = np.zeros(2)
    for channel in range(3):
        plane = pixels[..., channel]
        counts = np.maximum(counts, _count_steps(plane) + _count_steps(plane.T))
    hard, soft = counts
    return float(hard / (hard + soft)) if hard > 0.3 * min(picture.shape[:2]) else 0.0


def count_levels(picture: Picture) -> int:
    """How many values the channel with the most of them needs for 99.5 % of its pixels."""
    most = 0
    for channel in range(3):
        counts = np.sort(np.bincount(picture[::2, ::2, channel].ravel(), minlength=256))[::-1]
        most = max(most, int(np.searchsorted(counts.cumsum(), 0.995 * counts.sum())) + 1)
    return most


def _count_steps(plane: Levels) -> NDArray[np.float64]:
    """(hard, soft) weak edges along the rows."""
    reach = 5
    left, right = plane[:, reach - 2:-reach - 3], plane[:, reach + 3:-reach + 2]
    height = np.abs(right - left)
    smooth = (np.abs(plane[:, :left.shape[1]] - left) <= 1) & (np.abs(plane[:, -left.shape[1]:] - right) <= 1)
    here = np.abs(plane[:, reach + 1:-reach] - plane[:, reach:-reach - 1])
    weak = smooth & (height >= WEAK[0]) & (height <= WEAK[1])
    hard = weak & (here >= 0.85 * height)
    soft = weak & (here < 0.85 * height) & (here >= 0.4 * height)
    return np.array([hard.sum(), soft.sum()], dtype=np.float64)


def measure_blocks(picture: Picture) -> float:
    """How much larger steps on a grid of 8 pixels are than those beside it, where the picture is smooth; 0 is no grid."""
    pixels = picture.astype(np.int16)
    found = []
    for plane in (pixels, pixels.transpose(1, 0, 2)):
        steps = np.minimum(np.abs(np.diff(plane, axis=1)).max(-1), 24).mean(0)
        steps = steps[:len(steps) // 8 * 8].reshape(-1, 8)
        columns = steps.mean(0)
        grid = int(columns.argmax())
        found.append((columns[grid] - np.median(columns)) / (np.median(columns) + 0.4))
    return float(min(found))


def measure_blown(view: Picture) -> float:
    """Share of white, times the share of the rest in which a channel is at its end, 0..1."""
    white = (view >= 252).all(-1)
    burnt = (view >= 254).any(-1) & ~white
    rest = max(int((~white).sum()), 1)
    share = float(white.mean())
    return share * max(float(burnt.sum()) / rest, 1.0 if share > 0.985 else 0.0)


def measure_touch(layout: Layout) -> float:
    """Length of the frame that the subject runs across, of the frame's short side. 0 where nothing reaches the frame."""
    core = layout.core
    high, wide = core.shape
    longest = 0
    for side in (core[0] & core[1], core[-1] & core[-2], core[:, 0] & core[:, 1], core[:, -1] & core[:, -2]):
        longest = max(longest, _longest_run(side))
    return float(longest / min(high, wide))


def _longest_run(side: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], side, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def measure_palette(picture: Picture, asked: Sequence[RGB]) -> float:
    """How far the picture is from a palette, in Delta E 2000: of the palette's first two colours, ground and main, to the
    nearest in the picture, and of the subject's pixels to the nearest in the palette; both means added.
    """
    view = shrink(picture, PALETTE_SHORT_PX)
    core = Image.fromarray(lay_bare(picture).core).resize(view.shape[1::-1], Image.Resampling.NEAREST)
    wanted = to_lab(np.array(asked, dtype=np.float64))
    apart = ciede2000(wanted[:, None], to_lab(view.reshape(-1, 3))[None])
    subject = np.asarray(core).reshape(-1)
    explained = apart[:, subject] if subject.any() else apart
    return float(np.quantile(apart[:2], LEAST_SHARE, axis=1).mean() + explained.min(0).mean())
