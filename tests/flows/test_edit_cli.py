"""`fengmian edit`, end to end: files in, files and reports out, and what bad input gets."""

import hashlib
import re

import numpy as np
import pytest
from PIL import Image

from tests.flows.test_cli import HEAVY, loaded_after

WIDTH, HEIGHT = 150, 110
SPEC = """masks:
  sky: {rect: [0, 0, 150, 40]}
  car: {ellipse: [40, 50, 60, 50], feather: 4}
prompts:
  sky: [架构, 极简]
  car: [minimal, sites, caching]
steps: 1
seed: 7
"""


@pytest.fixture
def photo(site):
    """A picture file of a size that is no multiple of anything."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    soft = np.stack([128 + 90 * np.sin(columns / 17 + shade) * np.cos(rows / 13) for shade in range(3)], 2)
    path = site.folder / "photo.png"
    Image.fromarray(soft.astype(np.uint8)).save(path)
    return path


def pixels(path):
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image).astype(int)


def box(left, top, width, height):
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[top:top + height, left:left + width] = True
    return inside


def draw(site, name, grey):
    Image.fromarray(np.asarray(grey, np.uint8)).save(site.folder / name)
    return name


def seam_ratio(picture, inside):
    """Steps over the seam against the steps within sixteen pixels of it, from the file's pixels alone."""
    near = np.zeros_like(inside)
    for row, column in np.ndindex(*inside.shape):
        window = inside[max(0, row - 16):row + 17, max(0, column - 16):column + 17]
        near[row, column] = window.any() and not window.all()
    across, own = [], []
    for axis in (0, 1):
        steps = np.abs(np.diff(picture, axis=axis)).mean(2)
        is_across = np.diff(inside.astype(int), axis=axis) != 0
        both_near = np.minimum(near[:-1], near[1:]) if axis == 0 else np.minimum(near[:, :-1], near[:, 1:])
        across.extend(steps[is_across])
        own.extend(steps[~is_across & both_near])
    return (np.mean(across) + 1) / (np.mean(own) + 1)


def test_inpaint_reports_what_the_file_shows(site, photo):
    before = photo.read_bytes()
    answer = site.run("edit", "inpaint", "photo.png", "--rect", "31,20,50,37", "--prompt", "a red car 红车", "--seed", "5",
                      "--out", "out/a.png", "--sheet", "--json")
    assert answer.code == 0
    record, inside = answer.record, box(31, 20, 50, 37)
    written = (site.folder / "out" / "a.png").read_bytes()
    found = np.abs(pixels(site.folder / "out" / "a.png") - pixels(photo)).max(2)
    assert found[~inside].max() == 0 == record["outside_max_difference"]
    assert found[inside].max() > 0
    assert record["painted_share"] == pytest.approx(inside.mean())
    assert record["seam_gradient_ratio"] == pytest.approx(seam_ratio(pixels(site.folder / "out" / "a.png"), inside), rel=1e-4)
    assert record == record | {
        "path": "out/a.png", "width": WIDTH, "height": HEIGHT, "format": "png", "prompt": "a red car 红车", "seed": 5,
        "sha256": hashlib.sha256(written).hexdigest(), "checkpoint": site.painter.checkpoint, "sheet": "out/a-sheet.png"}
    assert answer.err == "out/a-sheet.png\n"
    with Image.open(site.folder / "out" / "a-sheet.png") as sheet:
        assert sheet.width > 2 * WIDTH
    assert photo.read_bytes() == before


def test_the_same_seed_is_the_same_file_and_another_is_another(site, photo):
    def paint(name, seed):
        site.run("edit", "inpaint", "photo.png", "--rect", "31,20,50,37", "--prompt", "car", "--seed", seed, "--out", name)
        return (site.folder / name).read_bytes()

    assert paint("a.png", "5") == paint("b.png", "5") != paint("c.png", "6")


def test_people_read_lines(site, photo):
    answer = site.run("edit", "inpaint", "photo.png", "--rect", "31,20,50,37", "--prompt", "car", "--out", "a.png", "--sheet")
    assert re.fullmatch(r"a\.png\n  largest difference outside: 0; seam gradient \d+\.\d\d of the picture's own\n"
                        r"a-sheet\.png\n", answer.out)
    assert answer.err == ""


@pytest.mark.parametrize(("words", "is_in"), [
    (["--ellipse", "20,20,60,40"], lambda x, y: ((x - 50) / 30)**2 + ((y - 40) / 20)**2 <= 1),
    (["--polygon", "10,10;140,10;10,100"], lambda x, y: x > 10 and y > 10 and (x - 10) / 130 + (y - 10) / 90 < 1),
    (["--rect", "30,30,60,50", "--invert"], lambda x, y: not (30 <= x < 90 and 30 <= y < 80)),
    (["--rect", "30,30,60,50", "--feather", "9"], lambda x, y: 30 <= x < 90 and 30 <= y < 80),
    (["--rect", "70,60,1,1"], lambda x, y: 70 <= x < 71 and 60 <= y < 61),
])
def test_every_shape_keeps_what_is_outside(site, photo, words, is_in):
    answer = site.run("edit", "inpaint", "photo.png", *words, "--prompt", "🚗", "--out", "a.png", "--json")
    inside = np.array([[is_in(column + 0.5, row + 0.5) for column in range(WIDTH)] for row in range(HEIGHT)])
    found = np.abs(pixels(site.folder / "a.png") - pixels(photo)).max(2)
    assert found[~inside].max() == 0 == answer.record["outside_max_difference"]
    assert answer.record["painted_share"] == pytest.approx(inside.mean(), abs=1e-6)


def test_a_mask_can_be_a_picture(site, photo):
    grey = np.zeros((HEIGHT, WIDTH))
    grey[40:80, 30:100] = 255
    draw(site, "mask.png", grey)
    answer = site.run("edit", "inpaint", "photo.png", "--mask", "mask.png", "--prompt", "car", "--out", "a.png", "--json")
    found = np.abs(pixels(site.folder / "a.png") - pixels(photo)).max(2)
    assert found[grey == 0].max() == 0 == answer.record["outside_max_difference"]
    assert found[grey > 0].max() > 0


def test_a_full_mask_paints_everything(site, photo):
    answer = site.run("edit", "inpaint", "photo.png", "--rect", f"0,0,{WIDTH},{HEIGHT}", "--prompt", "car", "--out", "a.png")
    assert answer.out == "a.png\n  everything was painted; no seam\n"


@pytest.mark.parametrize(("anchor", "left", "top"), [
    ("center", 25, 12), ("left", 0, 12), ("right", 51, 12), ("top", 25, 0), ("bottom", 25, 25)])
def test_outpaint_grows_to_the_size_and_keeps_the_anchor(site, photo, anchor, left, top):
    answer = site.run("edit", "outpaint", "photo.png", "--to", "201x135", "--anchor", anchor, "--prompt", "sea", "--out", "a.png",
                      "--json")
    grown = pixels(site.folder / "a.png")
    assert grown.shape == (135, 201, 3)
    assert np.array_equal(grown[top:top + HEIGHT, left:left + WIDTH], pixels(photo))
    assert (answer.record["width"], answer.record["height"], answer.record["outside_max_difference"]) == (201, 135, 0)


def test_img2img_paints_all_of_it_as_far_as_strength_says(site, photo):
    far = []
    for strength in ("0.1", "0.9"):
        answer = site.run("edit", "img2img", "photo.png", "--strength", strength, "--steps", "10", "--prompt", "sea", "--out",
                          "a.png", "--json")
        assert (answer.record["outside_max_difference"], answer.record["painted_share"]) == (None, 1)
        far.append(np.abs(pixels(site.folder / "a.png") - pixels(photo)).mean())
    assert far[0] != far[1]


def test_variants_are_all_combinations(site, photo):
    (site.folder / "spec.yaml").write_text(SPEC)
    answer = site.run("edit", "variants", "photo.png", "--spec", "spec.yaml", "--out", "many", "--sheet", "--json")
    assert answer.code == 0
    assert [record["prompts"] for record in answer.records] == [
        {"sky": sky, "car": car} for sky in ("架构", "极简") for car in ("minimal", "sites", "caching")]
    stays = ~box(0, 0, 150, 40) & ~box(40, 50, 60, 50)
    for number, record in enumerate(answer.records):
        file = site.folder / "many" / f"variant-{number:03}.png"
        assert record["path"] == f"many/variant-{number:03}.png"
        assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert np.abs(pixels(file) - pixels(photo)).max(2)[stays].max() == 0 == record["outside_max_difference"]
        assert (record["seed"], record["sheet"]) == (7, "many/sheet.png")
    assert len({record["sha256"] for record in answer.records}) == 6
    assert (site.folder / "many" / "sheet.png").exists()


def test_variants_can_be_listed(site, photo):
    (site.folder / "spec.yaml").write_text(SPEC + "combinations: [[1, 2], [0, 0]]\n")
    answer = site.run("edit", "variants", "photo.png", "--spec", "spec.yaml", "--out", "many", "--json")
    assert [record["prompts"] for record in answer.records] == [
        {"sky": "极简", "car": "caching"}, {"sky": "架构", "car": "minimal"}]
    assert not (site.folder / "many" / "sheet.png").exists()


def test_a_mask_file_is_found_beside_its_spec(site, photo):
    (site.folder / "specs").mkdir()
    draw(site, "specs/mask.png", np.full((HEIGHT, WIDTH), 255))
    (site.folder / "specs" / "spec.yaml").write_text("masks: {all: {file: mask.png}}\nprompts: {all: [sea]}\nsteps: 1\n")
    assert site.run("edit", "variants", "photo.png", "--spec", "specs/spec.yaml", "--out", "many").code == 0


def test_help_loads_nothing_heavy():
    code = "import flows.cli\nassert flows.cli.run(['edit', 'inpaint', '--help']) == 0"
    assert loaded_after(code, *HEAVY, "pydantic_settings", "rich.console", "generator", "yaml") == []


INPAINT = ["inpaint", "photo.png", "--prompt", "car", "--out", "a.png"]
OUTPAINT = ["outpaint", "photo.png", "--prompt", "car", "--out", "a.png"]


@pytest.mark.parametrize(("words", "line"), [
    (INPAINT, "mask: give one of --rect, --ellipse, --polygon and --mask; given: none"),
    ([*INPAINT, "--rect", "0,0,9,9", "--ellipse", "0,0,9,9"], "given: --rect, --ellipse"),
    ([*INPAINT, "--rect", "0,0,9"], "--rect: '0,0,9' is not 4 whole numbers with commas between"),
    ([*INPAINT, "--rect", "0,0,9,x"], "--rect: '0,0,9,x' is not 4 whole numbers with commas between"),
    ([*INPAINT, "--rect", "0,0,0,9"], "rectangle: 0,0,0,9 (x, y, width, height) is empty: width and height must be at least 1"),
    ([*INPAINT, "--rect", "100,0,51,9"], "rectangle: 100,0,51,9 (x, y, width, height) is not within the picture of 150x110 px"),
    ([*INPAINT, "--rect", "0,0,150,110", "--invert"], "mask: it is empty: no pixel of the 150x110 picture is in it"),
    ([*INPAINT, "--rect", "0,0,9,9", "--feather", "300"], "feather: 300 px is not from 0 to 256"),
    ([*INPAINT, "--polygon", "0,0;9,9"], "polygon: it has 2 points; it must have 3 to 1000"),
    ([*INPAINT, "--polygon", "0,0;9,9;"], "--polygon: '' is not 2 whole numbers with commas between"),
    ([*INPAINT, "--mask", "small.png"], "small.png: it is 80x90 px; the picture is 150x110 px, and both must be alike"),
    ([*INPAINT, "--mask", "black.png"], "mask: it is empty"),
    ([*INPAINT, "--mask", "none.png"], "none.png: there is no such file"),
    ([*INPAINT, "--mask", "spec.yaml"], "spec.yaml: this is no PNG, JPEG, WEBP, AVIF file"),
    (["inpaint", "none.png", *INPAINT[2:], "--rect", "0,0,9,9"], "none.png: there is no such file"),
    (["inpaint", "spec.yaml", *INPAINT[2:], "--rect", "0,0,9,9"], "spec.yaml: this is no PNG, JPEG, WEBP, AVIF file"),
    (["inpaint", "photo.png", "--prompt", "car", "--out", "a.jpg", "--rect", "0,0,9,9"], "out: 'a.jpg' must end in .png"),
    (["inpaint", "photo.png", "--prompt", "car", "--out", "photo.png", "--rect", "0,0,9,9"], "'photo.png' is the picture itself"),
    (["inpaint", "photo-sheet.png", "--prompt", "car", "--out", "photo.png", "--rect", "0,0,9,9", "--sheet"],
     "out: 'photo-sheet.png' is the picture itself"),
    (["inpaint", "photo.png", "--prompt", "car", "--out", "folder.png", "--rect", "0,0,9,9"], "out: 'folder.png' is a folder"),
    (["inpaint", "photo.png", "--prompt", "car", "--out", "spec.yaml/a.png", "--rect", "0,0,9,9"], "cannot take files"),
    (["inpaint", "photo.png", "--prompt", "车" * 2001, "--out", "a.png", "--rect", "0,0,9,9"],
     "prompt: it has 2001 characters; at most 2000 are allowed"),
    (["inpaint", "photo.png", "--prompt", "  ", "--out", "a.png", "--rect", "0,0,9,9"], "prompt: it is empty"),
    (["inpaint", "photo.png", "--out", "a.png", "--rect", "0,0,9,9"], "Missing option '--prompt'"),
    ([*INPAINT, "--rect", "0,0,9,9", "--seed", "-1"], "seed: -1 is not from 0 to 2**63-1"),
    ([*INPAINT, "--rect", "0,0,9,9", "--steps", "0"], "steps: 0 is not from 1 to 200"),
    (OUTPAINT, "Missing option '--to'"),
    ([*OUTPAINT, "--to", "16384x16384"], "size: '16384x16384' has a side of 16384 px; each must be from 64 to 4096"),
    ([*OUTPAINT, "--to", "0x0"], "size: '0x0' has a side of 0 px; each must be from 64 to 4096"),
    ([*OUTPAINT, "--to", "149x200"], "outpaint: to 149x200 px, but the picture is 150x110; neither side can shrink"),
    ([*OUTPAINT, "--to", "150x110"], "outpaint: no side is to grow"),
    ([*OUTPAINT, "--to", "200x200", "--anchor", "middle"], "anchor: 'middle' is not one of left, center, right, top, bottom"),
    (["img2img", *INPAINT[1:], "--strength", "0"], "strength: 0.0 is not above 0 and at most 1"),
    (["img2img", *INPAINT[1:], "--strength", "nan"], "strength: nan is not above 0 and at most 1"),
    (["img2img", *INPAINT[1:], "--strength", "much"], "'much' is not a number"),
    (["colour"], "No such command 'colour'"),
])
def test_bad_input_gets_one_line_and_exit_code_two(site, photo, words, line):
    before = photo.read_bytes()
    (site.folder / "spec.yaml").write_text(SPEC)
    (site.folder / "folder.png").mkdir()
    (site.folder / "photo-sheet.png").write_bytes(before)
    draw(site, "small.png", np.full((90, 80), 255))
    draw(site, "black.png", np.zeros((HEIGHT, WIDTH)))
    answer = site.run("edit", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("fengmian: ")
    assert line in answer.err
    assert answer.err.count("\n") == 1
    assert photo.read_bytes() == before == (site.folder / "photo-sheet.png").read_bytes()
    assert not (site.folder / "a.png").exists()


@pytest.mark.parametrize(("spec", "line"), [
    ("", "spec.yaml: the whole: Input should be a valid dictionary"),
    ("[1, 2]", "spec.yaml: the whole: Input should be a valid dictionary"),
    ("masks: {a: {rect: [0, 0", "spec.yaml: not readable as YAML: while parsing a flow sequence"),
    ("masks: {a: {rect: [0, 0, 9, 9]}}\n", "spec.yaml: prompts: Field required"),
    ("prompts: {a: [red]}\n", "spec.yaml: masks: Field required"),
    ("masks: {}\nprompts: {}\n", "spec.yaml: masks: Dictionary should have at least 1 item"),
    (SPEC + "colour: red\n", "spec.yaml: colour: Extra inputs are not permitted"),
    (SPEC.replace("feather", "fether"), "spec.yaml: masks.car.fether: Extra inputs are not permitted"),
    (SPEC.replace("  car: [minimal, sites, caching]\n", ""), "prompts must name at least one for each of the masks sky, car"),
    (SPEC.replace("[minimal, sites, caching]", "[]"), "prompts must name at least one for each of the masks sky, car"),
    (SPEC.replace("[minimal, sites, caching]", "7"), "spec.yaml: prompts.car: Input should be a valid tuple"),
    (SPEC + "  boat: [red]\n", "spec.yaml: not readable as YAML"),
    (SPEC.replace("  sky: [", "  boat: [red]\n  sky: ["), "prompts must name at least one for each of the masks sky, car"),
    (SPEC.replace("{rect", "{ellipse: [0, 0, 9, 9], rect"), "mask sky: give one of rect, ellipse, polygon and file"),
    (SPEC.replace("{rect: [0, 0, 150, 40]}", "{}"), "mask sky: give one of rect, ellipse, polygon and file"),
    (SPEC.replace("rect: [0, 0, 150, 40]", "rect: [0, 0, 150]"), "spec.yaml: masks.sky.rect.3: Field required"),
    (SPEC.replace("rect: [0, 0, 150, 40]", "rect: [0, 0, 150, 111]"), "0,0,150,111 (x, y, width, height) is not within"),
    (SPEC.replace("rect: [0, 0, 150, 40]", "polygon: []"), "polygon: it has 0 points; it must have 3 to 1000"),
    (SPEC.replace("rect: [0, 0, 150, 40]", "polygon: [[0, 0], [9, .nan], [9, 9]]"), "polygon: point 9,nan is not within"),
    (SPEC.replace("rect: [0, 0, 150, 40]", "file: small.png"), "small.png: it is 80x90 px; the picture is 150x110 px"),
    (SPEC.replace("rect: [0, 0, 150, 40]", "file: none.png"), "none.png: there is no such file"),
    (SPEC.replace("ellipse: [40, 50, 60, 50], feather: 4", "rect: [0, 0, 150, 40]"), "two of its masks are one region: sky, car"),
    (SPEC + "combinations: [[0, 3]]\n", "variants: [0, 3] must name one prompt of each of the 2 masks, counting from 0"),
    (SPEC + "combinations: [[0]]\n", "variants: [0] must name one prompt of each of the 2 masks, counting from 0"),
    (SPEC + "combinations: []\n", "variants: 0 pictures; there must be from 1 to 256"),
    (SPEC.replace("minimal", ", ".join(["red"] * 200)), "variants: 404 pictures; there must be from 1 to 256"),
    (SPEC.replace("minimal", "'" + "车" * 2001 + "'"), "prompt: it has 2001 characters; at most 2000 are allowed"),
    (SPEC.replace("seed: 7", "seed: -7"), "seed: -7 is not from 0 to 2**63-1"),
    (SPEC.replace("seed: 7", "seed: " + "9" * 5000), "spec.yaml: not readable as YAML: Exceeds the limit"),
    (SPEC.replace("seed: 7", "seed: 2026-13-40"), "spec.yaml: not readable as YAML: month must be in 1..12"),
    ("[" * 20000, "spec.yaml: not readable as YAML"),
    ("\x00", "spec.yaml: not readable as YAML"),
    ("x" * 2**20 + "x", "spec.yaml: it is larger than 1 MiB"),
])
def test_a_bad_spec_gets_one_line_and_exit_code_two(site, photo, spec, line):
    draw(site, "small.png", np.full((90, 80), 255))
    (site.folder / "spec.yaml").write_text(spec)
    answer = site.run("edit", "variants", "photo.png", "--spec", "spec.yaml", "--out", "many")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("fengmian: ")
    assert line in answer.err
    assert answer.err.count("\n") == 1
    assert not list((site.folder / "many").glob("*"))


@pytest.mark.parametrize(("words", "line"), [
    (["--spec", "none.yaml", "--out", "many"], "none.yaml: No such file or directory"),
    (["--spec", ".", "--out", "many"], ".: Is a directory"),
    (["--spec", "bytes.yaml", "--out", "many"], "bytes.yaml: not readable as YAML: 'utf-8' codec can't decode"),
    (["--spec", "spec.yaml", "--out", "spec.yaml"], "out: 'spec.yaml' cannot take files"),
    (["--spec", "spec.yaml"], "Missing option '--out'"),
])
def test_variants_with_no_place_or_no_spec(site, photo, words, line):
    (site.folder / "spec.yaml").write_text(SPEC)
    (site.folder / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    answer = site.run("edit", "variants", "photo.png", *words)
    assert (answer.code, answer.out) == (2, "")
    assert line in answer.err
    assert answer.err.count("\n") == 1


def test_variants_do_not_paint_over_their_picture(site, photo):
    (site.folder / "spec.yaml").write_text(SPEC)
    (site.folder / "many").mkdir()
    before = photo.rename(site.folder / "many" / "variant-000.png").read_bytes()
    answer = site.run("edit", "variants", "many/variant-000.png", "--spec", "spec.yaml", "--out", "many")
    assert (answer.code, answer.out) == (2, "")
    assert "out: 'many/variant-000.png' is the picture itself, which stays as it is; give another name" in answer.err
    assert (site.folder / "many" / "variant-000.png").read_bytes() == before


def test_one_prompt_needs_no_list_and_a_transparent_mask_leaves_the_rest(site):
    """As painting programs export masks: white where it counts, nothing elsewhere."""
    from PIL import Image

    Image.new("RGB", (96, 80), (200, 190, 180)).save("picture.png")
    mask = Image.new("RGBA", (96, 80), (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), (20, 20, 40, 40))
    mask.save("mask.png")
    (site.folder / "spec.yaml").write_text("masks: {a: {file: mask.png}}\nprompts: {a: red}\nsteps: 2\n")
    answer = site.run("edit", "variants", "picture.png", "--spec", "spec.yaml", "--out", "out", "--json")
    assert answer.code == 0, answer.err
    assert answer.record["prompts"] == {"a": "red"}
    assert answer.record["painted_share"] == pytest.approx(20 * 20 / (96 * 80), abs=1e-4)
