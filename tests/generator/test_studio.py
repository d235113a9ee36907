"""The studio: every motif paints, in its box, in its colours, the same each time."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from generator.layout import ARRANGEMENTS, PLACES, RELATIONS
from generator.native import CANVASES, TOKEN_PX, fit_canvas
from generator.studio.palettes import PALETTES, format_hex, name_colour, parse_hex, sample_palette
from generator.studio.pen import MATERIALS
from generator.studio.scene import MOTIFS, Scene, lay_out, paint, sample_scene
from generator.training.captions import KNOWN, topic_words, write_caption

SMALL = (384, 192)


def make_scene(motif, place="centre", density="sparse", palette=PALETTES[0], **more):
    return Scene(motif=motif, palette=palette, place=place, density=density, seed=7, **more)


def ink(picture):
    ground = np.median(picture.reshape(-1, 3), axis=0)
    return np.abs(picture.astype(float) - ground).sum(-1) > 60


def test_there_are_enough_motifs_and_palettes():
    assert len(MOTIFS) >= 40
    assert len(PALETTES) >= 16
    assert sum(palette.is_dark for palette in PALETTES) >= 5


@pytest.mark.parametrize("motif", list(MOTIFS))
def test_a_motif_paints_itself_the_same_each_time_and_shaded_from_the_other_side_in_the_other_light(motif):
    first = paint(make_scene(motif), *SMALL)
    assert np.array_equal(first, paint(make_scene(motif), *SMALL))
    other = paint(make_scene(motif, light="right"), *SMALL)
    assert 0.5 < np.abs(first.astype(int) - other).mean() < 12


@pytest.mark.parametrize("motif", list(MOTIFS))
@pytest.mark.parametrize("place", PLACES)
def test_a_motif_fills_its_box_and_leaves_the_rest(motif, place):
    scene = make_scene(motif, place=place)
    shown = ink(paint(scene, 20 * 16, 10 * 16))
    box, = lay_out(scene, 20, 10)
    inside = np.zeros_like(shown)
    inside[box.row * 16:(box.row + box.size) * 16, box.column * 16:(box.column + box.size) * 16] = True
    assert shown[inside].mean() > 0.08
    assert shown[~inside].mean() < 0.02


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("place", PLACES)
def test_every_box_lies_on_the_canvas(arrangement, canvas, place):
    scene = make_scene("book", place=place, arrangement=arrangement, second="cup" if arrangement in RELATIONS else None)
    boxes = lay_out(scene, *canvas)
    for box in boxes:
        assert 0 <= box.column <= canvas[0] - box.size
        assert 0 <= box.row <= canvas[1] - box.size
    if arrangement not in RELATIONS:
        assert len(boxes) == ARRANGEMENTS.index(arrangement) + 1


@pytest.mark.parametrize("canvas", CANVASES)
def test_relations_are_what_they_are_called(canvas):
    for place in PLACES:
        by_relation = {}
        for relation in RELATIONS:
            boxes = lay_out(make_scene("book", place=place, arrangement=relation, second="cup"), *canvas)
            by_relation[relation] = {name: [box for box in boxes if box.motif == name] for name in ("book", "cup")}

        def centre(relation, name, found=by_relation):
            return found[relation][name][0].centre

        assert centre("left of", "book")[0] < centre("left of", "cup")[0]
        assert centre("right of", "book")[0] > centre("right of", "cup")[0]
        assert centre("above", "book")[1] < centre("above", "cup")[1]
        assert centre("below", "book")[1] > centre("below", "cup")[1]
        between = by_relation["between"]
        assert between["cup"][0].column < between["book"][0].column < between["cup"][1].column


def test_the_ground_has_the_palettes_colour():
    for palette in PALETTES:
        picture = paint(make_scene("rings", place="right", palette=palette), 320, 160)
        corner = np.median(picture[60:120, :60].reshape(-1, 3), axis=0)
        assert np.abs(corner - np.array(palette.background)).max() < 32, palette.en


def test_materials_and_stages_look_different():
    scene = make_scene("heart")
    pictures = [paint(replace(scene, material=material), *SMALL) for material in MATERIALS]
    pictures += [paint(replace(scene, density=density, seed=seed), *SMALL)
                 for density in ("balanced", "dense") for seed in range(3)]
    for number, first in enumerate(pictures):
        for second in pictures[number + 1:]:
            assert np.abs(first.astype(int) - second).mean() > 0.1


@pytest.mark.parametrize("size", [(64, 64), (65, 400), (1200, 630), (2048, 64)])
def test_any_size_can_be_painted(size):
    assert paint(sample_scene(Random(1)), *size).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(("size", "canvas"), [
    ((1200, 630), (20, 10)), ((1024, 1024), (16, 16)), ((900, 383), (24, 10)), ((1280, 720), (20, 12)), ((1200, 900), (20, 16)),
    ((1080, 1440), (16, 22)), ((720, 1280), (12, 20)), ((64, 64), (16, 16)), ((2048, 512), (40, 10)), ((400, 2000), (10, 50))])
def test_sizes_have_their_canvas(size, canvas):
    assert fit_canvas(*size) == canvas
    assert canvas[0] % 2 == canvas[1] % 2 == 0
    assert TOKEN_PX == 64


def test_every_motif_has_enough_words_in_each_language_and_no_word_two_motifs():
    seen, count = {}, 0
    for motif, words in topic_words().items():
        for language in ("zh", "en"):
            assert len(words[language]) >= 40, motif
            for word in words[language]:
                assert seen.setdefault((language, word.casefold()), motif) == motif, word
                count += 1
    assert count >= 6000


def test_captions_come_in_three_tongues_and_name_what_they_say_they_name():
    rng = Random(3)
    for tongue in ("zh", "en", "mixed"):
        for _ in range(200):
            scene = sample_scene(rng, KNOWN)
            caption = write_caption(scene, rng, tongue)
            assert caption.tongue == tongue
            assert caption.said["motif"] == scene.motif
            assert caption.said.get("second") == scene.second
            for motif in filter(None, (scene.motif, scene.second)):
                words = [word.casefold() for language in topic_words()[motif].values() for word in language]
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
