"""The visible words, measured on the pixels."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from integrations.errors import Refused
from integrations.labels.mark import MIN_CONTRAST, Mark, draw, find, luminance
from integrations.pictures import decode
from tests.integrations.labels.pictures import as_cover, as_image, gradient, noise, plain

GROUNDS = {"white": plain("white"), "black": plain("black"), "grey": plain("#777777"), "noise": noise(), "gradient": gradient()}
MARKS = {"usual": Mark(), "English": Mark(text="AI GENERATED"), "left": Mark(corner="top-left"), "grey": Mark(colour="#808080"),
         "white": Mark(colour="#FFFFFF", corner="bottom-left"), "green": Mark(colour="#00FF00", corner="top-right")}
SIZES = [(64, 64), (200, 200), (900, 383), (1080, 1440), (1200, 630), (64, 1500)]


def rows_of_ink(width, height, mark):
    """How high the words' ink is on a white picture, counted where a row has a pixel that is more ink than ground."""
    drawn = np.asarray(as_image(draw(plain("white", width, height), mark)))[..., 0]
    return int((drawn < 136).any(1).sum())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("text", ["AI生成", "AI GENERATED"])
def test_ink_is_at_least_a_twentieth_of_the_shortest_side_high(size, text):
    assert rows_of_ink(*size, Mark(text=text)) >= 0.05 * min(size)


@pytest.mark.parametrize("character", "AI生成")
def test_every_character_of_its_own_is_so_high(character):
    from integrations.labels.mark import GLYPHS, LARGE_PX, _draw_strokes

    assert character in GLYPHS
    assert np.asarray(_draw_strokes(character)).any(1).sum() >= LARGE_PX - 2


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_is_found_on_any_ground_also_on_its_own_colour(ground, mark):
    picture = GROUNDS[ground]
    drawn = draw(picture, MARKS[mark])
    assert find(drawn, MARKS[mark]) == ""
    assert find(picture, MARKS[mark]) != ""


@pytest.mark.parametrize("colour", ["#808080", "#FFFFFF", "#000000", "#FF0000", "#7F3FBF"])
@pytest.mark.parametrize("ground", ["white", "black", "grey"])
def test_words_stand_out_from_what_is_behind_them(ground, colour):
    picture, mark = GROUNDS[ground], Mark(colour=colour)
    before, after = (np.asarray(as_image(each), float) for each in (picture, draw(picture, mark)))
    ink = np.array(list(bytes.fromhex(colour[1:])), float)
    plate = after[-14, -20]  # between the words and the plate's rim
    lighter, darker = sorted((luminance(ink), luminance(plate)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= MIN_CONTRAST - 0.1
    assert np.array_equal(before[:100, :100], after[:100, :100])


@pytest.mark.parametrize(("size", "form", "options"), [
    ((600, 315), "JPEG", {"quality": 60}), ((1200, 630), "WEBP", {"quality": 50}), ((1800, 945), "PNG", {}),
    ((400, 210), "WEBP", {}),
])
@pytest.mark.parametrize("text", ["AI生成", "AI GENERATED"])
def test_a_mark_is_found_after_resizing_and_another_encoding(size, form, options, text):
    mark, file = Mark(text=text), BytesIO()
    as_image(draw(gradient(1200, 630), mark)).resize(size, Image.Resampling.LANCZOS).save(file, form, **options)
    assert find(decode(file.getvalue(), "a"), mark) == ""


def test_words_that_were_painted_over_or_stand_elsewhere_are_not_found():
    mark = Mark()
    image = as_image(draw(gradient(1200, 630), mark))
    image.paste("white", (900, 500, 1200, 630))
    assert "are not at the bottom-right" in find(as_cover(image), mark)
    assert find(draw(gradient(1200, 630), Mark(corner="top-left")), mark) != ""
    assert find(draw(gradient(1200, 630), Mark(text="AI GENERATED")), mark) != ""
    flipped = as_cover(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert find(flipped, Mark(corner="bottom-left")) != ""


@pytest.mark.parametrize(("values", "told"), [
    ({"text": "封面"}, "must name AI"), ({"text": "AI"}, "must name AI"), ({"text": ""}, "must name AI"),
    ({"text": "AI生成\n图片"}, "one line"), ({"text": "AI生成" * 9}, "at most 24"), ({"colour": "red"}, "is not #RRGGBB"),
])
def test_what_cannot_be_a_mark_is_refused(values, told):
    with pytest.raises(Refused, match=told):
        Mark(**values)


def test_characters_that_the_font_lacks_are_refused_by_name(tmp_path):
    with pytest.raises(Refused, match="has no '由'"):
        draw(gradient(), Mark(text="由AI生成"))
    with pytest.raises(Refused, match="cannot be read"):
        draw(gradient(), Mark(text="由AI生成", font=tmp_path / "none.ttf"))
