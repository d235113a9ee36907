"""One picture of many covers with a caption under each, for people to look over."""

import shutil
import subprocess
from collections.abc import Sequence
from io import BytesIO
from itertools import accumulate
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from generator.request import CoverImage

CELL_WIDTH = 400
GAP = 12
CAPTION_HEIGHT = 34
FONT_SIZE = 18
PAPER, INK = "#f4f4f2", "#222222"

# Where Linux, macOS and Windows keep a font with Chinese characters, for machines without fontconfig.
KNOWN_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/System/Library/Fonts/PingFang.ttc",
    "C:/Windows/Fonts/msyh.ttc",
)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(pictures: Sequence[CoverImage], captions: Sequence[str], columns: int) -> bytes:
    """A PNG of all pictures, row by row, each row as high as its tallest picture. Raises ValueError.

    Without a Chinese font on this machine, characters beyond ASCII are left out of the captions.
    """
    if not pictures or len(pictures) != len(captions):
        raise ValueError(f"contact sheet: {len(pictures)} pictures, {len(captions)} captions; give one each")
    if columns < 1:
        raise ValueError(f"contact sheet: {columns} columns; at least 1 is needed")
    columns, thumbnails = min(columns, len(pictures)), [_thumbnail(picture) for picture in pictures]
    heights = [max(image.height for image in thumbnails[first:first + columns]) for first in range(0, len(pictures), columns)]
    tops = [0, *accumulate(height + CAPTION_HEIGHT + GAP for height in heights)]
    sheet = Image.new("RGB", (GAP + columns * (CELL_WIDTH + GAP), GAP + tops[-1]), PAPER)
    draw, (font, is_chinese) = ImageDraw.Draw(sheet), _font()
    for number, (image, caption) in enumerate(zip(thumbnails, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = GAP + column * (CELL_WIDTH + GAP), GAP + tops[row]
        sheet.paste(image, (left, top))
        text = caption if is_chinese else caption.encode("ascii", "ignore").decode()
        draw.text((left, top + heights[row] + 6), _fitted(draw, " ".join(text.split()), font), INK, font)
    file = BytesIO()
    sheet.save(file, "PNG", compress_level=4)
    return file.getvalue()


def _thumbnail(picture: CoverImage) -> Image.Image:
    image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
    height = max(1, round(CELL_WIDTH * picture.height / picture.width))
    return image.resize((CELL_WIDTH, height), Image.Resampling.LANCZOS)


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: Font) -> str:
    """`text`, cut to the width of a cell."""
    text = text[:200]
    while draw.textlength(text, font) > CELL_WIDTH:
        text = text[:-1]
    return text


def _font() -> tuple[Font, bool]:
    """A font, and whether it has Chinese characters."""
    for path in (_fontconfig_font(), *KNOWN_FONTS):
        if path and Path(path).is_file():
            return ImageFont.truetype(path, FONT_SIZE), True
    return ImageFont.load_default(FONT_SIZE), False


def _fontconfig_font() -> str:
    """The file of the font that fontconfig has for Chinese, or empty."""
    fc_list = shutil.which("fc-list")
    if fc_list is None:
        return ""
    words = [fc_list, ":lang=zh-cn", "file"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return ""
    files = sorted(line.rstrip(": ") for line in answer.stdout.splitlines())
    return next((file for file in files if "Bold" not in file), files[0] if files else "")
