"""What a flow leaves for people to look at in Prefect's UI: its cover, and tables. Knows Prefect."""

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from PIL import Image
from prefect.artifacts import create_image_artifact, create_table_artifact

from flows import steps
from flows.record import CoverRecord
from integrations.pictures import decode
from integrations.ports import StoredFile

WIDTH_PX, QUALITY = 640, 80
MAX_ROWS = 500
"""Of a table; people read no more, and the database keeps every one."""


def show_cover(record: CoverRecord) -> None:
    """The cover itself: by its address where readers have one, else small and inside the artifact."""
    if not record.files:
        return
    address = next((place for place in (record.cover, record.files[0].path) if place.startswith(("https://", "http://"))), "")
    create_image_artifact(key="picture", image_url=address or _inside(record), description=f"{record.title}: {record.alt_text}")


def show_table(key: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    """Rows under a key of small letters, digits and hyphens; a table that is cut says so."""
    cut = f" (the first {MAX_ROWS} of {len(rows)})" if len(rows) > MAX_ROWS else ""
    create_table_artifact(key=plain_key(key), table=list(rows[:MAX_ROWS]), description=description + cut)


def plain_key(words: str) -> str:
    """A key as Prefect wants it."""
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in words.lower())
    return letters[:200].strip("-")


def as_data_uri(data: bytes, content_type: str) -> str:
    """A file inside an address."""
    return f"data:{content_type};base64,{base64.b64encode(data).decode()}"


def as_picture_uri(picture: Image.Image) -> str:
    """A picture inside an address, as WebP."""
    file = BytesIO()
    picture.save(file, "WEBP", quality=QUALITY)
    return as_data_uri(file.getvalue(), "image/webp")


def open_stored(file: StoredFile) -> Image.Image:
    """A stored picture. Raises Unavailable where it is gone."""
    picture = decode(steps.whole_file(file), file.name)
    return Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)


def _inside(record: CoverRecord) -> str:
    image = open_stored(record.files[0])
    image.thumbnail((WIDTH_PX, WIDTH_PX))
    return as_picture_uri(image)
