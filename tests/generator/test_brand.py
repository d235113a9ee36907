"""Brand LoRAs: they learn, their file means the same to our loader and to diffusers, and the checkpoint stays as it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from generator.checkpoint import load_transformer
from generator.errors import GeneratorError
from generator.lora import load_lora
from generator.options import ModelOptions
from generator.pipeline import CoverPainter, fit
from generator.request import CoverImage
from generator.revision import revision
from generator.scene_code import CHOICES, COLOURS, code_choices, code_scenes, not_said
from generator.training.brand import BrandPlan, learn_brand, split_lessons
from generator.training.brand_distance import describe, palette_distance, style_distance, take_view
from generator.training.brand_example import choose_motifs, draw_brand
from generator.training.brand_lessons import (
    LOOK_STATES,
    ApprovedCover,
    find_seed,
    lay_on_canvas,
    leave_out_look,
    make_lesson,
    paint_priors,
    silence,
)
from generator.training.brand_lora import attach_sides, is_ours, write_sides
from tests.generator.tiny_bundled import write_tiny_bundled

TOLERANCE = 1e-5
PLAN = BrandPlan(minutes=0.04, rank=4, batch=4)
RED, BLUE = (200, 40, 60), (20, 30, 190)


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """Without grounding, as the first weights."""
    return write_tiny_bundled(tmp_path_factory.mktemp("tiny") / "tiny", settings={})


@pytest.fixture(scope="module")
def grounded(tmp_path_factory):
    return write_tiny_bundled(tmp_path_factory.mktemp("tiny") / "grounded")


def draw(number, ground=RED, width=128, height=64):
    picture = np.full((height, width, 3), ground, np.uint8)
    picture[16:48, 16 * number:16 * number + 24] = (20, 30, 90)
    return CoverImage(width=width, height=height, rgb=picture.tobytes())


def make_lessons(folder, count=6, prompt="云 cloud"):
    painter = CoverPainter(folder)
    return [make_lesson(painter, ApprovedCover(picture=draw(number), prompt=prompt)) for number in range(count)]


@pytest.fixture(params=["bundled", "grounded", "pipeline_folder"])
def checkpoint(request):
    return request.getfixturevalue(request.param)


def test_the_loss_falls_and_the_checkpoint_stays_as_it_is(checkpoint):
    before, heard = revision(checkpoint), []
    learned = learn_brand(checkpoint, ModelOptions(), make_lessons(checkpoint), [], PLAN, heard.append)
    assert learned.is_whole
    assert learned.held_out_after < learned.held_out_before
    assert learned.steps == len(heard) > 3
    assert heard[-1].share == 1
    assert revision(checkpoint) == before


def inputs(network):
    generator = torch.Generator().manual_seed(7)
    return (torch.randn(1, 12, network.config.in_channels, generator=generator),
            torch.randn(1, 5, network.config.joint_attention_dim, generator=generator), torch.tensor([0.6]))


def shaken(folder):
    """A transformer with sides that do something, and their file's content."""
    network, rng = load_transformer(folder / "transformer", is_compiled=True), torch.Generator().manual_seed(1)
    sides = attach_sides(network, 3, rng)
    with torch.no_grad():
        for side in sides:
            side.up.copy_(torch.randn(side.up.shape, generator=rng) * 0.3)
    return network, write_sides(sides)


@torch.no_grad()
def velocity(network):
    img, txt, sigma = inputs(network)
    rng = torch.Generator().manual_seed(8)
    shown = torch.randint(0, 33, (1, 12, 3), generator=rng) if network.config.shown_rows else None
    return network(img, txt, sigma, grid=(3, 4), shown=shown)


def test_the_file_gives_the_velocity_of_the_network_it_was_learned_in(checkpoint, tmp_path):
    trained, content = shaken(checkpoint)
    file = tmp_path / "brand.safetensors"
    file.write_bytes(content)
    merged = load_transformer(checkpoint / "transformer", merge=[load_lora(file)])
    torch.testing.assert_close(velocity(merged), velocity(trained), atol=TOLERANCE, rtol=0)
    assert (velocity(load_transformer(checkpoint / "transformer")) - velocity(trained)).abs().max() > 1e-2
    assert is_ours(file)


def test_diffusers_reads_the_file_as_we_do(reference_pipeline, pipeline_folder, tmp_path):
    trained, content = shaken(pipeline_folder)
    (tmp_path / "brand.safetensors").write_bytes(content)
    img, txt, sigma = inputs(trained)
    reference_pipeline.load_lora_weights(str(tmp_path), weight_name="brand.safetensors")
    try:
        with torch.no_grad():
            theirs = reference_pipeline.transformer(hidden_states=img, encoder_hidden_states=txt, timestep=sigma,
                                                    img_shapes=[[(1, 3, 4)]], return_dict=False)[0]
    finally:
        reference_pipeline.unload_lora_weights()
    torch.testing.assert_close(velocity(trained), theirs, atol=TOLERANCE, rtol=0)


def test_fresh_sides_change_nothing(bundled):
    network = load_transformer(bundled / "transformer", is_compiled=True)
    plain = velocity(network)
    attach_sides(network, 4, torch.Generator().manual_seed(0))
    assert torch.equal(velocity(network), plain)


def test_ctrl_c_keeps_what_was_learned(bundled):
    def stop(standing):
        if standing.step == 8:
            raise KeyboardInterrupt

    learned = learn_brand(bundled, ModelOptions(), make_lessons(bundled), [], replace(PLAN, minutes=60), stop)
    assert not learned.is_whole
    assert learned.steps == 8
    assert learned.held_out_after < learned.held_out_before
    assert learned.file


def test_float8_is_refused(bundled):
    with pytest.raises(GeneratorError, match="float8"):
        learn_brand(bundled, ModelOptions(precision="float8"), make_lessons(bundled, 2), [], PLAN)


def test_one_in_six_is_held_out_and_never_learned_from(bundled):
    lessons = make_lessons(bundled, 12)
    learned, held = split_lessons(lessons, 0)
    assert (len(learned), len(held)) == (10, 2)
    assert {id(lesson) for lesson in learned + held} == {id(lesson) for lesson in lessons}


def test_a_lesson_lies_where_the_painter_would_crop_it_from(bundled):
    picture = draw(2, width=120, height=63)
    pixels, edge = lay_on_canvas(picture, 1280, 640)
    assert edge == (30, 0)
    back = np.frombuffer(fit(pixels, 120, 63).rgb, np.uint8).astype(int)
    assert np.abs(back - np.frombuffer(picture.rgb, np.uint8)).mean() < 3


def test_tokens_beyond_the_picture_do_not_count(grounded):
    painter = CoverPainter(grounded)
    lesson = make_lesson(painter, ApprovedCover(picture=draw(1, width=150, height=80), prompt=""))
    inside = lesson.inside.reshape(lesson.grid)
    assert lesson.grid == (10, 20)
    assert inside[:, 1:-1].all()
    assert not inside[:, 0].any()
    assert not inside[:, -1].any()


def test_bare_prompts_of_a_grounded_checkpoint_leave_the_look_to_the_seed(grounded):
    lesson, = make_lessons(grounded, 1)
    assert lesson.bare.shown is not None
    parts, said = CoverPainter(grounded).parts, torch.zeros(1, len(CHOICES), dtype=torch.long)
    states = code_scenes(said, torch.full((1, COLOURS, 3), 0.3), torch.ones(1, COLOURS, dtype=torch.bool))[0]
    full, first, second = (parts.ground(one, (10, 20), seed).states
                           for one, seed in ((states, 1), (silence(states), 1), (silence(states), 2)))
    rows, others = list(LOOK_STATES), [row for row in range(len(CHOICES)) if row not in LOOK_STATES]
    assert not torch.equal(first[rows], full[rows])
    assert not torch.equal(first[rows], second[rows])
    assert torch.equal(first[others], full[others])


@pytest.mark.parametrize("place", ["left", "right"])
def test_a_prompt_without_a_place_is_grounded_where_the_picture_shows_something(grounded, place):
    parts, grid = CoverPainter(grounded).parts, (10, 20)
    states = not_said()
    states[0] = code_choices(torch.tensor([[3, *(count for _, count in CHOICES[1:])]]))[0, 0]
    clean = torch.zeros(*grid, 16)
    clean[1:9, slice(1, 9) if place == "left" else slice(11, 19)] = 1
    shown = parts.ground(states, grid, find_seed(parts, states, grid, clean.flatten(0, 1))).shown[:, 1:].any(-1).reshape(grid)
    half = shown[:, :10] if place == "left" else shown[:, 10:]
    assert half.sum() == shown.sum() == 64


@pytest.mark.parametrize(("prompt", "bare"), [
    ("极简封面。主题：山。配色：雾蓝 #7F9BB0、米白 #F4EFE4，浅色调。质感：纸。无文字。", "极简封面。主题：山。无文字。"),
    ("A mountain, palette #7F9BB0, subject on the left", "A mountain, subject on the left"),
    ("灯塔入门", "灯塔入门"), ("main color #112233", "")])
def test_what_speaks_of_the_look_is_left_out_of_a_text(prompt, bare):
    assert leave_out_look(prompt) == bare


def test_priors_are_what_the_checkpoint_paints_as_far_as_time_goes(bundled):
    lessons = make_lessons(bundled, 2)
    assert paint_priors(CoverPainter(bundled), lessons, 0.0, 0) == []
    prior, *_ = paint_priors(CoverPainter(bundled), lessons, 0.001, 0)
    assert prior.clean.shape == lessons[0].clean.shape
    assert prior.grid == lessons[0].grid


def test_the_example_brand_names_topics_only_and_is_the_same_each_time():
    covers = draw_brand()
    assert len(covers) == 24
    assert all(leave_out_look(cover.prompt) == cover.prompt for cover in covers)
    assert len({cover.prompt for cover in covers}) == 24
    assert [cover.picture.rgb for cover in covers[:3]] == [cover.picture.rgb for cover in draw_brand()[:3]]
    known, new = choose_motifs()
    assert not set(known) & set(new)


def stripes(ground, other):
    picture = np.full((96, 160, 3), ground, np.uint8)
    picture[:, ::8] = picture[:, 1::8] = picture[:, 2::8] = other
    return CoverImage(width=160, height=96, rgb=picture.tobytes())


def test_palette_and_style_are_told_apart():
    brand = describe([take_view(draw(number, width=160, height=96)) for number in range(4)])
    recoloured = describe([take_view(draw(number, ground=(40, 160, 80), width=160, height=96)) for number in range(4)])
    redrawn = describe([take_view(stripes(RED, (20, 30, 90)))] * 4)
    assert palette_distance(brand, brand) < 0.5 * palette_distance(redrawn, brand) + 3
    assert palette_distance(recoloured, brand) > 2 * palette_distance(brand, brand) + 3
    assert style_distance(brand, brand) < 1e-3
    assert style_distance(redrawn, brand) > 3 * style_distance(recoloured, brand)
