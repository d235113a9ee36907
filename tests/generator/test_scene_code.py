"""The code that text states speak: every choice and every colour apart from all others."""

import pytest
import torch

from generator.native import CANVASES
from generator.scene_code import (
    CHOICES,
    COLOURS,
    STATES,
    WIDTH,
    check_lengths,
    code_canvas,
    code_choices,
    code_colours,
    code_scenes,
    not_said,
)


def test_no_two_classes_share_a_code():
    longest = max(count for _, count in CHOICES)
    rows = torch.stack([torch.tensor([min(index, count) for _, count in CHOICES]) for index in range(longest + 1)])
    codes = code_choices(rows)
    assert codes.shape == (longest + 1, len(CHOICES), WIDTH)
    used = codes.flatten(0, 1).unique(dim=0)
    assert len(used) == sum(count + 1 for _, count in CHOICES)
    assert (used.sum(1) == 1).all()


def test_colours_of_different_states_use_other_coordinates_and_close_colours_are_close():
    colours = torch.rand(1, COLOURS, 3)
    states = code_colours(colours, torch.ones(1, COLOURS, dtype=torch.bool))[0]
    assert ((states != 0).sum(0) <= 1).all()
    near = code_colours((colours + 0.004).clamp(0, 1), torch.ones(1, COLOURS, dtype=torch.bool))[0]
    far = code_colours(1 - colours, torch.ones(1, COLOURS, dtype=torch.bool))[0]
    assert (states - near).norm() < 0.1 * (states - far).norm()


def test_a_colour_that_is_not_said_says_nothing_of_its_value():
    silent = torch.zeros(1, COLOURS, dtype=torch.bool)
    assert torch.equal(code_colours(torch.rand(1, COLOURS, 3), silent), code_colours(torch.rand(1, COLOURS, 3), silent))


def test_nothing_said_is_its_own_code():
    states = not_said()
    assert states.shape == (STATES, WIDTH)
    said = code_scenes(torch.zeros(1, len(CHOICES), dtype=torch.long), torch.zeros(1, COLOURS, 3),
                       torch.ones(1, COLOURS, dtype=torch.bool))[0]
    assert not (states == said).all(dim=1).any()


def test_lists_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        check_lengths([1, 2])


def test_every_native_canvas_has_a_code_of_its_own_and_others_that_of_the_most_like_one():
    codes = torch.cat([code_canvas((rows, columns)) for columns, rows in CANVASES])
    assert len(codes.unique(dim=0)) == len(CANVASES)
    assert torch.equal(code_canvas((10, 40)), code_canvas((10, 24)))
    assert torch.equal(code_canvas((6, 6)), code_canvas((16, 16)))
