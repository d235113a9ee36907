"""What is ground in a picture and what is subject: a smooth surface fits the border; the subject is what stands off it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]

VIEW_PX = 192
"""Long side of the view in which ground and subject are told apart."""
BORDER = 0.06
"""Width of the border that the ground is fitted to, as a share of the short side."""
STANDS_OFF = 14.0
"""Difference from the ground, of 255 in any channel, from which a pixel is the subject's."""
ROUNDS, TOLERANCE = 12, 6.0
"""Rounds of the robust fit, and the difference at which a pixel counts half."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Masks [h, w] in a view of the picture. off: difference from the ground, 0..255. scale: pixels of the picture a view's
    pixel takes.
    """

    off: Floats
    border: NDArray[np.bool_]
    scale: float

    @property
    def subject(self) -> NDArray[np.bool_]:
        """Where the picture stands off its ground."""
        return self.off > STANDS_OFF

    @property
    def core(self) -> NDArray[np.bool_]:
        """The subject without what is pale: stages and shadows."""
        if not self.subject.any():
            return self.subject
        return self.off > max(STANDS_OFF, 0.5 * float(np.quantile(self.off[self.subject], 0.9)))

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """(left, top, right, bottom) of the subject in pixels of the picture, without its outermost 1 %; None without one."""
        if not self.subject.any():
            return None
        rows, columns = np.nonzero(self.subject)
        left, right = np.quantile(columns, (0.01, 0.99))
        top, bottom = np.quantile(rows, (0.01, 0.99))
        scale = self.scale
        return round(left * scale), round(top * scale), round((right + 1) * scale), round((bottom + 1) * scale)


def lay_bare(picture: NDArray[np.uint8]) -> Layout:
    """Tell the subject of a picture [H, W, 3] from its ground."""
    high, wide = picture.shape[:2]
    scale = max(1.0, max(high, wide) / VIEW_PX)
    size = (max(8, round(wide / scale)), max(8, round(high / scale)))
    view = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX), dtype=np.float64)
    border = _border(*view.shape[:2])
    off = np.abs(view - _fit(view, border)).max(-1)
    return Layout(off=off, border=border, scale=scale)


def _border(high: int, wide: int) -> NDArray[np.bool_]:
    rim = max(2, round(BORDER * min(high, wide)))
    border = np.ones((high, wide), dtype=bool)
    border[rim:-rim, rim:-rim] = False
    return border


def _fit(view: Floats, border: NDArray[np.bool_]) -> Floats:
    """The surface of third degree through most of the border (iteratively reweighted least squares with Cauchy's weights)."""
    high, wide = border.shape
    y, x = np.mgrid[-1:1:high * 1j, -1:1:wide * 1j]
    terms = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=-1)
    known, colours = terms[border], view[border]
    weights = np.ones(len(known))
    for _ in range(ROUNDS):
        root = np.sqrt(weights)[:, None]
        surface, *_ = np.linalg.lstsq(known * root, colours * root, rcond=None)
        weights = 1 / (1 + (np.abs(colours - known @ surface).max(-1) / TOLERANCE) ** 2)
    ground: Floats = np.clip(terms @ surface, 0, 255)
    return ground
