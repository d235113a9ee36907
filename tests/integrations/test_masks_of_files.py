"""Masks in picture files: transparent where to paint, or white."""

import io

import numpy as np
import pytest
from PIL import Image

from integrations.errors import Refused
from integrations.pictures import decode_mask


def saved(image, form="PNG"):
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def painted(mask):
    return np.frombuffer(mask.rgb, np.uint8).reshape(mask.height, mask.width, 3)


def test_a_transparent_place_is_white_whatever_colour_it_hides():
    image = Image.new("RGBA", (96, 64), (200, 10, 10, 255))
    image.paste((255, 255, 255, 0), (0, 0, 32, 64))
    mask = painted(decode_mask(saved(image), "mask", white=True))
    assert (mask[:, :32] == 255).all()
    assert (mask[:, 32:] == 0).all()


def test_without_transparency_a_mask_is_itself_and_a_picture_is_none():
    image = Image.new("L", (64, 64), 0)
    image.paste(255, (0, 0, 64, 20))
    assert (painted(decode_mask(saved(image), "mask", white=True))[:20] == 255).all()
    assert decode_mask(saved(image.convert("RGB"), "JPEG"), "image", white=False) is None


def test_a_mask_that_is_no_picture_is_refused_by_its_name():
    with pytest.raises(Refused, match=r"^mask: "):
        decode_mask(b"no", "mask", white=True)


def test_a_palette_with_a_transparent_colour_counts():
    image = Image.new("P", (64, 64), 0)
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.paste(1, (0, 0, 64, 10))
    file = io.BytesIO()
    image.save(file, "PNG", transparency=1)
    mask = painted(decode_mask(file.getvalue(), "mask", white=True))
    assert (mask[:10] == 255).all()
    assert (mask[10:] == 0).all()
