"""The scorer of professional feel: what its lessons say, and what it makes of parts."""

from random import Random

import numpy as np
import pytest
import torch

from generator.evaluation.aesthetic import pool
from generator.evaluation.judge import load_judge
from generator.native import TOKEN_PX
from generator.training import train_aesthetic
from generator.training.flaws import FLAWS
from generator.training.train_aesthetic import (
    BATCH,
    NOT_HERE,
    calibrate,
    draw_batch,
    label_parts,
    label_whole,
    paint_window,
    plant_fresh,
    scoring_loss,
    start_from_judge,
    weigh,
)


def test_a_flaw_marks_the_parts_that_it_changed_and_no_others():
    picture = np.full((640, 640, 3), 90, np.uint8)
    flawed = picture.copy()
    flawed[:TOKEN_PX, TOKEN_PX:2 * TOKEN_PX] = 200
    flawed[TOKEN_PX:2 * TOKEN_PX, :TOKEN_PX, 0] += 4
    sample = label_parts(picture, flawed)
    assert sample.view.shape == (3, 120, 120)
    assert sample.good.shape == (10, 10)
    assert sample.good[0, 1] == 0
    assert sample.weight[0, 1] == 1
    assert sample.weight[1, 0] == 0
    assert int((sample.good * sample.weight).sum()) == 98


@pytest.mark.parametrize("name", [name for name in FLAWS if name not in NOT_HERE])
def test_every_flaw_changes_some_part_of_a_window(name):
    rng = Random(3)
    samples = [label_parts(picture, FLAWS[name](picture, rng)) for picture in (paint_window(rng) for _ in range(3))]
    assert sum(int(((1 - one.good) * one.weight).sum()) for one in samples) > 0


def test_a_batch_turns_views_and_labels_together(monkeypatch):
    view = torch.zeros(3, 120, 120, dtype=torch.uint8)
    view[:, :, :60] = 255
    sample = label_whole(view, is_good=True)
    sample.good[:, 5:] = 0
    monkeypatch.setattr(train_aesthetic, "plant_fresh", lambda rng: sample)
    monkeypatch.setattr(train_aesthetic, "label_whole", lambda view, is_good: sample)
    views, good, weight = draw_batch({"good": [sample], "blur": [sample]}, Random(1))
    assert views.shape == (BATCH, 3, 120, 120)
    assert good.shape == weight.shape == (BATCH, 10, 10)
    bright = views[:, 0, ::12, ::12] > 0
    assert torch.equal(bright, good > 0)
    assert {bool(row[0, 0]) for row in bright} == {True, False}


def test_flaws_are_planted_in_small_windows_too():
    samples = [plant_fresh(Random(seed)) for seed in range(12)]
    assert {sample.view.shape for sample in samples} == {(3, 120, 120)}
    assert sum(bool(((1 - sample.good) * sample.weight).any()) for sample in samples) > 8


def test_the_scorer_starts_with_what_the_judge_sees():
    scorer, judge = start_from_judge(), load_judge()
    views = torch.rand(1, 3, 120, 120)
    assert torch.equal(scorer.eval().coarse(scorer.fine(views)), judge.coarse(judge.fine(views)))
    assert scorer(views).shape == (1, 10, 10)


def test_the_loss_is_lower_for_right_answers_and_ignores_what_does_not_count():
    good = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])
    weight = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    right, wrong = (4 * sign * (2 * good - 1) for sign in (1, -1))
    assert scoring_loss(right, good, weight) < 0.2 < 3 < scoring_loss(wrong, good, weight)
    assert scoring_loss(right, good, weight) == scoring_loss(right * torch.tensor([[[1, 1], [1, -1]]]), good, weight)


def test_a_few_bad_parts_spoil_a_picture():
    logits = torch.full((1, 10, 20), 4.0)
    assert pool(logits).item() == pytest.approx(4)
    logits[0, :3, :3] = -6
    assert pool(logits).item() < 0


def test_calibration_loses_few_good_pictures():
    windows = [paint_window(Random(seed)) for seed in range(6)]
    scorer = start_from_judge().eval()
    calibrate(scorer, windows)
    assert float(weigh(scorer, windows).min()) == pytest.approx(0, abs=0.1)
    assert float(weigh(scorer, windows).max()) > 0
