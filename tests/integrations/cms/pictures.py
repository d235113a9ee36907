"""Covers to be given to posts: real PNG files, each colour another one."""

import hashlib
import io

from PIL import Image

from integrations.ports import PostCover


def png(colour="navy", size=(120, 63)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def a_cover(reference="/c.png", alt_text="", colour="navy"):
    data = png(colour)
    name = f"fengmian-120x63-{hashlib.sha256(data).hexdigest()[:16]}.png"
    return PostCover(reference=reference, alt_text=alt_text, name=name, data=data, content_type="image/png")
