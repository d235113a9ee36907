"""Scores of pictures: the judge and the scorer know studio pictures, and the measures measure what they say."""

from collections import Counter
from random import Random

import numpy as np
import pytest
import torch

from generator.evaluation.aesthetic import Scorer, pool, score
from generator.evaluation.judge import Finding, find, load_judge
from generator.evaluation.report import TONGUES, Prompt, read_prompts, score_picture, sum_up, tabulate
from generator.evaluation.scores import banding, place_of, quiet_ratio, relation_of, sharpness
from generator.layout import COUNTS, RELATIONS
from generator.native import fit_canvas
from generator.studio.scene import MOTIFS, paint, sample_scene
from generator.topics import motifs_of, topic_words

SIZES = ((1200, 630), (1024, 1024), (900, 383), (1080, 1440))


@pytest.fixture(scope="module")
def judge():
    return load_judge()


@pytest.fixture(scope="module")
def scenes():
    """Scenes, and their pictures in several sizes."""
    rng = Random(8_000_000)
    drawn = [sample_scene(rng) for _ in range(48)]
    return [(scene, paint(scene, *SIZES[number % len(SIZES)])) for number, scene in enumerate(drawn)]


def prompt_of(scene, picture):
    group = "one" if scene.arrangement == "one" else "relation" if scene.arrangement in RELATIONS else "count"
    said = {"motif": scene.motif, "arrangement": scene.arrangement, "place": scene.place}
    return Prompt(group=group, tongue="zh", width=picture.shape[1], height=picture.shape[0], text="",
                  said=said if scene.second is None else {**said, "second": scene.second}, colours=tuple(scene.palette.colours))


def test_the_judge_knows_the_studios_motifs(judge):
    assert judge.motifs == tuple(MOTIFS)


def test_studio_pictures_score_what_they_are(judge, scenes):
    rows = [score_picture(judge, None, prompt_of(scene, picture), picture) for scene, picture in scenes]
    for name, least in (("motif", 0.93), ("place", 0.95), ("relation", 0.8), ("count", 0.9), ("quiet", 0.95)):
        values = [row[name] for row in rows if name in row]
        assert np.mean(values) >= least, name
    assert np.mean([row["palette"] for row in rows]) < 5


def test_another_motif_is_told_apart(judge, scenes):
    for scene, picture in scenes[:12]:
        shown = {finding.motif for finding in find(judge, picture)}
        assert len(shown - {scene.motif, scene.second}) <= 1


def test_a_picture_is_as_good_as_its_worst_parts():
    even, spoilt = torch.full((1, 8, 8), 2.0), torch.full((1, 8, 8), 2.0)
    spoilt[0, :1] = -6.0
    assert float(pool(even)) == 2.0
    assert float(pool(spoilt)) < -2
    assert 0 < score(Scorer().eval(), np.full((630, 1200, 3), 90, np.uint8)) < 1


def finding(motif, x, y, cells=16, count=1):
    return Finding(motif=motif, x=x, y=y, cells=cells, count=count)


@pytest.mark.parametrize(("x", "y", "place"), [(4, 5, "left"), (16, 5, "right"), (10, 5, "centre"), (10, 2, "top"),
                                               (10, 8, "bottom")])
def test_a_place_is_where_the_tokens_are(x, y, place):
    assert place_of([finding("cup", x, y)], (20, 10)) == place


def test_nothing_stands_nowhere():
    assert place_of([], (20, 10)) is None


@pytest.mark.parametrize(("first", "second", "relation"), [
    (finding("cup", 3, 5), finding("key", 9, 5), "left of"), (finding("cup", 9, 5), finding("key", 3, 5), "right of"),
    (finding("cup", 5, 2), finding("key", 5, 7), "above"), (finding("cup", 5, 7), finding("key", 5, 2), "below"),
    (finding("cup", 8, 8), finding("key", 6, 6, cells=50), "in front of"),
    (finding("cup", 6, 4), finding("key", 6, 4, cells=32, count=2), "between")])
def test_relations_are_told_by_geometry(first, second, relation):
    assert relation_of(first, second) == relation


def test_every_relation_and_count_can_be_scored():
    assert {"left of", "right of", "above", "below", "in front of", "between"} == set(RELATIONS)
    assert set(COUNTS) == {"one", "two", "three", "four"}


def test_the_quiet_side_is_the_one_without_edges():
    picture = np.full((100, 200, 3), 200, np.uint8)
    picture[:, 120:] = np.random.default_rng(0).integers(0, 255, (100, 80, 3), dtype=np.uint8)
    assert quiet_ratio(picture, "right") < 0.1 < 1 < quiet_ratio(picture, "left")


def test_sharpness_falls_and_banding_rises():
    step = np.zeros((64, 256, 3), np.uint8)
    step[:, 64:] = 200
    step[:, 128:192] = 0
    ramp = np.linspace(60, 180, 256)[None, :, None].repeat(64, 0).repeat(3, 2)
    soft = np.tile(np.linspace(0, 200, 256)[None, :, None], (64, 1, 3))
    assert sharpness(step) > 1.5 * sharpness(soft.astype(np.uint8))
    coarse = np.round(ramp / 4) * 4
    assert banding(coarse.astype(np.uint8)) > banding(np.round(ramp).astype(np.uint8)) + 0.05


def test_wilsons_interval_is_the_textbooks():
    half = sum_up([1.0] * 50 + [0.0] * 50, is_share=True)
    assert (half.mean, round(half.low, 3), round(half.high, 3)) == (0.5, 0.404, 0.596)
    whole = sum_up([1.0] * 20, is_share=True)
    assert whole.high <= 1.0 + 1e-12
    assert round(whole.low, 3) == 0.839


def test_the_gap_is_between_tongues():
    prompts = [Prompt(group="one", tongue=tongue, width=8, height=8, text="", said={}, colours=()) for tongue in TONGUES * 2]
    rows = [{"motif": float(number in (0, 3))} for number in range(6)]
    assert tabulate(prompts, rows)["motif"]["gap"] == 1.0


def test_there_are_a_thousand_prompts_evenly_in_three_tongues():
    prompts = read_prompts()
    assert len(prompts) >= 1000
    assert len(set(Counter(prompt.tongue for prompt in prompts).values())) == 1
    assert {prompt.group for prompt in prompts} == {"one", "count", "relation"} == {p.group for p in read_prompts(60)}
    assert {fit_canvas(prompt.width, prompt.height) for prompt in prompts} >= {(20, 10), (24, 10), (16, 16), (16, 22), (20, 16)}
    assert len(read_prompts(60)) == 60


def test_the_lexicon_is_large_and_finds_words_inside_compounds():
    assert sum(len(words["zh"]) + len(words["en"]) for words in topic_words().values()) >= 6000
    assert "cloud" in motifs_of("云原生架构")
    assert "cloud" in motifs_of("Cloud-native, explained")
    assert motifs_of("qqq") == frozenset()


@pytest.mark.parametrize("limit", [3, 6, 36, 60, 180, 360])
def test_a_limit_draws_from_every_tongue(limit):
    from generator.evaluation.report import TONGUES, read_prompts

    prompts = read_prompts(limit)
    assert len({prompt.text for prompt in prompts}) == limit
    assert {prompt.tongue for prompt in prompts} == set(TONGUES)
