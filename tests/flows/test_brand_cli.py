"""`fengmian train brand`, end to end: a folder in, a LoRA, its card and a sheet out, and what bad input gets."""

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from flows import brand_files, branding
from generator.lora import load_lora

WIDTH, HEIGHT = 128, 64
FAST = ("--minutes", "0.15", "--rank", "2")


@pytest.fixture
def covers(site, monkeypatch):
    """A folder of five approved covers, two of them with a prompt."""
    site.settle(monkeypatch, GENERATOR__STEPS="1", GENERATOR__GUIDANCE="1")
    folder = site.folder / "approved"
    folder.mkdir()
    for number in range(5):
        picture = np.full((HEIGHT, WIDTH, 3), (200, 40, 60), np.uint8)
        picture[16:48, 16 * number:16 * number + 24] = (20, 30, 90)
        Image.fromarray(picture).save(folder / f"{number}.png")
    for number in range(2):
        (folder / f"{number}.txt").write_text("云原生架构\n", encoding="utf-8")
    return folder


def test_a_lora_a_card_and_a_sheet_are_written(site, covers, monkeypatch):
    answer = site.run("train", "brand", "approved", "--out", "brand/look.safetensors", *FAST, "--json")
    assert answer.code == 0, answer.err
    record = answer.record
    assert record["pictures"] == 5
    assert record["steps"] > 1
    assert record["held_out_loss_after"] < record["held_out_loss_before"]
    assert {"palette_distance_before", "palette_distance_after", "style_distance_before", "style_distance_after", "loss_first",
            "loss_last", "seconds"} <= record.keys()
    assert (record["file"], record["sheet"]) == ("brand/look.safetensors", "brand/look-sheet.png")
    assert load_lora(site.folder / record["file"]).parts
    with Image.open(site.folder / record["sheet"]) as sheet:
        assert sheet.width > 3 * 400
    assert "100%" in answer.err
    assert "minutes left" in answer.err
    assert_it_may_publish(site, monkeypatch)


def assert_it_may_publish(site, monkeypatch):
    """By the card beside it, and it paints."""
    from flows import wiring

    site.settle(monkeypatch, GENERATOR__LORAS='[{"file": "brand/look.safetensors"}]')
    wiring.use(None)
    assert "apache-2.0 (README.md)" in wiring.ports().check_licence()
    site.settle(monkeypatch, GENERATOR__LORAS="[]")
    wiring.use(None)


def test_an_own_lora_is_replaced_a_strangers_readme_stays_and_a_damaged_picture_is_left_out(site, covers):
    file = site.folder / "look.safetensors"
    save_file({"a": np.zeros(1)}, file, metadata={"made_by": "fengmian train brand"})
    (site.folder / "README.md").write_text("# Ours\n")
    (covers / "5.png").write_bytes(b"no picture")
    answer = site.run("train", "brand", "approved", "--out", "look.safetensors", *FAST)
    assert answer.code == 0, answer.err
    assert load_lora(file).parts
    assert answer.out.startswith("look.safetensors\nlook-sheet.png\n")
    assert "palette distance" in answer.out
    assert "left out: approved/5.png: this is no PNG, JPEG, WEBP, AVIF file" in answer.err
    assert (site.folder / "README.md").read_text() == "# Ours\n"
    assert "README.md is there and stays as it is; by it the LoRA has no stated licence" in answer.err


def remove(folder, first):
    for file in sorted(folder.glob("*.png"))[first:]:
        file.unlink()


def spoil(folder):
    for file in sorted(folder.glob("*.png"))[:2]:
        file.write_bytes(b"no picture")


def write_other(folder):
    save_file({"a": np.zeros(1)}, folder.parent / "look.safetensors")


BAD = [
    ("folder: 'nowhere' is not there", None, "nowhere", "look.safetensors"),
    ("holds 3 pictures (.png, .jpg, .jpeg, .webp); it must hold 4 to 500", lambda folder: remove(folder, 3), "approved",
     "look.safetensors"),
    ("holds 0 pictures", lambda folder: remove(folder, 0), "approved", "look.safetensors"),
    ("3 of its 5 pictures can be read; at least 4 are needed", spoil, "approved", "look.safetensors"),
    ("3.txt: not UTF-8 at byte 0", lambda folder: (folder / "3.txt").write_bytes(b"\xff\xfe"), "approved", "look.safetensors"),
    ("3.txt: it has more than 20000 characters", lambda folder: (folder / "3.txt").write_text("云" * 20_001, encoding="utf-8"),
     "approved", "look.safetensors"),
    ("3.txt: it has more than 20000 characters", lambda folder: (folder / "3.txt").write_text("a" + "云" * 40_000, "utf-8"),
     "approved", "look.safetensors"),
    ("out: 'look.pt' must end in .safetensors", None, "approved", "look.pt"),
    ("lies among the approved covers", None, "approved", "approved/look.safetensors"),
    ("is a folder; give a file", lambda folder: (folder.parent / "look.safetensors").mkdir(), "approved", "look.safetensors"),
    ("was not written by `fengmian train brand`", write_other, "approved", "look.safetensors"),
]


@pytest.mark.parametrize(("line", "prepare", "folder", "out"), BAD)
def test_bad_input_is_one_line_that_names_the_value_and_the_rule(site, covers, line, prepare, folder, out):
    if prepare:
        prepare(covers)
    answer = site.run("train", "brand", folder, "--out", out, *FAST)
    assert answer.code == 2
    assert line in answer.err
    assert answer.out == ""


def test_float8_is_refused_before_any_work(site, covers, monkeypatch):
    site.settle(monkeypatch, GENERATOR__DTYPE="float8")
    answer = site.run("train", "brand", "approved", "--out", "look.safetensors", *FAST)
    assert answer.code == 2
    assert "setting generator.dtype 'float8'" in answer.err


def test_ctrl_c_writes_what_was_learned_and_says_so(site, covers, monkeypatch):
    told = branding.errors.print

    def press(line, **look):
        told(line, **look)
        if line.startswith(" 2"):  # a fifth of the way, in the middle of learning
            raise KeyboardInterrupt

    monkeypatch.setattr(branding.errors, "print", press)
    answer = site.run("train", "brand", "approved", "--out", "brand/look.safetensors", *FAST)
    assert answer.code == 130
    assert "stopped: brand/look.safetensors holds what was learned in" in answer.err
    assert load_lora(site.folder / "brand" / "look.safetensors").parts
    assert not (site.folder / "brand" / "look-sheet.png").exists()


def test_a_prompt_is_read_as_one_line(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeff云原生\n 架构 \n".encode())
    assert brand_files.read_prompt(tmp_path / "a.png") == "云原生 架构"
    assert brand_files.read_prompt(tmp_path / "b.png") == ""
