"""Comparing checkpoints: a blind sheet that holds every pair, and a key that tells which is which."""

from random import Random

import numpy as np

from generator.training.compare import CELL_PX, GAP_PX, PAIRS_A_ROW, lay_pairs


def plain(value, width=800, height=400):
    return np.full((height, width, 3), value, np.uint8)


def test_the_key_tells_which_side_is_the_one_after():
    count = 9
    sheet, key = lay_pairs([plain(0)] * count, [plain(200)] * count, Random(2))
    assert len(key) == count
    assert set(key) == {"left", "right"}
    row_height = CELL_PX // 2 + GAP_PX
    for number, side in enumerate(key):
        row, place = divmod(number, PAIRS_A_ROW)
        lefts = [(2 * place + turn) * (CELL_PX + GAP_PX) + place * GAP_PX + 5 for turn in (0, 1)]
        shown = [sheet.getpixel((left, row * row_height + 5))[0] for left in lefts]
        assert shown == ([0, 200] if side == "right" else [200, 0])


def test_a_tall_picture_is_shown_whole():
    sheet, _ = lay_pairs([plain(0, 400, 800)], [plain(200, 400, 800)], Random(0))
    assert sheet.height == CELL_PX + GAP_PX
