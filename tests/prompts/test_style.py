"""Style guides: what designers may write, and what they are told when it breaks a rule."""

import re
from pathlib import Path

import pytest

from prompts.errors import PromptError
from prompts.style import OUR_STYLES, Hints, all_styles, list_styles, load_style

MINIMAL = re.sub(r"(?m)^#.*\n", "", (OUR_STYLES / "modern-minimal.yaml").read_text(encoding="utf-8"))


def site_guide(folder: Path, old: str, new: str) -> Path:
    """The default guide with one thing changed, as a site's own guide called "mine"."""
    text = MINIMAL.replace("name: modern-minimal", "name: mine")
    assert old in text
    folder.mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder


def line_of(words: str, folder: Path) -> int:
    lines = (folder / "mine.yaml").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if words in line)


def test_at_least_eight_guides_come_with_the_project_and_all_load():
    guides = list(all_styles())
    assert len(guides) >= 8
    assert [guide.name for guide in guides] == list_styles()


def test_no_two_guides_share_palette_medium_or_texture():
    guides = list(all_styles())
    for part in (lambda g: g.palette, lambda g: g.medium, lambda g: g.texture, lambda g: g.light):
        assert len({part(guide) for guide in guides}) == len(guides)


def test_the_default_is_modern_minimal_and_forbids_faces_text_logos_and_marks():
    guide = load_style()
    assert guide.name == "modern-minimal"
    assert guide.density == "sparse"
    assert guide.light.en == "soft studio lighting"
    assert {"text", "logo", "watermark", "signature", "face"} <= set(guide.forbidden_en)
    for words in ("Low saturation", "empty space", "abstract geometric metaphor", "no faces", "no text"):
        assert words in guide.rules.en


@pytest.mark.parametrize("name", list_styles())
def test_every_guide_forbids_text_and_faces_in_both_languages(name):
    guide = load_style(name)
    assert {"文字", "水印", "人脸"} <= set(guide.forbidden_zh)
    assert {"text", "watermark", "face"} <= set(guide.forbidden_en)
    assert len(guide.forbidden_zh) == len(guide.forbidden_en)


def test_the_palette_is_ordered_background_main_accents(tmp_path):
    first = '  - {role: accent, hex: "#112233", name: {zh: 前, en: first}}\n'
    palette = load_style("mine", site_guide(tmp_path, "palette:\n", "palette:\n" + first)).palette
    assert [colour.role for colour in palette] == ["background", "main", "accent", "accent", "accent"]


def test_without_a_quiet_region_it_is_opposite_the_subject(tmp_path):
    guide = load_style("mine", site_guide(tmp_path, "subject: right", "subject: left"))
    assert guide.quiet.en == "quiet area on the right for a title"


@pytest.mark.parametrize(("old", "new", "rule"), [
    ("density: sparse", "densty: sparse", r"composition\.densty: this key is not known; did you mean 'density'\?"),
    ("density: sparse", "density: spars", r"composition\.density: 'spars' is not known; did you mean 'sparse'\?"),
    ("medium: {zh", "mediun: {zh", r"mediun: this key is not known; did you mean 'medium'\?"),
    ('"#8FA3B0"', "#8FA3B0", r"not valid YAML"),
    ('hex: "#8FA3B0"', "hex: 8FA3B0", r"palette\.hex: '8FA3B0' is not a colour like"),
    ("role: main", "role: accent", r"palette: it needs at least one main colour"),
    ("role: main", "role: background", r"palette: it needs exactly one background colour"),
    ("tone: light", "tone: dark", r"light\.tone: it is dark, but the background #F3F3EF is light"),
    ("sizes: [1200x630,", "sizes: [1200*630,", r"sizes: '1200\*630' is not a size like 1200x630"),
    ("sizes: [1200x630,", "sizes: [9000x630,", r"sizes: '9000x630' is not a size"),
    ("steps: 40", "steps: many", r"steps: 'many' is not a number from 1 to 200"),
    ("steps: 40", "steps: 4.5", r"steps: '4.5' is not a whole number"),
    ("guidance: 4", "guidance: .nan", r"guidance: '.nan' is not a number"),
    ("texture: {zh: 哑光细腻，低饱和, en:", "texture: {zh: '', en:", r"texture\.zh: it is empty"),
    ("rules:\n  zh: ", "rules:\n  zh: " + "长" * 200, r"rules\.zh: it has \d+ characters; at most 200"),
    ("name: mine", "name: yours", r"name: it must be 'mine', like the file"),
    ("  density: sparse", "  density: sparse\n  density: dense", r"composition\.density: this key is given twice"),
])
def test_a_mistake_is_named_with_file_line_and_rule(tmp_path, old, new, rule):
    folder = site_guide(tmp_path, old, new)
    with pytest.raises(PromptError, match=rule) as caught:
        load_style("mine", folder)
    assert re.match(r"mine\.yaml, line \d+: ", str(caught.value))
    assert "\n" not in str(caught.value)


def test_the_line_named_is_the_line_of_the_mistake(tmp_path):
    folder = site_guide(tmp_path, "density: sparse", "density: spars")
    with pytest.raises(PromptError, match=rf"line {line_of('spars', folder)}:"):
        load_style("mine", folder)


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(PromptError, match="composition: density is missing"):
        load_style("mine", site_guide(tmp_path, "  density: sparse\n", ""))


@pytest.mark.parametrize("content", [b"", b"# no\n", b"- a\n- b\n", b"words", b"\xff\xfe\x00", b"a: [", b"[" * 9000])
def test_a_file_that_is_no_guide_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(PromptError, match=r"^mine\.yaml") as caught:
        load_style("mine", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_huge_file_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"#" * 70_000)
    with pytest.raises(PromptError, match="70000 bytes; at most 65536"):
        load_style("mine", tmp_path)


def test_an_unknown_style_names_the_nearest():
    with pytest.raises(PromptError, match="style 'modern-minmal' is not known; did you mean 'modern-minimal'"):
        load_style("modern-minmal")


@pytest.mark.parametrize("name", ["../modern-minimal", "", "brand", "/etc/passwd"])
def test_a_style_name_is_never_a_path(name, tmp_path):
    (tmp_path / "brand.yaml").write_text("sizes: [800x800]\n")
    with pytest.raises(PromptError, match="is not known"):
        load_style(name, tmp_path)


def test_a_site_guide_of_the_same_name_wins_over_ours(tmp_path):
    (tmp_path / "modern-minimal.yaml").write_text(MINIMAL.replace("#F3F3EF", "#FFFFFF"), encoding="utf-8")
    assert load_style("modern-minimal", tmp_path).palette[0].hex == "#FFFFFF"
    assert load_style("modern-minimal").palette[0].hex == "#F3F3EF"


def test_brand_file_overrides_palette_rules_and_sizes_and_adds_to_what_is_forbidden(tmp_path):
    (tmp_path / "brand.yaml").write_text(
        "palette:\n"
        '  - {role: background, hex: "#101010", name: {zh: 黑, en: black}}\n'
        '  - {role: main, hex: "#ff8800", name: {zh: 橙, en: orange}}\n'
        '  - {role: accent, hex: "#ffffff", name: {zh: 白, en: white}}\n'
        "rules: {zh: 品牌规则。, en: Brand rule.}\n"
        "forbidden: {zh: [红色], en: [red]}\n"
        "sizes: [800x800]\n", encoding="utf-8")
    ours, branded = load_style("ink-wash"), load_style("ink-wash", tmp_path)
    assert [colour.hex for colour in branded.palette] == ["#101010", "#FF8800", "#FFFFFF"]
    assert (ours.tone, branded.tone) == ("light", "dark")
    assert branded.rules.en == "Brand rule."
    assert branded.sizes == ((800, 800),)
    assert branded.forbidden_en == (*ours.forbidden_en, "red")
    assert branded.medium == ours.medium


def test_a_mistake_in_the_brand_file_is_named_with_its_line(tmp_path):
    (tmp_path / "brand.yaml").write_text("# ours\npallete: []\n")
    with pytest.raises(PromptError, match=r"brand\.yaml, line 2: pallete: .* did you mean 'palette'\?"):
        load_style("ink-wash", tmp_path)


def test_a_brand_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PromptError, match="is not a folder"):
        list_styles(tmp_path / "nowhere")


def test_hints_come_from_the_longest_checkpoint_name_that_fits(tmp_path):
    guide = load_style("mine", site_guide(
        tmp_path, "  checkpoints:\n", "  steps: 8\n  guidance: 2\n  checkpoints:\n    Qwen: {steps: 20}\n"))
    assert guide.hints_for("mini@1") == Hints(steps=8, guidance=2.0)
    assert guide.hints_for("Qwen/Other@1") == Hints(steps=20, guidance=2.0)
    assert guide.hints_for("Qwen/Qwen-Image@abc") == Hints(steps=40, guidance=4.0)
