"""Scores: what is measured of one picture against what its prompt asked for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from generator.evaluation.judge import Finding
from generator.native import fit_canvas

Picture = NDArray[np.uint8]
QUIET_SHARE = 0.35
"""How much of a picture's side, on the other side of the subject, is kept for a title."""
QUIET_ENERGY = 0.3
"""Gradient energy there over that of the rest, below which it is quiet."""
COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4}


def place_of(found: Sequence[Finding], canvas: tuple[int, int]) -> str | None:
    """Which of the five places the subjects stand at: by the centre of all their tokens, against the canvas."""
    cells = sum(finding.cells for finding in found)
    if not cells:
        return None
    x = sum(finding.x * finding.cells for finding in found) / cells - canvas[0] / 2
    y = sum(finding.y * finding.cells for finding in found) / cells - canvas[1] / 2
    if max(abs(x), abs(y)) < 1:
        return "centre"
    if abs(x) > abs(y):
        return "left" if x < 0 else "right"
    return "top" if y < 0 else "bottom"


def relation_of(first: Finding, second: Finding) -> str:
    """How `first` stands to `second`: by their centres and sizes."""
    x, y = first.x - second.x, first.y - second.y
    if second.count == 2 and first.count == 1 and abs(x) < 2:
        return "between"
    if second.cells > 2.2 * first.cells and max(abs(x), abs(y)) < 5:
        return "in front of"
    if abs(x) > abs(y):
        return "left of" if x < 0 else "right of"
    return "above" if y < 0 else "below"


def is_related(found: Sequence[Finding], motif: str, second: str, relation: str) -> bool:
    """Whether both are there and stand to each other as asked."""
    by_motif = {finding.motif: finding for finding in found}
    return motif in by_motif and second in by_motif and relation_of(by_motif[motif], by_motif[second]) == relation


def gradient(picture: Picture) -> NDArray[np.float64]:
    """[H-1, W-1] mean absolute difference of neighbours in luma, 0..255."""
    luma = picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    energy: NDArray[np.float64] = (np.abs(np.diff(luma, axis=0))[:, 1:] + np.abs(np.diff(luma, axis=1))[1:]) / 2
    return energy


def quiet_ratio(picture: Picture, place: str) -> float:
    """Gradient energy of the side away from `place` (for the centre: of a rim) over that of the rest."""
    energy = gradient(picture)
    height, width = energy.shape
    quiet = np.zeros(energy.shape, bool)
    rows, columns = round(QUIET_SHARE * height), round(QUIET_SHARE * width)
    area: dict[str, tuple[slice, slice]] = {
        "left": np.s_[:, width - columns:], "right": np.s_[:, :columns],
        "top": np.s_[height - rows:, :], "bottom": np.s_[:rows, :]}
    if place in area:
        quiet[area[place]] = True
    else:
        rim = max(1, round(0.04 * min(height, width)))
        quiet[:] = True
        quiet[rim:-rim, rim:-rim] = False
    return float(energy[quiet].mean() / max(energy[~quiet].mean(), 1e-6))


def sharpness(picture: Picture) -> float:
    """The 99.5th percentile of the gradient: how steep the picture's edges are."""
    return float(np.percentile(gradient(picture), 99.5))


def banding(picture: Picture) -> float:
    """Share of neighbouring pixels in smooth areas that step by more than one level where a gradient should be gradual."""
    luma = np.rint(picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114]))
    across = np.abs(np.diff(luma, axis=1))
    smooth = across < 6
    return float((across[smooth] > 1).mean())


def canvas_of(picture: Picture) -> tuple[int, int]:
    """(columns, rows) of the canvas that the picture was cut from."""
    return fit_canvas(picture.shape[1], picture.shape[0])

