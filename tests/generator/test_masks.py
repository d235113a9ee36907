"""Masks: every shape against a loop over pixels, and what cannot be a mask."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.masks import (
    Mask,
    Polygon,
    Rectangle,
    create_drawn_mask,
    create_elliptical_mask,
    create_polygonal_mask,
    create_rectangular_mask,
)
from generator.request import CoverImage

WIDTH, HEIGHT = 23, 17


def by_pixel(is_in):
    """[H, W] of what is_in(x, y) says of each pixel's upper left corner."""
    return np.array([[float(is_in(column, row)) for column in range(WIDTH)] for row in range(HEIGHT)], np.float32)


@st.composite
def boxes(draw):
    x0, y0 = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    return x0, y0, draw(st.integers(1, WIDTH - x0)), draw(st.integers(1, HEIGHT - y0))


@given(boxes())
def test_a_rectangle_holds_its_pixels(box):
    x0, y0, width, height = box
    slow = by_pixel(lambda x, y: x0 <= x < x0 + width and y0 <= y < y0 + height)
    assert np.array_equal(create_rectangular_mask(x0, y0, width, height).draw(WIDTH, HEIGHT), slow)


@given(boxes())
def test_an_ellipse_holds_the_pixels_whose_centre_it_holds(box):
    x0, y0, width, height = box
    slow = by_pixel(lambda x, y: ((x + 0.5 - x0 - width / 2) / (width / 2))**2
                    + ((y + 0.5 - y0 - height / 2) / (height / 2))**2 <= 1)
    assert np.array_equal(create_elliptical_mask(x0, y0, width, height).draw(WIDTH, HEIGHT), slow)


def test_an_ellipse_covers_its_share_of_the_box():
    alpha = create_elliptical_mask(100, 50, 400, 300).draw(640, 400)
    assert alpha.sum() / (400 * 300) == pytest.approx(math.pi / 4, abs=1e-3)


def is_inside(x, y, points):
    """Even-odd: how often a ray to the right crosses the line."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(points, (*points[1:], points[0]), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            crossings += 1
    return crossings % 2 == 1


# Quarters are exact in binary, so that both ways round alike.
POINTS = st.tuples(st.integers(0, 4 * WIDTH).map(lambda n: n / 4), st.integers(0, 4 * HEIGHT).map(lambda n: n / 4))


@given(st.lists(POINTS, min_size=3, max_size=7))
def test_a_polygon_holds_the_pixels_whose_centre_it_holds(points):
    alpha = Polygon(tuple(points)).draw(WIDTH, HEIGHT)
    disputed = by_pixel(lambda x, y: any(is_inside(x + 0.5 + nudge, y + 0.5, points) != is_inside(x + 0.5, y + 0.5, points)
                                         for nudge in (-1e-9, 1e-9)))
    slow = by_pixel(lambda x, y: is_inside(x + 0.5, y + 0.5, points))
    assert np.array_equal(alpha[disputed == 0], slow[disputed == 0])


def test_a_star_is_hollow_by_the_even_odd_rule():
    tips = [(50 + 45 * math.sin(4 * math.pi * tip / 5), 50 - 45 * math.cos(4 * math.pi * tip / 5)) for tip in range(5)]
    alpha = create_polygonal_mask(tips).draw(100, 100)
    assert alpha[50, 50] == 0
    assert alpha[20, 50] == 1


def test_a_polygon_of_a_thousand_points_is_drawn_at_once():
    angles = [2 * math.pi * number / 1000 for number in range(1000)]
    corners = [(2000 + 1900 * math.sin(angle), 2000 + 1900 * math.cos(angle)) for angle in angles]
    alpha = create_polygonal_mask(corners).draw(4000, 4000)
    assert alpha.sum() == pytest.approx(math.pi * 1900**2, rel=1e-4)


def picture(grey):
    grey = np.asarray(grey, np.uint8)
    return CoverImage(width=grey.shape[1], height=grey.shape[0], rgb=np.repeat(grey[..., None], 3, 2).tobytes())


def test_a_drawn_mask_is_its_own_grey():
    grey = np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) % 256
    alpha = create_drawn_mask(picture(grey)).draw(WIDTH, HEIGHT)
    np.testing.assert_allclose(alpha, grey / 255, atol=1e-4)
    assert set(alpha[grey == 0]) == {0.0}
    assert set(alpha[grey == 255]) == {1.0}


def test_masks_join():
    left, right = create_rectangular_mask(1, 1, 5, 5), create_elliptical_mask(4, 3, 9, 7)
    both = (left | right).draw(WIDTH, HEIGHT)
    assert np.array_equal(both, np.maximum(left.draw(WIDTH, HEIGHT), right.draw(WIDTH, HEIGHT)))


def test_a_mask_and_its_inverse_are_everything():
    mask = create_elliptical_mask(2, 2, 9, 9)
    assert np.array_equal((~mask).draw(WIDTH, HEIGHT), 1 - mask.draw(WIDTH, HEIGHT))
    assert ~~mask == mask


def test_masks_are_keys():
    grey = picture(np.full((HEIGHT, WIDTH), 255))
    masks = [create_rectangular_mask(1, 2, 3, 4), create_rectangular_mask(1, 2, 3, 4, 1), create_elliptical_mask(1, 2, 3, 4),
             create_polygonal_mask([(1, 2), (3, 4), (5, 2)]), create_drawn_mask(grey), ~create_rectangular_mask(1, 2, 3, 4)]
    prompts = {mask: number for number, mask in enumerate(masks)}
    assert len(prompts) == len(masks)
    assert prompts[create_rectangular_mask(1, 2, 3, 4)] == 0
    assert prompts[create_polygonal_mask([(1, 2), (3, 4), (5, 2)])] == 3
    assert prompts[create_drawn_mask(picture(np.full((HEIGHT, WIDTH), 255)))] == 4


@pytest.mark.parametrize(("mask", "message"), [
    (create_rectangular_mask(0, 0, 0, 5), "0,0,0,5 (x, y, width, height) is empty: width and height must be at least 1"),
    (create_rectangular_mask(0, 0, 5, -1), "rectangle: 0,0,5,-1 (x, y, width, height) is empty"),
    (create_rectangular_mask(-1, 0, 5, 5), "rectangle: -1,0,5,5 (x, y, width, height) is not within the picture of 23x17 px"),
    (create_rectangular_mask(0, 13, 5, 5), "is not within the picture of 23x17 px"),
    (create_rectangular_mask(19, 0, 5, 5), "is not within the picture of 23x17 px"),
    (create_rectangular_mask(10**30, 0, 5, 5), "is not within the picture of 23x17 px"),
    (create_elliptical_mask(0, 0, 24, 17), "ellipse: 0,0,24,17 (x, y, width, height) is not within the picture of 23x17 px"),
    (create_elliptical_mask(0, 0, 0, 0), "ellipse: 0,0,0,0 (x, y, width, height) is empty"),
    (create_polygonal_mask([(0, 0), (5, 5)]), "polygon: it has 2 points; it must have 3 to 1000"),
    (create_polygonal_mask([(0, 0)] * 1001), "polygon: it has 1001 points; it must have 3 to 1000"),
    (create_polygonal_mask([(0, 0), (5, 5), (23.5, 2)]), "polygon: point 23.5,2 is not within the picture of 23x17 px"),
    (create_polygonal_mask([(0, 0), (5, 5), (math.nan, 2)]), "polygon: point nan,2 is not within the picture of 23x17 px"),
    (create_polygonal_mask([(0, 0), (5, 5), (9, 9)]), "mask: it is empty: no pixel of the 23x17 picture is in it"),
    (~create_rectangular_mask(0, 0, 23, 17), "mask: it is empty: no pixel of the 23x17 picture is in it"),
    (create_drawn_mask(picture(np.zeros((HEIGHT, WIDTH)))), "mask: it is empty: no pixel of the 23x17 picture is in it"),
    (create_drawn_mask(picture(np.ones((9, 8))), "sky.png"),
     "sky.png: it is 8x9 px; the picture is 23x17 px, and both must be alike"),
])
def test_what_cannot_be_drawn_names_the_value_and_the_rule(mask, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        mask.draw(WIDTH, HEIGHT)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: create_rectangular_mask(0, 0, 5, 5, feather_px=-1), "feather: -1 px is not from 0 to 256"),
    (lambda: create_rectangular_mask(0, 0, 5, 5, feather_px=257), "feather: 257 px is not from 0 to 256"),
    (lambda: Mask(shapes=()), "mask: it has no shape; give at least one"),
    (lambda: create_rectangular_mask(0, 0, 5, 5) | create_rectangular_mask(0, 0, 5, 5, 2), "masks of one feather, not inverted"),
    (lambda: create_rectangular_mask(0, 0, 5, 5) | ~create_rectangular_mask(0, 0, 5, 5), "masks of one feather, not inverted"),
])
def test_what_is_no_mask_names_the_value_and_the_rule(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_one_pixel_and_all_pixels_are_masks():
    assert create_rectangular_mask(22, 16, 1, 1).draw(WIDTH, HEIGHT).sum() == 1
    assert Mask(shapes=(Rectangle(0, 0, WIDTH, HEIGHT),)).draw(WIDTH, HEIGHT).all()
