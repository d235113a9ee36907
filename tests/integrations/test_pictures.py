import io
import struct
import zlib
from itertools import pairwise

import pytest
from PIL import Image

from generator.request import CoverImage
from integrations.errors import NotFound, Refused
from integrations.pictures import MAX_FILE_BYTES, decode, decode_file, encode


def a_picture(width: int = 96, height: int = 64) -> CoverImage:
    """Every pixel another colour, so that nothing can be moved unseen."""
    rgb = bytes(value for y in range(height) for x in range(width) for value in (x % 256, y % 256, (x + y) % 256))
    return CoverImage(width=width, height=height, rgb=rgb)


def saved(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def plain(mode: str = "RGB", size: tuple[int, int] = (96, 64), colour=0) -> Image.Image:
    return Image.new(mode, size, colour)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, depth: int = 8, colour_type: int = 2, row: bytes = b"") -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(row * height))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + png_chunk(b"IEND", b"")


def test_a_png_comes_back_pixel_for_pixel():
    assert decode(encode(a_picture(), "png"), "a.png") == a_picture()


def test_a_webp_comes_back_nearly_the_same():
    picture = CoverImage(width=96, height=64, rgb=bytes((200, 30, 60)) * 96 * 64)
    back = decode(encode(picture, "webp"), "a.webp")
    assert (back.width, back.height) == (96, 64)
    assert max(abs(ours - theirs) for ours, theirs in zip(picture.rgb, back.rgb, strict=True)) <= 4


@pytest.mark.parametrize("format", ["png", "webp", "jpeg", "avif"])
def test_the_same_pixels_are_the_same_file(format):
    assert encode(a_picture(), format) == encode(a_picture(), format)
    assert Image.open(io.BytesIO(encode(a_picture(), format))).format == format.upper()


def test_a_format_we_do_not_write_is_named():
    with pytest.raises(ValueError, match=r"^format: 'gif' is not one of png, webp, jpeg, avif$"):
        encode(a_picture(), "gif")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_usual_kind_of_pixel_is_read(mode):
    assert decode(saved(plain(mode), "PNG"), "a.png").width == 96


def test_what_is_transparent_becomes_white():
    assert decode(saved(plain("RGBA", colour=(255, 0, 0, 0)), "PNG"), "a.png").rgb == b"\xff" * 96 * 64 * 3


def test_a_photo_taken_on_its_side_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode(saved(plain(size=(96, 64)), "JPEG", exif=exif), "a.jpg")
    assert (upright.width, upright.height) == (64, 96)


def test_a_phones_jpeg_with_a_second_view_is_its_first():
    data = saved(plain(colour=255), "MPO", save_all=True, append_images=[plain()])
    assert decode(data, "a.jpg").rgb[0] > 250


def test_what_hangs_behind_the_picture_does_not_get_through():
    polyglot = encode(a_picture(), "png") + b"PK\x03\x04<script>alert(1)</script>"
    assert encode(decode(polyglot, "a.png"), "png") == encode(a_picture(), "png")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="64"><script>alert(1)</script></svg>'
DEEP_ROW = b"\0" + b"\0" * 96 * 6
REFUSED = {
    "empty": (b"", "this is no PNG, JPEG, WEBP, AVIF file"),
    "text": (b"hello", "this is no PNG, JPEG, WEBP, AVIF file"),
    "SVG named .png": (SVG, "this is no PNG, JPEG, WEBP, AVIF file"),
    "GIF": (saved(plain(), "GIF"), "this is no PNG, JPEG, WEBP, AVIF file"),
    "TIFF": (saved(plain(), "TIFF"), "this is no PNG, JPEG, WEBP, AVIF file"),
    "13000 squared": (png_of(13000, 13000), "the picture is 13000x13000 px; at most 40,000,000 pixels are allowed"),
    "65535 squared": (png_of(65535, 65535), "the picture has more than 40,000,000 pixels"),
    "1x1": (saved(plain(size=(1, 1)), "PNG"), "the picture is 1x1 px; each side must be at least 64"),
    "no pixels": (png_of(0, 0), "this is no PNG, JPEG, WEBP, AVIF file"),
    "CMYK": (saved(plain("CMYK"), "JPEG"), "the picture is CMYK; it must be grey, palette, RGB or RGBA with 8 bits"),
    "16-bit grey": (saved(plain("I;16"), "PNG"), "the picture is 16 bits a channel; it must be grey"),
    "16-bit RGB": (png_of(96, 64, depth=16, row=DEEP_ROW), "the picture is 16 bits a channel; it must be grey"),
    "animated WebP": (
        saved(plain(), "WEBP", save_all=True, append_images=[plain(colour=255)]),
        "the picture is animated (2 frames); it must be a still one",
    ),
    "animated PNG": (
        saved(plain(), "PNG", save_all=True, append_images=[plain(colour=255)]),
        "the picture is animated (2 frames); it must be a still one",
    ),
    "truncated PNG": (encode(a_picture(), "png")[:-200], "the file is damaged: "),
    "truncated JPEG": (saved(plain(), "JPEG")[:-200], "the file is damaged: "),
    "truncated WebP": (encode(a_picture(), "webp")[:-200], ""),
    "PNG with no end of text": (
        encode(a_picture(), "png")[:33] + png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * 10**8)),
        "",
    ),
    "flipped bits": (encode(a_picture(), "png")[:60] + b"\xff" * 40 + encode(a_picture(), "png")[100:], ""),
    "64 MiB and a byte": (b"\0" * (MAX_FILE_BYTES + 1), "the file is larger than 64 MiB"),
}


@pytest.mark.parametrize("bad", REFUSED)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bad_picture_is_refused_in_one_line(bad):
    data, reason = REFUSED[bad]
    with pytest.raises(Refused) as caught:
        decode(data, "a.png")
    assert str(caught.value).startswith(f"a.png: {reason}")
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error")
def test_a_warning_made_an_error_changes_nothing():
    with pytest.raises(Refused, match=r"^a\.png: the picture has more than 40,000,000 pixels$"):
        decode(png_of(13000, 13000), "a.png")


def outcome(data: bytes) -> str:
    try:
        return f"a.png: {decode(data, 'a.png').width} px wide"
    except Refused as exc:
        return str(exc)


def test_any_one_damaged_byte_is_read_or_refused_never_another_error():
    whole = encode(a_picture(), "png")
    for place in range(0, len(whole), 7):
        damaged = whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :]
        assert outcome(damaged).startswith("a.png: ")


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_a_file_cut_anywhere_is_read_or_refused_never_another_error(format):
    whole = saved(Image.frombytes("RGB", (96, 64), a_picture().rgb), format)
    cuts = [*range(0, len(whole), 9), len(whole)]
    for start, end in pairwise(cuts):
        assert outcome(whole[:start] + whole[end:]).startswith("a.png: ")


def test_a_file_is_read_from_its_path(tmp_path):
    (tmp_path / "封面.png").write_bytes(encode(a_picture(), "png"))
    assert decode_file(tmp_path / "封面.png") == a_picture()


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFound, match=r"none\.png: there is no such file$"):
        decode_file(tmp_path / "none.png")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(Refused, match=r": Is a directory$"):
        decode_file(tmp_path)


def test_what_is_transparent_lies_on_the_background_asked_for():
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.new("RGBA", (64, 64), (255, 255, 255, 0)).save(file, "PNG")
    assert set(decode(file.getvalue(), "x").rgb) == {255}
    assert set(decode(file.getvalue(), "x", "black").rgb) == {0}
