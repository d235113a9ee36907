"""What curation finds in studio pictures, and what it leaves alone."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from generator.curation.duplicates import is_same, take_print
from generator.curation.examine import examine, find_duplicates
from generator.curation.ground import lay_bare
from generator.curation.instruments import Instruments, embed
from generator.curation.measures import measure, measure_palette
from generator.curation.rules import RANGES, Findings, Policy, check_licence, decide
from generator.studio.palettes import PALETTES
from generator.studio.scene import Scene, paint
from generator.training.flaws import FLAWS
from generator.training.measure_curation import copy_loosely

SIZE = (800, 420)
BARE = Instruments(missing={})
SCENE = Scene(motif="gear", palette=PALETTES[2], place="left", density="balanced", seed=3)
NIGHT = Scene(motif="rocket", palette=PALETTES[10], place="right", density="sparse", seed=4)
CHECKS = {"blur": "blur", "noise": "grain", "banding": "banding", "blocks": "blocks", "clipped": "clipped", "washed": "contrast",
          "dark": "dark", "blown": "blown"}


@pytest.fixture(scope="module")
def pictures():
    return [paint(SCENE, *SIZE), paint(NIGHT, *SIZE)]


def reasons_of(picture, licence="own", palette=(), **bounds):
    return examine(picture, licence, palette, BARE, Policy(**bounds)).reasons


def test_good_pictures_are_kept(pictures):
    for picture, scene in zip(pictures, (SCENE, NIGHT), strict=True):
        assert reasons_of(picture, palette=scene.palette.colours) == []


@pytest.mark.parametrize("flaw", CHECKS)
def test_a_planted_flaw_is_found_by_its_own_check(pictures, flaw):
    for seed, picture in enumerate(pictures):
        reasons = reasons_of(FLAWS[flaw](picture, Random(seed)))
        assert any(reason.startswith(f"{CHECKS[flaw]}: ") for reason in reasons), reasons


@pytest.mark.parametrize("flaw", FLAWS)
def test_planting_gives_another_picture_of_the_same_size_and_changes_none(pictures, flaw):
    before = pictures[0].copy()
    first, second = (FLAWS[flaw](pictures[0], Random(7)) for _ in range(2))
    assert np.array_equal(pictures[0], before)
    assert first.shape == before.shape
    assert first.dtype == np.uint8
    assert np.abs(first.astype(int) - before).mean() > 0.05
    assert np.array_equal(first, second)


def test_a_bound_of_ones_own_decides(pictures):
    (reason,) = reasons_of(pictures[0], least_short_px=600)
    assert reason == "resolution: 420 px on the short side; at least 600"


def test_the_wrong_palette_is_told_from_the_right_one(pictures):
    assert measure_palette(pictures[0], SCENE.palette.colours) < 12
    (reason,) = reasons_of(pictures[0], palette=NIGHT.palette.colours)
    assert reason.startswith("palette: ")


@pytest.mark.parametrize(("licence", "assumed", "is_kept"), [
    ("", "", False), ("", "own", True), ("cc0-1.0", "", True), ("CC-BY-NC-4.0", "", False), ("CC-BY-NC-4.0", "own", False),
    ("  ", "", False)])
def test_only_allowed_licences_are_kept(licence, assumed, is_kept):
    assert (check_licence(licence, Policy(assumed_licence=assumed)) == []) is is_kept


def test_a_copy_from_elsewhere_is_a_duplicate(pictures):
    for seed in range(4):
        for picture in pictures:
            assert is_same(take_print(picture), take_print(copy_loosely(picture, Random(seed))), Policy())


@pytest.mark.parametrize("change", [
    {"palette": PALETTES[5]}, {"place": "right"}, {"motif": "key"}, {"arrangement": "two"}, {"material": "metal"}])
def test_pictures_that_look_different_are_no_duplicates(pictures, change):
    other = paint(replace(SCENE, **change), *SIZE)
    assert not is_same(take_print(pictures[0]), take_print(other), Policy())


def test_of_a_group_the_first_stays(pictures):
    seals = [take_print(picture) for picture in (pictures[0], pictures[1], pictures[0], copy_loosely(pictures[0], Random(1)))]
    assert find_duplicates(seals, Policy()) == {2: 0, 3: 0}


def test_faces_are_dropped_only_where_the_policy_says_so(pictures):
    found, measures = Findings(licence="own", faces=2), measure(pictures[0])
    assert decide(measures, found, Policy()) == []
    assert decide(measures, found, Policy(faces="drop")) == ["faces: 2 found"]


def test_a_low_score_and_readable_letters_are_reasons(pictures):
    seen = Instruments(aesthetic=lambda picture: 0.31, text=lambda picture: 12, missing={})
    assert examine(pictures[0], "own", (), seen, Policy()).reasons == [
        "text: 12 letters can be read; at most 3", "aesthetic: 0.31 is the score; at least 0.5"]


def test_a_watermark_is_read(pictures):
    pytest.importorskip("rapidocr_onnxruntime")
    from generator.curation.instruments import _load_reader

    count_letters = _load_reader()
    assert count_letters(pictures[0]) == 0
    assert count_letters(FLAWS["text"](pictures[0], Random(2))) > 3


@pytest.mark.parametrize("name", RANGES)
def test_a_bound_out_of_its_range_is_refused(name):
    for value in (RANGES[name][1] + 1, RANGES[name][0] - 1, "5", True, float("nan")):
        with pytest.raises(ValueError, match=name):
            Policy(**{name: value})


def test_a_policy_refuses_what_is_no_choice():
    for wrong in ({"faces": "blur"}, {"licences": ()}, {"licences": "own"}, {"assumed_licence": 3}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Policy(**wrong)


def test_the_subject_is_found_where_it_is(pictures):
    left, top, right, bottom = lay_bare(pictures[0]).box
    assert right < SIZE[0] * 0.6
    assert 0 <= left < right
    assert 0 <= top < bottom <= SIZE[1]


def test_a_plain_picture_has_no_subject_and_breaks_nothing():
    plain = np.full((400, 600, 3), 200, np.uint8)
    assert lay_bare(plain).box is None
    assert any(reason.startswith("contrast: ") for reason in reasons_of(plain, palette=((200, 200, 200),)))
    for name, flaw in FLAWS.items():
        assert flaw(plain, Random(1)).shape == plain.shape, name


def test_an_embedding_has_length_one(pictures):
    features = embed(pictures[0])
    if features is None:
        pytest.skip("the judge has no weights")
    assert np.linalg.norm(features) == pytest.approx(1, abs=1e-4)
    assert float(features @ embed(pictures[1])) < 0.99
