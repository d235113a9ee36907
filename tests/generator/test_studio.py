"""The studio: every motif paints, in its place, in its colours, the same each time."""

from random import Random

import numpy as np
import pytest

from generator.studio.palettes import PALETTES, format_hex, name_colour, parse_hex, sample_palette
from generator.studio.scene import MOTIFS, PLACES, Scene, locate, paint, sample_scene
from generator.training.captions import topic_words, write_caption


def make_scene(motif, place="centre", density="sparse", palette=PALETTES[0], seed=7):
    return Scene(motif=motif, palette=palette, place=place, density=density, seed=seed)


def test_there_are_enough_motifs_and_palettes():
    assert len(MOTIFS) >= 24
    assert len(PALETTES) >= 16
    assert sum(palette.is_dark for palette in PALETTES) >= 5


@pytest.mark.parametrize("motif", list(MOTIFS))
def test_a_motif_paints_itself_the_same_each_time_and_differs_by_seed(motif):
    first = paint(make_scene(motif), 320, 200)
    assert first.shape == (200, 320, 3)
    assert np.array_equal(first, paint(make_scene(motif), 320, 200))
    assert not np.array_equal(first, paint(make_scene(motif, seed=8), 320, 200))


@pytest.mark.parametrize("motif", list(MOTIFS))
@pytest.mark.parametrize("place", PLACES)
def test_a_motif_stands_in_its_place(motif, place):
    picture = paint(make_scene(motif, place=place), 384, 256).astype(float)
    ink = np.abs(picture - np.median(picture.reshape(-1, 3), axis=0)).sum(-1) > 60
    rows, columns = np.nonzero(ink)
    x, y, radius = locate(place, 384, 256)
    assert abs(columns.mean() - x) < 0.45 * radius
    assert abs(rows.mean() - y) < 0.5 * radius


def test_the_ground_has_the_palettes_colour():
    for palette in PALETTES:
        picture = paint(make_scene("rings", place="right", palette=palette), 320, 200)
        corner = np.median(picture[60:140, :60].reshape(-1, 3), axis=0)
        assert np.abs(corner - np.array(palette.background)).max() < 32, palette.en


@pytest.mark.parametrize("size", [(64, 64), (65, 400), (1200, 630), (2048, 64)])
def test_any_size_can_be_painted(size):
    assert paint(sample_scene(Random(1)), *size).shape == (size[1], size[0], 3)


def test_every_motif_has_forty_words_in_each_language_and_no_word_two_motifs():
    seen = {}
    for motif, words in topic_words().items():
        assert len(words["zh"]) >= 40, motif
        assert len(words["en"]) >= 40, motif
        for word in (*words["zh"], *words["en"]):
            assert seen.setdefault(word, motif) == motif, word


def test_captions_come_in_three_tongues_and_name_what_they_say_they_name():
    rng = Random(3)
    for tongue in ("zh", "en", "mixed"):
        for _ in range(200):
            scene = sample_scene(rng)
            caption = write_caption(scene, rng, tongue)
            assert caption.tongue == tongue
            assert caption.motif == scene.motif
            words = [word.casefold() for language in topic_words()[scene.motif].values() for word in language]
            assert any(word in caption.text.casefold() for word in words)
            if tongue == "en":
                assert not any("\u4e00" <= letter <= "\u9fff" for letter in caption.text)


def test_colours_are_written_and_read_back():
    assert format_hex(parse_hex("#2F4A3E")) == "#2F4A3E"
    assert name_colour(parse_hex("#2F4A3E"), "zh") == "墨绿"
    assert name_colour((255, 255, 255), "en") == "white"
    with pytest.raises(ValueError, match="#12345"):
        parse_hex("#12345")


def test_sampled_palettes_have_two_or_three_accents():
    rng = Random(2)
    assert {len(sample_palette(rng).accents) for _ in range(100)} <= {2, 3}
