"""Edits on latents: what stays and what is painted. Parity with diffusers is in test_edit_parity.py."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from generator.canvas import Sides
from generator.edit import MAX_VARIANTS, Brush, Editor, anchor_sides
from generator.errors import Cancelled
from generator.masks import (
    create_drawn_mask,
    create_elliptical_mask,
    create_polygonal_mask,
    create_rectangular_mask,
)
from generator.pipeline import CoverPainter
from generator.request import CoverImage, CoverRequest
from tests.generator.editing import Tallied, difference, photo, pixels

TOLERANCE = 1e-4
PROMPT = "云原生架构 illustration 🌙"
QUICK = Brush(steps=2, guidance=1.0)


@pytest.fixture(scope="module")
def painter(pipeline_folder):
    return Tallied(pipeline_folder)


@pytest.fixture
def editor(painter):
    painter.encoded = painter.decoded = painter.drafted = 0
    return Editor(painter)


MASKS = {
    "rectangle": create_rectangular_mask(20, 11, 40, 33),
    "ellipse": create_elliptical_mask(3, 5, 60, 44),
    "polygon": create_polygonal_mask([(5, 5), (90, 20), (40, 70)]),
    "feathered": create_rectangular_mask(20, 11, 40, 33, feather_px=12),
    "inverted": ~create_elliptical_mask(30, 20, 40, 30),
    "corner": create_rectangular_mask(77, 55, 20, 20),
    "pixel": create_rectangular_mask(50, 31, 1, 1),
    "drawn": create_drawn_mask(CoverImage(width=97, height=75, rgb=bytes(
        value for row in range(75) for column in range(97) for value in [max(0, 255 - 9 * abs(column - 48))] * 3))),
}


@pytest.mark.parametrize("name", MASKS)
def test_outside_the_mask_nothing_changes(editor, name):
    mask, master = MASKS[name], photo()
    canvas = editor.open(master)
    edited = editor.inpaint(canvas, mask, PROMPT, QUICK)
    final, report = editor.render(edited)
    alpha = mask.draw(97, 75)
    found = difference(final, master)
    assert found[alpha == 0].max() == 0 == report.outside_max_difference
    assert found[alpha > 0].max() > 0
    assert report.painted_share == pytest.approx((alpha > 0).mean())
    free = canvas.latent_mask(canvas.alpha(mask))
    assert torch.equal(edited.latents[:, :, free[0, 0] == 0], canvas.latents[:, :, free[0, 0] == 0])
    assert (edited.latents != canvas.latents)[:, :, free[0, 0] == 1].all()


def test_latents_are_free_where_they_have_a_part_in_the_mask(editor):
    canvas = editor.open(photo())
    assert canvas.latents.shape == (1, 4, 10, 14)

    def free(*box):
        return canvas.latent_mask(canvas.alpha(create_rectangular_mask(*box)))[0, 0].nonzero().tolist()

    assert free(16, 24, 8, 8) == [[3, 2]]
    assert free(15, 24, 9, 8) == [[3, 1], [3, 2]]
    assert free(16, 24, 8, 9) == [[3, 2], [4, 2]]
    assert free(96, 74, 1, 1) == [[9, 12], [9, 13]]  # beyond the picture's border the latents go with it


def test_a_chain_of_edits_is_decoded_once_and_never_encoded_again(editor):
    master = photo()
    canvas = editor.open(master)
    first = editor.inpaint(canvas, MASKS["rectangle"], PROMPT, QUICK)
    second = editor.inpaint(first, MASKS["ellipse"], "齿轮", replace(QUICK, seed=1))
    third = editor.inpaint(second, MASKS["feathered"], "gear", replace(QUICK, seed=2, strength=0.5))
    final, report = editor.render(third)
    assert (editor.painter.encoded, editor.painter.decoded, editor.painter.drafted) == (1, 1, 3)
    union = np.maximum(MASKS["rectangle"].draw(97, 75), MASKS["ellipse"].draw(97, 75)) > 0
    assert difference(final, master)[~union].max() == 0 == report.outside_max_difference
    kept = canvas.latent_mask(torch.from_numpy(union))[0, 0] == 0
    assert torch.equal(third.latents[:, :, kept], canvas.latents[:, :, kept])


def test_an_edit_leaves_the_canvas_it_started_from(editor):
    canvas = editor.open(photo())
    editor.outpaint(editor.inpaint(canvas, MASKS["ellipse"], PROMPT, QUICK), Sides(left=9), PROMPT, QUICK)
    final, report = editor.render(canvas)
    assert final == photo()
    assert (report.painted_share, report.outside_max_difference, report.seam_gradient_ratio) == (0, 0, None)


def test_the_same_seed_paints_the_same(editor):
    canvas = editor.open(photo())
    first, again, other = (editor.inpaint(canvas, MASKS["ellipse"], PROMPT, replace(QUICK, seed=seed)) for seed in (4, 4, 5))
    assert torch.equal(first.latents, again.latents)
    assert not torch.equal(first.latents, other.latents)


def test_a_full_mask_is_text_to_image(editor):
    canvas, brush = editor.open(photo()), replace(QUICK, seed=3)
    edited = editor.inpaint(canvas, create_rectangular_mask(0, 0, 97, 75), PROMPT, brush)
    request = CoverRequest(prompt=PROMPT, negative="", width=97, height=75, steps=2, guidance=1.0, seed=3,
                           checkpoint=editor.painter.checkpoint)
    plain, = editor.painter.sample([editor.painter.draft(request)], request.checkpoint)
    torch.testing.assert_close(edited.latents, plain, atol=TOLERANCE, rtol=0)
    assert editor.render(edited)[1].outside_max_difference is None
    assert editor.render(edited)[1].seam_gradient_ratio is None


# Outpainting.

@pytest.mark.parametrize("amount", [1, 7, 16, 333])
@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_outpainting_keeps_the_picture_at_its_place(editor, side, amount):
    master, sides = photo(), Sides(**{side: amount})
    canvas = editor.open(master)
    grown = editor.outpaint(canvas, sides, PROMPT, QUICK)
    final, report = editor.render(grown)
    assert (final.width, final.height) == (97 + sides.left + sides.right, 75 + sides.top + sides.bottom)
    assert np.array_equal(pixels(final)[sides.top:sides.top + 75, sides.left:sides.left + 97], pixels(master))
    assert report.outside_max_difference == 0
    assert report.painted_share == pytest.approx(1 - 97 * 75 / (final.width * final.height))
    down, right = (grown.top + sides.top) // 8, (grown.left + sides.left) // 8
    assert ((grown.top + sides.top) % 8, (grown.left + sides.left) % 8) == (0, 0)
    assert torch.equal(grown.latents[:, :, down:down + 9, right:right + 12], canvas.latents[:, :, :9, :12])
    token = 16
    assert grown.grid == (-(-(grown.top + final.height) // token), -(-(grown.left + final.width) // token))


def test_outpainting_can_be_repeated(editor):
    master = photo()
    canvas = editor.open(master)
    once = editor.outpaint(canvas, Sides(left=7, bottom=20), PROMPT, QUICK)
    twice = editor.outpaint(once, Sides(left=30, top=5, right=1), "齿轮", replace(QUICK, seed=1))
    thrice = editor.inpaint(twice, create_rectangular_mask(0, 0, 60, 40), "gear", QUICK)
    final, report = editor.render(thrice)
    assert (final.width, final.height) == (97 + 38, 75 + 25)
    kept = np.zeros((100, 135), bool)
    kept[5:80, 37:134] = True
    kept[0:40, 0:60] = False
    old = np.zeros((100, 135, 3), int)
    old[5:80, 37:134] = pixels(master)
    assert np.abs(pixels(final) - old)[kept].max() == 0 == report.outside_max_difference
    assert (editor.painter.encoded, editor.painter.decoded) == (1, 1)
    first = once.latents[:, :, :, :]
    again = twice.latents[:, :, twice.latents.shape[2] - first.shape[2]:, (twice.left + 30 - once.left) // 8:]
    assert torch.equal(again[:, :, 2:9, 2:12], first[:, :, 2:9, 2:12])


def test_margins_that_are_there_are_used_first(editor):
    """97x75 px lie on 112x80 px of latents: fifteen more at the right need no new ones."""
    canvas = editor.open(photo())
    assert editor.outpaint(canvas, Sides(right=15, bottom=5), PROMPT, QUICK).latents.shape == canvas.latents.shape
    assert editor.outpaint(canvas, Sides(right=16), PROMPT, QUICK).grid == (5, 8)
    left = editor.outpaint(canvas, Sides(left=9), PROMPT, QUICK)
    assert (left.grid, left.left) == ((5, 8), 7)
    assert editor.outpaint(left, Sides(left=7), PROMPT, QUICK).grid == (5, 8)


@pytest.mark.parametrize(("anchor", "sides"), [
    ("center", Sides(left=5, right=6, top=10, bottom=10)), ("left", Sides(right=11, top=10, bottom=10)),
    ("right", Sides(left=11, top=10, bottom=10)), ("top", Sides(left=5, right=6, bottom=20)),
    ("bottom", Sides(left=5, right=6, top=20)),
])
def test_anchors_keep_their_border(anchor, sides):
    assert anchor_sides((100, 80), (111, 100), anchor) == sides


@pytest.mark.parametrize(("call", "message"), [
    (lambda: anchor_sides((100, 80), (99, 200), "center"),
     "outpaint: to 99x200 px, but the picture is 100x80; neither side can shrink"),
    (lambda: anchor_sides((100, 80), (200, 200), "middle"),
     "anchor: 'middle' is not one of left, center, right, top, bottom"),
    (lambda: Sides(left=-1, top=2), "outpaint: sides -1,2,0,0 must not be negative"),
])
def test_sides_that_cannot_grow(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(("sides", "brush", "message"), [
    (Sides(), QUICK, "outpaint: no side is to grow"),
    (Sides(right=16384 - 97), QUICK, "size: width is 16384 px; it must be from 64 to 4096"),
    (Sides(top=4096), QUICK, "size: height is 4171 px; it must be from 64 to 4096"),
    (Sides(top=9), replace(QUICK, strength=0.5), "outpaint: strength is 0.5; it must be 1, for nothing is there to start from"),
])
def test_outpainting_that_cannot_be(editor, sides, brush, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        editor.outpaint(editor.open(photo()), sides, PROMPT, brush)
    assert editor.painter.drafted == 0


# Image to image.

def test_less_strength_stays_nearer(editor):
    canvas = editor.open(photo())
    brushes = [Brush(steps=10, guidance=1.0, strength=strength) for strength in (0.1, 0.3, 0.5, 0.7, 1.0)]
    far = [float((editor.img2img(canvas, PROMPT, brush).latents - canvas.latents).square().mean()) for brush in brushes]
    assert all(before < after for before, after in pairwise(far))


def test_full_strength_is_text_to_image(editor):
    canvas = editor.open(photo())
    edited = editor.img2img(canvas, PROMPT, Brush(steps=3, guidance=2.0, seed=8, negative="文字"))
    request = CoverRequest(prompt=PROMPT, negative="文字", width=97, height=75, steps=3, guidance=2.0, seed=8,
                           checkpoint=editor.painter.checkpoint)
    plain, = editor.painter.sample([editor.painter.draft(request)], request.checkpoint)
    assert torch.equal(edited.latents, plain)
    assert editor.render(edited)[1].painted_share == 1


# Variants.

LEFT, RIGHT = create_rectangular_mask(0, 0, 30, 75), create_rectangular_mask(60, 0, 37, 75)


def test_variants_are_all_combinations_each_prompt_painted_once(editor):
    master = photo()
    canvas = editor.open(master)
    found = editor.variants(canvas, {LEFT: ["red", "blue", "green"], RIGHT: ["红", "蓝"]}, QUICK)
    assert [variant.prompts for variant in found] == [
        (left, right) for left in ("red", "blue", "green") for right in ("红", "蓝")]
    assert (editor.painter.encoded, editor.painter.drafted) == (1, 5)
    free = [canvas.latent_mask(canvas.alpha(mask))[0, 0] == 1 for mask in (LEFT, RIGHT)]
    for one in found:
        for other in found:
            for place in (0, 1):
                is_same = torch.equal(one.canvas.latents[:, :, free[place]], other.canvas.latents[:, :, free[place]])
                assert is_same == (one.prompts[place] == other.prompts[place])
    for variant in found:
        final, report = editor.render(variant.canvas)
        assert difference(final, master)[:, 30:60].max() == 0 == report.outside_max_difference


def test_variants_can_be_chosen(editor):
    canvas = editor.open(photo())
    found = editor.variants(canvas, {LEFT: ["red", "blue", "green"], RIGHT: ["红", "蓝"]}, QUICK, [(2, 1), (0, 1)])
    assert [variant.prompts for variant in found] == [("green", "蓝"), ("red", "蓝")]
    assert editor.painter.drafted == 3


def test_a_prompt_that_is_named_twice_is_painted_once(editor):
    found = editor.variants(editor.open(photo()), {LEFT: ["red", "red"]}, QUICK)
    assert editor.painter.drafted == 1
    assert torch.equal(found[0].canvas.latents, found[1].canvas.latents)


@pytest.mark.parametrize("max_batch", [1, 3])
def test_a_variant_is_what_inpainting_alone_gives(pipeline_folder, max_batch):
    from generator.options import ModelOptions

    editor = Editor(CoverPainter(pipeline_folder, ModelOptions(max_batch=max_batch)))
    canvas, brush, prompts = editor.open(photo()), Brush(steps=3, guidance=4.0, seed=6), ["red", "一片蓝色的海", "🌙"]
    found = editor.variants(canvas, {MASKS["ellipse"]: prompts}, brush)
    for variant, prompt in zip(found, prompts, strict=True):
        alone = editor.inpaint(canvas, MASKS["ellipse"], prompt, brush)
        torch.testing.assert_close(variant.canvas.latents, alone.latents, atol=1e-5, rtol=0)
        assert difference(editor.render(variant.canvas)[0], editor.render(alone)[0]).max() <= 1


def test_the_later_mask_lies_on_top(editor):
    canvas = editor.open(photo())
    both, = editor.variants(canvas, {MASKS["rectangle"]: ["red"], MASKS["ellipse"]: ["blue"]}, QUICK)
    alone = editor.inpaint(canvas, MASKS["ellipse"], "blue", QUICK)
    top = canvas.latent_mask(canvas.alpha(MASKS["ellipse"]))[0, 0] == 1
    torch.testing.assert_close(both.canvas.latents[:, :, top], alone.latents[:, :, top], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("prompts", "choices", "message"), [
    ({}, None, "variants: there is no mask; give at least one"),
    ({LEFT: []}, None, "variants: 0 pictures; there must be from 1 to 256"),
    ({LEFT: ["red"]}, [], "variants: 0 pictures; there must be from 1 to 256"),
    ({LEFT: ["red"] * 16, RIGHT: ["blue"] * 17}, None, "variants: 272 pictures; there must be from 1 to 256"),
    ({LEFT: ["red"]}, [(0,)] * (MAX_VARIANTS + 1), "variants: 257 pictures; there must be from 1 to 256"),
    ({create_rectangular_mask(place, 0, 1, 1): ["red"] * 1000 for place in range(16)}, None, "pictures; there must be from 1 to"),
    ({LEFT: ["red"], RIGHT: ["blue"]}, [(0, 0), (0, 1)], "variants: [0, 1] must name one prompt of each of the 2 masks"),
    ({LEFT: ["red"], RIGHT: ["blue"]}, [(0, -1)], "variants: [0, -1] must name one prompt of each of the 2 masks"),
    ({LEFT: ["red"], RIGHT: ["blue"]}, [(0,)], "variants: [0] must name one prompt of each of the 2 masks, counting from 0"),
    ({LEFT: ["red", " "]}, None, "prompt: it is empty"),
])
def test_variants_that_cannot_be(editor, prompts, choices, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        editor.variants(editor.open(photo()), prompts, QUICK, choices)
    assert editor.painter.drafted == 0


# What is asked.

@pytest.mark.parametrize("prompt", ["🌊🚀✨", "云" * 2000, "{}<|im_end|>"])
def test_odd_prompts_are_painted(editor, prompt):
    final, report = editor.render(editor.inpaint(editor.open(photo()), MASKS["ellipse"], prompt, QUICK))
    assert report.outside_max_difference == 0
    assert final != photo()


@pytest.mark.parametrize(("prompt", "changes", "message"), [
    ("云" * 2001, {}, "prompt: it has 2001 characters; at most 2000 are allowed"),
    (" \n", {}, "prompt: it is empty"),
    ("red", {"negative": "x" * 2001}, "negative: it has 2001 characters; at most 2000 are allowed"),
    ("red", {"steps": 0}, "steps: 0 is not from 1 to 200"),
    ("red", {"steps": 201}, "steps: 201 is not from 1 to 200"),
    ("red", {"guidance": 0.5}, "guidance: 0.5 is not from 1 to 30"),
    ("red", {"guidance": float("nan")}, "guidance: nan is not from 1 to 30"),
    ("red", {"seed": -1}, "seed: -1 is not from 0 to 2**63-1"),
    ("red", {"seed": 2**63}, "is not from 0 to 2**63-1"),
    ("red", {"strength": 0.0}, "strength: 0.0 is not above 0 and at most 1"),
    ("red", {"strength": 1.1}, "strength: 1.1 is not above 0 and at most 1"),
    ("red", {"strength": float("nan")}, "strength: nan is not above 0 and at most 1"),
])
def test_what_cannot_be_painted_names_the_value_and_the_rule(editor, prompt, changes, message):
    canvas = editor.open(photo())
    with pytest.raises(ValueError, match=re.escape(message)):
        editor.inpaint(canvas, MASKS["ellipse"], prompt, replace(QUICK, **changes))
    with pytest.raises(ValueError, match=re.escape(message)):
        editor.img2img(canvas, prompt, replace(QUICK, **changes))
    assert editor.painter.drafted == 0


@pytest.mark.parametrize(("size", "message"), [
    ((63, 64), "size: width is 63 px; it must be from 64 to 4096"),
    ((64, 4097), "size: height is 4097 px; it must be from 64 to 4096"),
    ((0, 64), "size: width is 0 px; it must be from 64 to 4096"),
    ((16384, 1), "size: width is 16384 px; it must be from 64 to 4096"),
])
def test_pictures_of_another_size_cannot_be_opened(editor, size, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        editor.open(CoverImage(width=size[0], height=size[1], rgb=bytes(size[0] * size[1] * 3)))
    assert editor.painter.encoded == 0


def test_a_mask_for_another_picture_is_refused(editor):
    canvas = editor.open(photo(64, 64))
    with pytest.raises(ValueError, match=r"rectangle: 20,40,40,33 .* is not within the picture of 64x64 px"):
        editor.inpaint(canvas, create_rectangular_mask(20, 40, 40, 33), PROMPT, QUICK)


def test_an_edit_tells_its_progress_and_can_be_stopped(editor):
    steps, canvas = [], editor.open(photo())
    editor.inpaint(canvas, MASKS["ellipse"], PROMPT, replace(QUICK, steps=4, progress=lambda *step: steps.append(step)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    steps.clear()
    brush = replace(QUICK, steps=4, progress=lambda *step: steps.append(step), cancelled=lambda: len(steps) == 2)
    for edit in (lambda: editor.inpaint(canvas, MASKS["ellipse"], PROMPT, brush),
                 lambda: editor.outpaint(canvas, Sides(left=9), PROMPT, brush),
                 lambda: editor.variants(canvas, {MASKS["ellipse"]: ["red"]}, brush),
                 lambda: editor.img2img(canvas, PROMPT, brush)):
        steps.clear()
        with pytest.raises(Cancelled):
            edit()
        assert len(steps) == 2


# New pictures keep their latents.

def test_a_painted_canvas_is_the_generated_picture_and_needs_no_encoding(editor):
    request = CoverRequest(prompt=PROMPT, negative="", width=100, height=70, steps=2, guidance=1.0, seed=3,
                           checkpoint=editor.painter.checkpoint)
    canvas = editor.paint(request)
    picture = editor.painter.generate(request)
    assert editor.render(canvas)[0] == picture
    final, report = editor.render(editor.inpaint(canvas, create_rectangular_mask(30, 20, 30, 30), PROMPT, QUICK))
    assert editor.painter.encoded == 0
    found = difference(final, picture)
    assert found[20:50, 30:60].max() > 0 == report.outside_max_difference
    found[20:50, 30:60] = 0
    assert found.max() == 0
    with pytest.raises(ValueError, match="checkpoint: the request asks for 'another'"):
        editor.paint(replace(request, checkpoint="another"))
