"""Picture files: a CoverImage to PNG, WebP, JPEG or AVIF bytes, and a stranger's file safely back to pixels."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Literal, get_args

from PIL import Image, ImageOps, UnidentifiedImageError

from generator.request import MIN_SIDE_PX, CoverImage
from integrations.errors import NotFound, Refused

Format = Literal["png", "webp", "jpeg", "avif"]
Background = Literal["white", "black"]
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")
MAX_PIXELS = 40_000_000
MAX_FILE_BYTES = 64 * 2**20

# Measured at 1200x630: PNG level 2 takes half of level 4's time for 12 % more bytes, WebP method 2 half of 4's for
# none. Together 80 to 130 ms.
PNG_LEVEL = 2
WEBP_QUALITY = 90
WEBP_METHOD = 2
JPEG_QUALITY = 92
AVIF_QUALITY, AVIF_SPEED = 80, 8

# What Pillow's decoders raise on damaged files, by its own documents and by trying.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error, zlib.error)


def encode(picture: CoverImage, format: Format, colour_profile: bytes | None = None) -> bytes:
    """`picture` as a file: the same bytes for the same pixels and the same Pillow. colour_profile: ICC; none means sRGB.

    Raises ValueError.
    """
    image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
    file = BytesIO()
    if format == "png":
        image.save(file, "PNG", compress_level=PNG_LEVEL, icc_profile=colour_profile)
    elif format == "webp":
        image.save(file, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD, icc_profile=colour_profile)
    elif format == "jpeg":
        image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0, icc_profile=colour_profile)
    elif format == "avif":
        image.save(file, "AVIF", quality=AVIF_QUALITY, speed=AVIF_SPEED, max_threads=1, icc_profile=colour_profile)
    else:
        raise ValueError(f"format: {format!r} is not one of {', '.join(get_args(Format))}")
    return file.getvalue()


def decode_file(path: Path, background: Background = "white") -> CoverImage:
    """The picture in the file at `path`; see `decode`. Raises NotFound, Refused."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as exc:
        raise NotFound(f"{path}: there is no such file") from exc
    except OSError as exc:
        raise Refused(f"{path}: {exc.strerror}") from exc
    return decode(data, str(path), background)


def decode(data: bytes, name: str, background: Background = "white") -> CoverImage:
    """The picture in `data`, upright and on `background` where it was transparent. Raises Refused, starting with `name`.

    PNG, JPEG, WebP or AVIF; 8 bits a channel; grey, palette, RGB or RGBA; one frame; 64 px to 40 million pixels.
    Colour profiles are not applied: they are programs of a stranger's making, and the web means sRGB without one.
    """
    if len(data) > MAX_FILE_BYTES:
        raise Refused(f"{name}: the file is larger than {MAX_FILE_BYTES // 2**20} MiB")
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _check(image, data, name)
            upright = ImageOps.exif_transpose(image)
            rgba = upright.convert("RGBA")
    except UnidentifiedImageError as exc:
        raise Refused(f"{name}: this is no {', '.join(FORMATS)} file") from exc
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise Refused(f"{name}: the picture has more than {MAX_PIXELS:,} pixels") from exc
    except DAMAGE as exc:
        raise Refused(f"{name}: the file is damaged: {exc}") from exc
    flat = Image.new("RGBA", rgba.size, background)
    flat.alpha_composite(rgba)
    return CoverImage(width=flat.width, height=flat.height, rgb=flat.convert("RGB").tobytes())


def decode_mask(data: bytes, name: str, *, white: bool) -> CoverImage | None:
    """A mask, white where to paint: where `data` is transparent; without transparency, itself if `white`, else None.

    Raises Refused as `decode`.
    """
    picture = decode(data, name, "black")
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        if not image.has_transparency_data:
            return picture if white else None
        alpha = ImageOps.exif_transpose(image).convert("RGBA").getchannel("A")
    return CoverImage(width=picture.width, height=picture.height, rgb=ImageOps.invert(alpha).convert("RGB").tobytes())


def _check(image: Image.Image, data: bytes, name: str) -> None:
    """Refuse by the header alone, before a single pixel is decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Refused(f"{name}: the picture is {width}x{height} px; at most {MAX_PIXELS:,} pixels are allowed")
    if min(width, height) < MIN_SIDE_PX:
        raise Refused(f"{name}: the picture is {width}x{height} px; each side must be at least {MIN_SIDE_PX}")
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA") or _is_deep_png(image, data):
        mode = "16 bits a channel" if _is_deep_png(image, data) else image.mode
        raise Refused(f"{name}: the picture is {mode}; it must be grey, palette, RGB or RGBA with 8 bits a channel")
    # MPO is a JPEG with further views behind it, as phones take them: the first is the picture.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise Refused(f"{name}: the picture is animated ({frames} frames); it must be a still one")


def _is_deep_png(image: Image.Image, data: bytes) -> bool:
    """Whether the header's bit depth is 16: Pillow opens such RGB files as if they had 8."""
    return image.format == "PNG" and data[24:25] == b"\x10"
