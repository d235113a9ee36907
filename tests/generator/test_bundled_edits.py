"""Edits by the bundled model: latents 32 times smaller than the picture."""

import numpy as np
import pytest

from generator.canvas import Sides
from generator.edit import Brush, Editor
from generator.masks import create_elliptical_mask, create_rectangular_mask
from generator.request import CoverRequest
from tests.generator.editing import Tallied, difference, photo, pixels

QUICK = Brush(steps=2, guidance=1.0)


@pytest.fixture(scope="module")
def bundled():
    return Editor(Tallied())


def test_the_bundled_model_edits_too(bundled):
    master = photo(330, 210)
    bundled.painter.encoded = bundled.painter.decoded = 0
    canvas = bundled.open(master)
    mask = create_elliptical_mask(101, 33, 120, 77)
    grown = bundled.outpaint(bundled.inpaint(canvas, mask, "火山", QUICK), Sides(left=45, bottom=70), "大面积留白", QUICK)
    final, report = bundled.render(grown)
    assert (final.width, final.height) == (375, 280)
    outside = mask.draw(330, 210) == 0
    assert np.abs(pixels(final)[:210, 45:] - pixels(master))[outside].max() == 0 == report.outside_max_difference
    assert (bundled.painter.encoded, bundled.painter.decoded) == (1, 1)


def test_light_and_colour_continue_over_the_seam_of_a_grown_cover(bundled):
    request = CoverRequest(prompt="云原生，主体位于右侧，大面积留白", negative="", width=384, height=256, steps=8, guidance=3.0,
                           seed=3, checkpoint=bundled.painter.checkpoint)
    grown = bundled.outpaint(bundled.paint(request), Sides(left=100, top=61, right=100), request.prompt, Brush(steps=8))
    final, report = bundled.render(grown)
    assert report.seam_gradient_ratio < 1.3
    column = pixels(final)[61:, 99:101]
    assert np.abs(column[:, 0] - column[:, 1]).mean() < 4


def test_a_prompt_looks_the_same_in_all_variants_that_share_it(bundled):
    """Where the masks lie so far apart that no pixel of one depends on latents of the other."""
    left, right = create_rectangular_mask(0, 0, 64, 96), create_rectangular_mask(704, 0, 64, 96)
    found = bundled.variants(bundled.open(photo(768, 96)), {left: ["红色"], right: ["蓝色", "绿色"]}, QUICK)
    blue, green = (bundled.render(variant.canvas)[0] for variant in found)
    assert difference(blue, green)[:, :64].max() <= 1
    assert difference(blue, green)[:, 704:].max() > 1
