"""The membrane against Laplace's equation solved densely."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.membrane import spread

TOLERANCE = 0.05
"""Measured: at most 0.016 over the regions below, for values of up to 250."""


def solve(values, known, region):
    """One equation a pixel: it is the mean of its neighbours that are known or in the region."""
    unknown = (region > 0) & (known == 0)
    places = {tuple(place): number for number, place in enumerate(unknown.nonzero().tolist())}
    matrix, right = torch.zeros(len(places), len(places), dtype=torch.float64), torch.zeros(len(places), 3, dtype=torch.float64)
    for (row, column), number in places.items():
        for place in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if place in places:
                matrix[number, number] += 1
                matrix[number, places[place]] -= 1
            elif 0 <= place[0] < known.shape[0] and 0 <= place[1] < known.shape[1] and known[place]:
                matrix[number, number] += 1
                right[number] += values[:, place[0], place[1]].double()
    solved = (values * known * region).double()
    solved[:, unknown] = torch.linalg.solve(matrix, right).T
    return solved


def box(height, width, top, left, rows, columns):
    region = torch.zeros(height, width)
    region[top:top + rows, left:left + columns] = 1
    return region


def comb():
    region = box(64, 64, 56, 0, 4, 60)
    for column in range(0, 60, 8):
        region[4:60, column:column + 4] = 1
    return region


REGIONS = {
    "square": box(64, 64, 10, 12, 40, 40),
    "thin": box(64, 64, 30, 3, 3, 56),
    "one pixel": box(64, 64, 30, 3, 1, 1),
    "half": box(48, 64, 0, 32, 48, 32),
    "corner": box(64, 64, 0, 0, 50, 50),
    "both sides": 1 - box(48, 64, 0, 24, 48, 16),
    "frame": 1 - box(51, 57, 20, 21, 13, 12),
    "long": box(16, 150, 3, 3, 10, 144),
    "comb": comb(),
}


def around(region):
    """What stays, next to the region."""
    padded = torch.nn.functional.pad(region, (1, 1, 1, 1))
    near = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return ((near > 0) & (region == 0)).float()


def fields(height, width):
    rows, columns = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
    return {"noise": torch.randn(3, height, width, generator=torch.Generator().manual_seed(0)) * 30,
            "ramp": (rows * 0.5 + columns * 0.3).expand(3, -1, -1) * torch.tensor([1.0, -1.0, 0.1]).view(3, 1, 1),
            "step": (columns > width // 2).float().expand(3, height, -1) * 100}


@pytest.mark.parametrize("field", ["noise", "ramp", "step"])
@pytest.mark.parametrize("name", REGIONS)
def test_it_is_the_solution_of_laplaces_equation(name, field):
    region = REGIONS[name]
    values, known = fields(*region.shape)[field], around(region)
    torch.testing.assert_close(spread(values, known, region).double(), solve(values, known, region), atol=TOLERANCE, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 17), st.integers(3, 17), st.floats(0.2, 0.95))
def test_it_is_the_solution_over_random_regions(seed, height, width, share):
    generator = torch.Generator().manual_seed(seed)
    region = (torch.rand(height, width, generator=generator) < share).float()
    region[0, 0] = 0
    values, known = torch.randn(3, height, width, generator=generator) * 50, around(region)
    torch.testing.assert_close(spread(values, known, region).double(), solve(values, known, region), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("region", [box(630, 1200, 100, 300, 400, 600), 1 - box(630, 1200, 0, 300, 630, 600)],
                         ids=["box", "sides"])
def test_what_is_the_same_all_along_the_seam_is_the_same_inside_at_full_size(region):
    """At this size nothing but a solver of all scales gets from the seam to the middle."""
    found = spread(torch.full((3, 630, 1200), 37.0), around(region), region)
    torch.testing.assert_close(found, 37.0 * region.expand(3, -1, -1), atol=TOLERANCE, rtol=0)


def test_a_ramp_goes_on_through_a_large_region():
    region = box(400, 700, 0, 200, 400, 300)
    ramp = (torch.arange(700) * 0.3).expand(3, 400, 700)
    torch.testing.assert_close(spread(ramp, around(region), region), ramp * region, atol=TOLERANCE, rtol=0)


def test_what_no_known_place_reaches_is_zero():
    assert not spread(torch.ones(3, 8, 8), torch.zeros(8, 8), torch.ones(8, 8)).any()
    assert not spread(torch.ones(3, 8, 8), torch.ones(8, 8), torch.zeros(8, 8)).any()
