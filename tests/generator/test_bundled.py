"""The weights that ship: they fit, they load, they paint what is asked, and the same again from the same seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.settings import BUNDLED
from generator.evaluation.colours import palette_distance
from generator.evaluation.judge import find, load_judge
from generator.pipeline import BUNDLED_FOLDER, CoverPainter
from generator.request import CoverRequest
from generator.studio.palettes import PALETTES

MEGABYTE = 1_000_000
STEPS, GUIDANCE = BUNDLED["steps"], BUNDLED["guidance"]


@pytest.fixture(scope="module")
def painter():
    return CoverPainter()


def paint(painter, prompt, *, size=(1200, 630), seed=1, steps=STEPS):
    image = painter.generate(CoverRequest(prompt=prompt, negative="", width=size[0], height=size[1], steps=steps,
                                          guidance=GUIDANCE, seed=seed, checkpoint=painter.checkpoint))
    return np.frombuffer(image.rgb, np.uint8).reshape(image.height, image.width, 3)


def test_the_bundled_model_fits_and_has_a_card():
    files = [file for file in BUNDLED_FOLDER.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 40 * MEGABYTE
    assert (BUNDLED_FOLDER / "README.md").read_text(encoding="utf-8").startswith("---\nlicense: apache-2.0")


@pytest.mark.parametrize("size", [(1200, 630), (1024, 1024)])
def test_covers_come_in_exactly_the_size_asked_for_and_the_same_again(painter, size):
    first = paint(painter, "云原生架构，主体位于右侧，大面积留白", size=size, steps=4)
    assert first.shape == (size[1], size[0], 3)
    assert np.array_equal(first, paint(CoverPainter(), "云原生架构，主体位于右侧，大面积留白", size=size, steps=4))
    assert not np.array_equal(first, paint(painter, "云原生架构，主体位于右侧，大面积留白", size=size, steps=4, seed=2))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_palette_asked_for_is_the_one_painted(painter, language):
    dark = next(palette for palette in PALETTES if palette.is_dark)
    light = next(palette for palette in PALETTES if not palette.is_dark)

    def ask(palette):
        colours = "、".join("#{:02X}{:02X}{:02X}".format(*colour) for colour in palette.colours)
        return f"山峰，配色：{colours}" if language == "zh" else f"mountains, palette {colours}"

    for own, other in ((dark, light), (light, dark)):
        picture = paint(painter, ask(own))
        assert palette_distance(picture, list(own.colours[:2])) < palette_distance(picture, list(other.colours[:2])) / 2


@pytest.mark.parametrize(("prompt", "side"), [("齿轮，主体位于左侧，大面积留白", 0), ("齿轮，主体位于右侧，大面积留白", 1),
                                              ("a clock, on the left, minimal", 0), ("a clock, on the right, minimal", 1)])
def test_the_subject_stands_where_it_is_asked_to(painter, prompt, side):
    edges = np.zeros(2)
    for seed in range(3):
        change = np.abs(np.diff(paint(painter, prompt, seed=seed).astype(int), axis=1)).sum((0, 2))
        edges += [change[:600].sum(), change[600:].sum()]
    assert edges.argmax() == side


@pytest.mark.parametrize(("prompt", "motif", "count"), [
    ("灯塔，主体位于右侧，主色 #2F4A3E", "beacon", 1), ("一枚火箭，金属质感，午夜蓝配色", "rocket", 1),
    ("a coffee cup in the centre, clay, palette #F6E8DD and #B85C38", "cup", 1),
    ("云原生架构的设计思路，on the left", "cloud", 1), ("three gears, on the left, brushed metal", "gear", 3),
    ("两个盾牌，画面中央，玻璃质感", "shield", 2)])
def test_what_is_asked_for_is_what_the_judge_sees(painter, prompt, motif, count):
    found = find(load_judge(), paint(painter, prompt, seed=5))
    assert [(one.motif, one.count) for one in found[:1]] == [(motif, count)]


def test_a_pair_stands_as_it_is_asked_to(painter):
    found = {one.motif: one for one in find(load_judge(), paint(painter, "书在钟表左边，画面中央，主色 #1F4FA3", seed=2))}
    assert found["book"].x < found["clock"].x


def test_weights_are_safetensors_only():
    assert {file.suffix for file in Path(BUNDLED_FOLDER).rglob("*") if file.is_file()} <= {".safetensors", ".json", ".md"}


def test_guidance_is_not_used_and_that_is_said(painter, caplog):
    caplog.set_level("INFO", logger="generator.denoise")
    request = CoverRequest(prompt="齿轮，主体位于左侧", negative="", width=640, height=336, steps=2, guidance=1.0, seed=1,
                           checkpoint=painter.checkpoint)
    plain = painter.generate(request)
    assert not caplog.messages
    assert painter.generate(replace(request, guidance=4.0)).rgb == plain.rgb
    assert caplog.messages == ["guidance 4.0 is not used: this checkpoint paints without"]
