"""Grounded prompts: every token of a subject is told what it shows, and the seed decides what the prompt leaves open."""

import pytest
import torch

from generator.grounding import Area, ground, stack_shown
from generator.layout import ARRANGEMENTS, GROUPS, LIGHTS, PLACES, RELATIONS, SIZES, STAGES, bounds, lay_out, nudge
from generator.native import CANVASES
from generator.scene_code import (
    CHOICES,
    COLOURS,
    GROUND_STEPS,
    SHOWN_ROWS,
    STATES,
    WIDTH,
    code_canvas,
    code_ground,
    code_scenes,
    code_stage,
    not_said,
    number_ground,
    number_square,
    number_stage,
    read_choices,
    read_colours,
    read_stage,
)

GRID = (10, 20)
STILL = STAGES
"""A seed that nudges nothing."""


def ask(**said):
    numbers = torch.tensor([[said.get(name, count) for name, count in CHOICES]])
    return code_scenes(numbers, torch.full((1, COLOURS, 3), 0.3), torch.ones(1, COLOURS, dtype=torch.bool))[0]


def ask_for(arrangement="one", place="right", motif=7, second=3, light=0):
    said = {"motif": motif, "arrangement": ARRANGEMENTS.index(arrangement), "place": PLACES.index(place), "density": 0}
    return ask(**said, light=light, **({"second": second} if arrangement in RELATIONS else {}))


def shown_on(told, grid=GRID):
    return told.shown.view(*grid, len(SHOWN_ROWS))


def test_what_was_said_is_read_back():
    assert read_choices(ask(motif=5, place=2)) == {**dict.fromkeys(name for name, _ in CHOICES), "motif": 5, "place": 2}


def test_every_token_of_every_square_has_a_row_of_its_own_and_no_row_is_left_over():
    rows = torch.cat([number_square(motif, size).flatten() for motif in range(48) for size in SIZES])
    assert torch.equal(rows.sort().values, torch.arange(1, SHOWN_ROWS[2]))


def test_every_token_of_every_stage_has_a_row_of_its_own_and_no_row_is_left_over():
    rows = torch.cat([number_stage(group, kind, density).flatten()
                      for density in (1, 2) for kind in range(STAGES) for group in GROUPS])
    assert torch.equal(rows.sort().values, torch.arange(1, SHOWN_ROWS[1]))


@pytest.mark.parametrize("canvas", [*CANVASES, (40, 10), (2, 2)])
def test_the_ground_runs_from_the_light_to_its_other_side(canvas):
    left, right = (number_ground(canvas[::-1], is_right) for is_right in (False, True))
    assert torch.equal(left.flip(1), right)
    assert left[0, 0] == left.min()
    assert left[-1, -1] == left.max()
    assert left.max() < (SHOWN_ROWS[0] - 1) * GROUND_STEPS


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("place", PLACES)
def test_there_is_a_stage_for_every_group_of_subjects(arrangement, place):
    for columns, rows in (*CANVASES, (30, 10), (10, 40), (4, 4), (60, 6)):
        left, top, right, bottom = bounds(lay_out(arrangement, place, columns, rows))
        assert (right - left, bottom - top) in GROUPS


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("canvas", CANVASES)
def test_exactly_the_tokens_of_the_squares_show_something(arrangement, canvas):
    told = ground(ask_for(arrangement), canvas[::-1], seed=STILL)
    assert told.states.shape == (STATES + 3, WIDTH)
    wanted = torch.zeros(canvas[::-1], dtype=torch.bool)
    for spot in lay_out(arrangement, "right", *canvas):
        wanted[spot.row:spot.row + spot.size, spot.column:spot.column + spot.size] = True
    assert torch.equal(shown_on(told, canvas[::-1])[..., 2] > 0, wanted)


def test_a_pair_shows_which_is_which():
    shown = shown_on(ground(ask_for("left of", place="left"), GRID, seed=STILL))[..., 2]
    first, second = lay_out("left of", "left", 20, 10)
    assert torch.equal(shown[first.row:first.row + 4, first.column:first.column + 4], number_square(7, 4))
    assert torch.equal(shown[second.row:second.row + 4, second.column:second.column + 4], number_square(3, 4))
    assert first.column < second.column


def test_the_one_in_front_covers_the_other():
    shown = shown_on(ground(ask_for("in front of"), GRID, seed=STILL))[..., 2]
    behind, front = lay_out("in front of", "right", 20, 10)
    assert torch.equal(shown[front.row:front.row + 4, front.column:front.column + 4], number_square(7, 4))
    assert torch.equal(shown[behind.row, behind.column], number_square(3, 8)[0, 0])


def test_what_is_open_follows_the_seed_and_what_is_said_stays():
    found = [read_choices(ground(ask(motif=4, place=1), GRID, seed).states) for seed in range(40)]
    assert {one["place"] for one in found} == {1}
    assert {one["density"] for one in found} == {0, 1, 2}
    assert {one["light"] for one in found} == set(range(len(LIGHTS)))
    assert {one["material"] for one in found} == set(range(5))
    free = {read_choices(ground(ask(motif=4), GRID, seed).states)["place"] for seed in range(60)}
    assert free == set(range(len(PLACES)))
    assert torch.equal(ground(ask(motif=4), GRID, seed=9).states, ground(ask(motif=4), GRID, seed=9).states)


def test_colours_come_as_the_studio_paints_with_them():
    colours = torch.tensor([[[240, 240, 240], [31, 79, 163], [200, 200, 200], [20, 20, 20], [0, 0, 0]]]) / 255
    said = torch.tensor([[True, True, True, True, False]])
    numbers = torch.tensor([[4, *(count for _, count in CHOICES[1:])]])
    states = ground(code_scenes(numbers, colours, said)[0], GRID, seed=0).states
    assert read_colours(states) == [(240, 240, 240), (31, 79, 163), (20, 20, 20), (200, 200, 200), (31, 79, 163)]
    assert torch.equal(states[-2], code_ground(False)[0])


def test_colours_that_are_not_said_come_from_the_seed_and_those_that_are_stay():
    numbers = torch.tensor([[4, *(count for _, count in CHOICES[1:])]])
    only_main = torch.tensor([[False, True, False, False, False]])
    states = code_scenes(numbers, torch.full((1, COLOURS, 3), 0.2), only_main)[0]
    found = [read_colours(ground(states, GRID, seed).states) for seed in range(30)]
    assert {one[1] for one in found} == {(51, 51, 51)}
    assert len({one[0] for one in found}) > 10
    assert all(None not in one for one in found)


def test_the_stage_is_read_back():
    assert {read_stage(ground(ask(motif=4, density=2), GRID, seed).states) for seed in range(9)} == {0, 1, 2}


@pytest.mark.parametrize("arrangement", RELATIONS)
def test_half_a_pair_is_one_subject(arrangement):
    told = ground(ask(motif=4, arrangement=ARRANGEMENTS.index(arrangement)), GRID, seed=0)
    assert read_choices(told.states)["arrangement"] == ARRANGEMENTS.index("one")


def test_a_prompt_without_a_motif_gets_no_subject():
    told = ground(not_said(), GRID, seed=0)
    assert read_choices(told.states)["motif"] is None
    assert None not in read_colours(told.states)
    assert not told.shown[:, 1:].any()


def test_subjects_are_laid_out_inside_an_area():
    shown = shown_on(ground(ask_for(place="centre"), GRID, seed=0, area=Area(top=1, left=9, rows=8, columns=10)))[..., 2] > 0
    inside = torch.zeros_like(shown)
    inside[1:9, 9:19] = True
    assert shown.any()
    assert not (shown & ~inside).any()


@pytest.mark.parametrize("canvas", [(3, 2), (5, 12), (40, 4), (8, 8), (1, 1)])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_a_canvas_of_any_size_gets_a_layout(canvas, arrangement):
    for place in PLACES:
        left, top, right, bottom = bounds(lay_out(arrangement, place, *canvas))
        if right - left <= canvas[0] and bottom - top <= canvas[1]:
            assert min(left, top) >= 0
            assert right <= canvas[0]
            assert bottom <= canvas[1]
        assert (shown_on(ground(ask_for(arrangement, place), canvas[::-1], 0), canvas[::-1])[..., 2] > 0).any()


def test_published_networks_are_shown_nothing():
    from generator.grounding import Grounded

    assert stack_shown([Grounded(torch.zeros(3, 12))]) is None


def test_canvas_and_stage_use_coordinates_that_no_prompt_uses():
    said = code_scenes(torch.zeros(1, len(CHOICES), dtype=torch.long), torch.rand(1, COLOURS, 3),
                       torch.ones(1, COLOURS, dtype=torch.bool))[0]
    used = torch.cat([said, not_said(), ask(motif=47, second=47)]).abs().sum(0) > 0
    for codes in (code_canvas(GRID), code_canvas((3, 5)), code_stage(0), code_stage(2), code_ground(False), code_ground(True)):
        assert not (used & (codes[0] > 0)).any()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_a_nudge_stays_on_the_canvas_and_at_its_place(arrangement, place, canvas):
    columns, rows = canvas
    plain = lay_out(arrangement, place, columns, rows)
    seen = set()
    for number in range(12):
        spots = nudge(plain, place, columns, rows, number)
        left, top, right, bottom = bounds(spots)
        seen.add((left, top))
        moved = [(one.column - other.column, one.row - other.row) for one, other in zip(spots, plain, strict=True)]
        assert len(set(moved)) == 1  # all together
        if moved[0] != (0, 0):
            assert 0 <= left < right <= columns
            assert 0 <= top < bottom <= rows
            x, y = (left + right - columns) / 2, (top + bottom - rows) / 2
            assert {"left": x < 0, "right": x > 0, "top": y < 0, "bottom": y > 0}[place]
            assert max(abs(x), abs(y)) == (abs(x) if place in ("left", "right") else abs(y))
    assert place != "centre" or len(seen) == 1


def test_one_subject_stands_in_six_ways_on_a_wide_canvas():
    plain = lay_out("one", "right", 20, 10)
    assert len({(nudge(plain, "right", 20, 10, number)[0].column, nudge(plain, "right", 20, 10, number)[0].row)
                for number in range(6)}) == 6
