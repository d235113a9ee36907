"""Brand LoRAs: they learn, their file means the same to our loader and to diffusers, and the checkpoint stays as it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from generator.checkpoint import load_transformer
from generator.errors import CheckpointError, GeneratorError
from generator.house import HOUSE_KEY, MOST_OFFSET, House, read_house
from generator.lora import load_lora
from generator.options import LoraFile, ModelOptions
from generator.pipeline import CoverPainter, fit
from generator.prior import Belief
from generator.request import CoverImage
from generator.revision import revision
from generator.scene_code import CHOICES, COLOURS, code_choices, code_scenes, not_said, read_choices, read_colours
from generator.studio.palettes import Palette, mix
from generator.training.brand import BrandPlan, learn_brand, split_lessons
from generator.training.brand_distance import describe, palette_distance, style_distance, take_view
from generator.training.brand_example import PALETTE, STRIPE, choose_motifs, draw_brand
from generator.training.brand_house import find_house, find_offset, find_palette
from generator.training.brand_lessons import (
    LOOK_STATES,
    ApprovedCover,
    Sketch,
    find_seed,
    lay_on_canvas,
    leave_out_look,
    make_lesson,
    make_sketch,
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
    sketches = [make_sketch(painter, ApprovedCover(picture=draw(number), prompt=prompt)) for number in range(count)]
    return [make_lesson(painter, sketch) for sketch in sketches]


@pytest.fixture(params=["bundled", "grounded", "pipeline_folder"])
def checkpoint(request):
    return request.getfixturevalue(request.param)


def test_the_loss_falls_and_the_checkpoint_stays_as_it_is(checkpoint):
    before, heard = revision(checkpoint), []
    plan = replace(PLAN, minutes=0.15)  # on a busy machine a few seconds are three steps, which teach nothing yet
    learned = learn_brand(checkpoint, ModelOptions(), make_lessons(checkpoint), [], plan, heard.append)
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
    lesson = make_lesson(painter, make_sketch(painter, ApprovedCover(picture=draw(1, width=150, height=80), prompt="")))
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


class Expecting(torch.nn.Module):
    """A prior that expects ones where a subject stands, and zeros elsewhere."""

    def forward(self, shown, pooled):
        mean = (shown[..., 2:] > 0).float().expand(-1, -1, 16)
        return Belief(mean, torch.ones_like(mean))


@pytest.mark.parametrize("place", ["left", "right"])
def test_a_prompt_without_a_place_is_grounded_where_the_picture_shows_something(grounded, place):
    parts, grid = CoverPainter(grounded).parts, (10, 20)
    parts.transformer().prior = Expecting()
    clean = torch.zeros(*grid, 16)
    clean[1:9, slice(1, 9) if place == "left" else slice(11, 19)] = 1
    sketch = Sketch(clean=clean.flatten(0, 1), inside=torch.ones(200), grid=grid, prompt="云", states=name_motif(3))
    seed, distance = find_seed(parts, sketch, None)
    shown = parts.ground(sketch.states, grid, seed).shown[:, 2].gt(0).reshape(grid)
    half = shown[:, :10] if place == "left" else shown[:, 10:]
    assert half.sum() == shown.sum() == 64
    assert distance == 0


@pytest.mark.parametrize(("top", "left"), [(0, 1), (2, 2), (2, 10), (0, 11)])
def test_a_cover_whose_seed_moved_its_subject_is_grounded_where_that_stands(grounded, top, left):
    parts, grid = CoverPainter(grounded).parts, (10, 20)
    parts.transformer().prior = Expecting()
    clean = torch.zeros(*grid, 16)
    clean[top:top + 8, left:left + 8] = 1
    sketch = Sketch(clean=clean.flatten(0, 1), inside=torch.ones(200), grid=grid, prompt="云", states=name_motif(3))
    seed, distance = find_seed(parts, sketch, None)
    assert parts.ground(sketch.states, grid, seed).shown[:, 2].gt(0).reshape(grid)[top:top + 8, left:left + 8].all()
    assert distance == 0


def name_motif(number):
    """The states of a prompt that names a motif and nothing else."""
    states = not_said()
    states[0] = code_choices(torch.tensor([[number, *(count for _, count in CHOICES[1:])]]))[0, 0]
    return states


HOUSE = House(palette=Palette(background=(10, 20, 30), main=(200, 40, 60), accents=((1, 2, 3),)), choices={"material": 2},
              offset=(1.0, 0.0, 0.5))


def test_a_house_says_what_a_prompt_leaves_open_and_nothing_else(grounded):
    parts = CoverPainter(grounded).parts
    for seed in range(8):
        told = parts.ground(name_motif(3), (10, 20), seed, house=HOUSE).states
        assert read_choices(told)["material"] == 2
        assert read_colours(told)[:2] == [(10, 20, 30), (200, 40, 60)]
    numbers, white = torch.tensor([[3, 48, 0, 0, 0, 4, 0]]), torch.ones(1, COLOURS, 3)
    said, asked = code_choices(numbers)[0], code_scenes(numbers, white, white[..., 0] > 0)
    told = parts.ground(asked[0], (10, 20), 1, house=HOUSE).states
    assert read_choices(told)["material"] == 4
    assert read_colours(told)[0] == (255, 255, 255)
    assert torch.equal(told[:len(said)], said)


class Preferring(torch.nn.Module):
    """A prior that expects noughts of one material, and ones of the others."""

    def __init__(self, number):
        super().__init__()
        self.column = sum(count + 1 for _, count in CHOICES[:5]) + number

    def forward(self, shown, pooled):
        mean = (1 - pooled[:, None, self.column:self.column + 1]).expand(-1, shown.shape[1], 16)
        return Belief(mean, torch.ones_like(mean))


@pytest.mark.parametrize("material", range(5))
def test_a_house_has_the_material_that_its_covers_are_expected_in(grounded, material):
    parts, silent = CoverPainter(grounded).parts, name_motif(3)
    silent[5] = code_choices(torch.tensor([[3, 48, 0, 0, 0, 0, 0]]))[0, 5]  # paper: how silence is read
    parts.transformer().prior = Preferring(material)
    cover = {"clean": torch.zeros(200, 16), "inside": torch.ones(200), "grid": (10, 20), "prompt": "云"}
    house = find_house(parts, [Sketch(**cover, states=silent), Sketch(**cover, states=not_said())], HOUSE.palette)
    assert house.choices["material"] == material
    assert find_house(parts, [Sketch(**cover, states=not_said())], HOUSE.palette).choices == {}


def test_what_is_read_where_a_prompt_is_silent_is_left_to_the_house(grounded):
    parts = CoverPainter(grounded).parts
    for said, painted in ((0, 2), (4, 4)):
        states = code_choices(torch.tensor([[3, 48, 0, 0, 0, said, 0]]))[0]
        told = parts.ground(torch.cat([states, not_said()[len(CHOICES):]]), (10, 20), 1, house=HOUSE).states
        assert read_choices(told)["material"] == painted


def test_a_weak_lora_is_less_unsure_and_one_of_no_weight_has_no_house(grounded, tmp_path):
    network = load_transformer(grounded / "transformer", is_compiled=True)
    file = tmp_path / "ours.safetensors"
    file.write_bytes(write_sides(attach_sides(network, 3, torch.Generator().manual_seed(1)), HOUSE))
    half, none = (CoverPainter(grounded, ModelOptions(loras=(LoraFile(file=file, weight=weight),))).parts.house()
                  for weight in (0.5, 0.0))
    assert half == replace(HOUSE, offset=(0.5, 0.0, 0.25))
    assert none is None


def test_a_house_comes_back_from_the_file_and_acts_with_its_lora(grounded, tmp_path):
    network = load_transformer(grounded / "transformer", is_compiled=True)
    sides = attach_sides(network, 3, torch.Generator().manual_seed(1))
    file, plain = tmp_path / "ours.safetensors", tmp_path / "plain.safetensors"
    file.write_bytes(write_sides(sides, HOUSE))
    plain.write_bytes(write_sides(sides))
    assert read_house(file) == HOUSE
    assert read_house(plain) is None
    assert load_lora(file).parts.keys() == load_lora(plain).parts.keys()
    merged = CoverPainter(grounded, ModelOptions(loras=(LoraFile(file=file), LoraFile(file=plain)))).parts
    assert merged.house() == HOUSE
    assert merged.transformer().prior.offset == HOUSE.offset
    switched = CoverPainter(grounded, ModelOptions(loras=(LoraFile(file=file), LoraFile(file=plain)), switch_loras=True)).parts
    assert [switched.house(name) for name in (None, "ours", "plain")] == [None, HOUSE, None]
    assert [switched.transformer(name).prior.offset for name in ("ours", None)] == [HOUSE.offset, (0.0, 0.0, 0.0)]


@pytest.mark.parametrize(("told", "rule"), [
    ("[]", "house"), ("{", "house"), ('{"palette": ["#12"], "choices": {}, "offset": [0, 0, 0]}', "#RRGGBB"),
    ('{"palette": ["#121212", "#343434"], "choices": {}, "offset": [0, 0, 0]}', "3 to 5"),
    ('{"palette": ["#121212", "#343434", "#565656"], "choices": {"motif": 1}, "offset": [0, 0, 0]}', "motif"),
    ('{"palette": ["#121212", "#343434", "#565656"], "choices": {"material": 5}, "offset": [0, 0, 0]}', "material is 5"),
    ('{"palette": ["#121212", "#343434", "#565656"], "choices": {}, "offset": [0, 0, 99]}', "offset"),
    ('{"palette": ["#121212", "#343434", "#565656"], "choices": {}, "offset": [NaN, 0, 0]}', "offset"),
    ('{"palette": ["#121212", "#343434", "#565656"], "choices": {"material": 2.7}, "offset": [0, 0, 0]}', "whole number"),
    ('{"palette": ["#121212", "#343434", "#565656"], "choices": {"material": Infinity}, "offset": [0, 0, 0]}', "whole number"),
    ('{"palette": ["#121212", "#343434", "#565656"], "choices": [], "offset": [0, 0, 0]}', "house"),
    ('{"palette": ["#-1-1-1", "#343434", "#565656"], "choices": {}, "offset": [0, 0, 0]}', "#RRGGBB"),
    ('{"palette": [1, 2, 3], "choices": {}, "offset": [0, 0, 0]}', "house"),
    ("[" * 20_000, "house")])
def test_a_house_that_is_none_is_refused_by_name(tmp_path, told, rule):
    file = tmp_path / "bad.safetensors"
    save_file({"x": torch.zeros(1)}, file, metadata={HOUSE_KEY: told})
    with pytest.raises(CheckpointError, match=rule) as caught:
        read_house(file)
    assert "bad.safetensors" in str(caught.value)


def test_a_brands_palette_is_found_in_its_covers():
    palette = find_palette([take_view(cover.picture) for cover in draw_brand()])
    found = np.array(palette.colours, dtype=float)
    wanted = np.array([PALETTE.background, PALETTE.main, *PALETTE.accents[:1]], dtype=float)
    assert [np.abs(found - colour).max(1).min() < 30 for colour in wanted] == [True] * 3
    assert np.abs(found[0] - mix(PALETTE.background, PALETTE.accents[1], STRIPE / 2)).max() < 40


def test_one_plain_colour_still_makes_a_palette():
    palette = find_palette([torch.zeros(1, 3, 240, 480)] * 4)
    assert palette.background == palette.main == palette.accents[0]


def test_offset_is_how_much_further_than_expected_tokens_are(grounded):
    lessons = make_lessons(grounded, 3, prompt="湖")
    network = load_transformer(grounded / "transformer")
    first = find_offset(network, lessons)
    far = find_offset(network, [replace(lesson, clean=lesson.clean + 100) for lesson in lessons])
    assert all(0 <= value <= MOST_OFFSET for value in (*first, *far))
    assert far[0] > first[0]
    assert far[1:] == first[1:] == (0.0, 0.0)


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
