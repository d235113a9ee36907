"""Colour difference as people see it: CIELAB and CIEDE2000, and the dominant colours of a picture."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def to_lab(rgb: NDArray[np.uint8] | Floats) -> Floats:
    """CIELAB [..., 3] (D65) of 8-bit sRGB [..., 3]."""
    linear = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    scaled = linear @ matrix.T / np.array([0.95047, 1.0, 1.08883])
    root = np.where(scaled > (6 / 29) ** 3, np.cbrt(scaled), scaled / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * root[..., 1] - 16, 500 * (root[..., 0] - root[..., 1]), 200 * (root[..., 1] - root[..., 2])], axis=-1)


def ciede2000(first: Floats, second: Floats) -> Floats:
    """Delta E 2000 between CIELAB colours [..., 3]. Source: Sharma, Wu, Dalal 2005."""
    l1, a1, b1 = np.moveaxis(first, -1, 0)
    l2, a2, b2 = np.moveaxis(second, -1, 0)
    mean7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean7 / (mean7 + 25.0**7))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    grey = c1 * c2 == 0
    turn = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)
    wrapped = np.where(np.abs(h1 - h2) > 180, np.where(h1 + h2 < 360, 360, -360), 0)
    hue = np.where(grey, h1 + h2, (h1 + h2 + wrapped) / 2)
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    weight = (1 - 0.17 * np.cos(np.radians(hue - 30)) + 0.24 * np.cos(np.radians(2 * hue))
              + 0.32 * np.cos(np.radians(3 * hue + 6)) - 0.20 * np.cos(np.radians(4 * hue - 63)))
    d_light = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    d_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2) / (1 + 0.015 * chroma * weight)
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    result: Floats = np.sqrt(d_light**2 + d_chroma**2 + d_hue**2 + rotation * d_chroma * d_hue)
    return result


def dominant_colours(picture: NDArray[np.uint8], count: int = 8) -> Floats:
    """CIELAB [count, 3] of the picture [H, W, 3]'s main colours (k-means from evenly spread pixels)."""
    pixels = to_lab(picture[::6, ::6].reshape(-1, 3))
    order = np.argsort(pixels[:, 0], kind="stable")
    centres = pixels[order[np.linspace(0, len(order) - 1, count).astype(int)]]
    for _ in range(12):
        nearest = ((pixels[:, None] - centres[None]) ** 2).sum(-1).argmin(1)
        centres = np.stack([pixels[nearest == index].mean(0) if (nearest == index).any() else centres[index]
                            for index in range(count)])
    return np.asarray(centres)


def palette_distance(picture: NDArray[np.uint8], asked: list[tuple[int, int, int]]) -> float:
    """Mean Delta E 2000 from each colour asked for to the nearest dominant colour of the picture."""
    found = dominant_colours(picture)
    wanted = to_lab(np.array(asked, dtype=np.float64))
    return float(ciede2000(wanted[:, None], found[None]).min(1).mean())
