"""A picture to be edited, and a painter that counts."""

import numpy as np

from generator.pipeline import CoverPainter
from generator.request import CoverImage


def photo(width=97, height=75, seed=0):
    """Soft shapes and some grain, in a size that is no multiple of anything."""
    rows, columns = np.mgrid[0:height, 0:width]
    soft = np.stack([128 + 90 * np.sin(columns / 17 + shade) * np.cos(rows / 13) for shade in range(3)], 2)
    grain = np.random.default_rng(seed).integers(-12, 13, soft.shape)
    return CoverImage(width=width, height=height, rgb=np.clip(soft + grain, 0, 255).astype(np.uint8).tobytes())


def pixels(picture):
    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3).astype(int)


def difference(first, second):
    """[H, W], in levels."""
    return np.abs(pixels(first) - pixels(second)).max(2)


class Tallied(CoverPainter):
    """A painter that counts what it is asked for."""

    encoded = decoded = 0
    drafted = 0

    def encode(self, pixels):
        self.encoded += 1
        return super().encode(pixels)

    def decode(self, latents):
        self.decoded += 1
        return super().decode(latents)

    def sample(self, drafts, checkpoint):
        self.drafted += len(drafts)
        return super().sample(drafts, checkpoint)
