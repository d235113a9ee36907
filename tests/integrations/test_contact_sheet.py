import io

import pytest
from PIL import Image, ImageFont

from generator.request import CoverImage
from integrations import contact_sheet as module
from integrations.contact_sheet import CAPTION_HEIGHT, CELL_WIDTH, GAP, PAPER, contact_sheet


def plain(red: int, width: int = 800, height: int = 400) -> CoverImage:
    return CoverImage(width=width, height=height, rgb=bytes((red, 0, 0)) * (width * height))


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def caption_pixels(sheet: Image.Image) -> int:
    """How many pixels of the first caption's strip are not paper."""
    strip = sheet.crop((GAP, GAP + CELL_WIDTH // 2, GAP + CELL_WIDTH, GAP + CELL_WIDTH // 2 + CAPTION_HEIGHT))
    paper = Image.new("RGB", (1, 1), PAPER).getpixel((0, 0))
    return sum(count for count, colour in strip.getcolors(10**6) if colour != paper)


def test_pictures_stand_in_rows_in_their_order():
    sheet = opened(contact_sheet([plain(50), plain(100), plain(150)], ["1", "2", "3"], columns=2))
    step = CELL_WIDTH + GAP
    below = CELL_WIDTH // 2 + CAPTION_HEIGHT + GAP
    places = [(GAP + 9, GAP + 9), (GAP + 9 + step, GAP + 9), (GAP + 9, GAP + 9 + below)]
    assert [sheet.getpixel(place)[0] for place in places] == [50, 100, 150]
    assert sheet.size == (GAP + 2 * step, GAP + 2 * below)


def test_fewer_pictures_than_columns_make_a_narrow_sheet():
    assert opened(contact_sheet([plain(9)], ["1"], columns=5)).width == GAP + CELL_WIDTH + GAP


def test_pictures_of_different_shapes_share_a_sheet():
    sheet = opened(contact_sheet([plain(9, 800, 400), plain(9, 400, 800)], ["wide", "tall"], columns=2))
    assert sheet.height == GAP + 2 * CELL_WIDTH + CAPTION_HEIGHT + GAP


def test_a_row_is_as_high_as_its_tallest_picture():
    sheet = opened(contact_sheet([plain(9, 400, 800), plain(9), plain(60), plain(60)], ["1", "2", "3", "4"], columns=2))
    assert sheet.height == GAP + 2 * CELL_WIDTH + CELL_WIDTH // 2 + 2 * (CAPTION_HEIGHT + GAP)
    assert sheet.getpixel((GAP + 9, GAP + 2 * CELL_WIDTH + CAPTION_HEIGHT + GAP + 9))[0] == 60


def test_a_caption_is_drawn_under_its_picture():
    assert caption_pixels(opened(contact_sheet([plain(9)], ["cover 7"], 1))) > 50
    assert caption_pixels(opened(contact_sheet([plain(9)], [""], 1))) == 0


def test_a_long_caption_stays_in_its_cell():
    sheet = opened(contact_sheet([plain(9)], ["W" * 500], 1))
    right_edge = sheet.crop((GAP + CELL_WIDTH, 0, sheet.width, sheet.height))
    assert len(right_edge.getcolors()) == 1


def test_a_caption_of_several_lines_becomes_one():
    one = contact_sheet([plain(9)], ["a b"], 1)
    assert contact_sheet([plain(9)], ["a\n\tb"], 1) == one


def test_without_a_chinese_font_the_ascii_part_of_a_caption_is_drawn(monkeypatch):
    monkeypatch.setattr(module, "_fontconfig_font", lambda: "")
    monkeypatch.setattr(module, "KNOWN_FONTS", ())
    assert contact_sheet([plain(9)], ["7 封面"], 1) == contact_sheet([plain(9)], ["7"], 1)


def test_with_a_chinese_font_every_character_is_drawn(monkeypatch):
    font = ImageFont.load_default(module.FONT_SIZE)
    monkeypatch.setattr(module, "_font", lambda: (font, True))
    assert contact_sheet([plain(9)], ["7 封面"], 1) != contact_sheet([plain(9)], ["7"], 1)


def test_fontconfig_is_asked_for_chinese(tmp_path, monkeypatch):
    program = tmp_path / "fc-list"
    program.write_text('#!/bin/sh\n[ "$1" = ":lang=zh-cn" ] && printf "/b/Han-Bold.ttc: \\n/a/Han.ttc: \\n"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert module._fontconfig_font() == "/a/Han.ttc"


def test_captions_that_do_not_match_the_pictures_are_refused():
    with pytest.raises(ValueError, match=r"^contact sheet: 1 pictures, 2 captions; give one each$"):
        contact_sheet([plain(9)], ["1", "2"], 1)
    with pytest.raises(ValueError, match=r"^contact sheet: 0 pictures, 0 captions; "):
        contact_sheet([], [], 1)


def test_no_columns_are_refused():
    with pytest.raises(ValueError, match=r"^contact sheet: 0 columns; at least 1 is needed$"):
        contact_sheet([plain(9)], ["1"], 0)
