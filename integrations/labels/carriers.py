"""Where picture files keep an XMP packet, and putting one there: bytes move, pixels do not. AVIF has avif.py.

Sources: PNG (W3C, third edition), XMP specification part 3 (storage in files), WebP container specification (RFC 9649).
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Literal

from integrations.errors import Refused
from integrations.labels import avif

Form = Literal["png", "jpeg", "webp", "avif"]
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KEYWORD = b"XML:com.adobe.xmp"
JPEG_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"
JPEG_MORE = b"http://ns.adobe.com/xmp/extension/\x00"
SEGMENT_BYTES = 65_533
"""What a JPEG segment can hold."""
XMP_FLAG = 0x04
ALPHA_FLAG = 0x10
MAX_TEXT_BYTES = 2**20
"""Of a compressed text chunk, unpacked."""


def form_of(data: bytes, name: str) -> Form:
    """What kind of file this is, by its first bytes. Raises Refused, starting with `name`."""
    if data.startswith(PNG_SIGNATURE):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp" and any(brand in (b"avif", b"avis") for brand in avif.brands(data)):
        return "avif"
    raise Refused(f"{name}: this is no PNG, JPEG, WebP or AVIF file")


def read_packets(data: bytes, name: str) -> list[bytes]:
    """Every XMP packet of the file. Raises Refused for a damaged one, starting with `name`."""
    form = form_of(data, name)
    try:
        if form == "png":
            return [_png_text(body) for kind, body in _png_chunks(data) if kind == b"iTXt" and _keyword(body) == PNG_KEYWORD]
        if form == "jpeg":
            return [body[len(JPEG_HEADER):] for marker, body in _jpeg_segments(data) if _is_jpeg_xmp(marker, body)]
        if form == "webp":
            return [body for kind, body in _webp_chunks(data) if kind == b"XMP "]
        return avif.read_packets(data)
    except (ValueError, IndexError, struct.error, zlib.error) as exc:
        raise Refused(f"{name}: the {form} file is damaged: {exc}") from exc


def stray_labels(data: bytes, name: str) -> list[str]:
    """Where else than in XMP the file carries an implicit label: PNG's text chunks, a JPEG's comments. Raises Refused."""
    form = form_of(data, name)
    try:
        if form == "png":
            return [kind.decode() for kind, body in _png_chunks(data)
                    if kind in (b"tEXt", b"zTXt", b"iTXt") and _keyword(body) != PNG_KEYWORD and b"AIGC" in _keyword(body)]
        if form == "jpeg":
            return ["COM" for marker, body in _jpeg_segments(data) if marker == 0xFE and b"ContentProducer" in body]
    except (ValueError, IndexError, struct.error, zlib.error) as exc:
        raise Refused(f"{name}: the {form} file is damaged: {exc}") from exc
    return []


def inject(data: bytes, packet: bytes, name: str) -> bytes:
    """The file with `packet` as its only XMP packet; every pixel as before. Raises Refused, starting with `name`."""
    if read_packets(data, name) == [packet]:
        return data
    form = form_of(data, name)
    try:
        if form == "png":
            return _inject_png(data, packet)
        if form == "jpeg":
            return _inject_jpeg(data, packet)
        return _inject_webp(data, packet) if form == "webp" else avif.inject(data, packet)
    except (ValueError, IndexError, struct.error, zlib.error) as exc:
        raise Refused(f"{name}: the {form} file is damaged: {exc}") from exc


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of every chunk. Raises ValueError where a length or a checksum is wrong, or something follows the end."""
    at, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data):
            raise ValueError(f"its chunk {kind!r} is cut short")
        body = data[at + 8:end - 4]
        if zlib.crc32(kind + body) != int.from_bytes(data[end - 4:end], "big"):
            raise ValueError(f"the checksum of its chunk {kind!r} is wrong")
        yield kind, body
        at = end
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes follow its end")


def _keyword(body: bytes) -> bytes:
    return body[:80].partition(b"\x00")[0]


def _png_text(body: bytes) -> bytes:
    """The text of an iTXt chunk, unpacked if it must be."""
    rest = body[len(_keyword(body)) + 1:]
    packed, method = rest[0], rest[1]
    text = rest[2:].split(b"\x00", 2)[2]
    if not packed:
        return text
    if method:
        raise ValueError(f"its text is packed by the unknown method {method}")
    unpacker = zlib.decompressobj()
    found = unpacker.decompress(text, MAX_TEXT_BYTES)
    if unpacker.unconsumed_tail:
        raise ValueError(f"a text in it has more than {MAX_TEXT_BYTES} bytes")
    return found


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _inject_png(data: bytes, packet: bytes) -> bytes:
    parts, own = [PNG_SIGNATURE], _png_chunk(b"iTXt", PNG_KEYWORD + b"\x00\x00\x00\x00\x00" + packet)
    for kind, body in _png_chunks(data):
        if kind == b"iTXt" and _keyword(body) == PNG_KEYWORD:
            continue
        parts.append(_png_chunk(kind, body))
        if kind == b"IHDR":
            parts.append(own)
    return b"".join(parts)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of every segment before the picture's data, which comes last, as marker 0xDA with all the rest."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError(f"byte {at} should be a marker")
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        if marker == 0xDA:
            yield marker, data[at + 2:]
            return
        if marker in (0x01, *range(0xD0, 0xDA)):
            raise ValueError(f"marker {marker:#x} stands before the picture")
        size = int.from_bytes(data[at + 2:at + 4], "big")
        if size < 2 or at + 2 + size > len(data):
            raise ValueError(f"its segment {marker:#x} is cut short")
        yield marker, data[at + 4:at + 2 + size]
        at += 2 + size


def _is_jpeg_xmp(marker: int, body: bytes) -> bool:
    return marker == 0xE1 and body.startswith(JPEG_HEADER)


def _inject_jpeg(data: bytes, packet: bytes) -> bytes:
    own = JPEG_HEADER + packet
    if len(own) > SEGMENT_BYTES:
        raise ValueError(f"its XMP packet would have {len(packet)} bytes, and a segment takes {SEGMENT_BYTES - len(JPEG_HEADER)}")
    kept = [(marker, body) for marker, body in _jpeg_segments(data) if not _is_jpeg_xmp(marker, body)]
    if any(marker == 0xE1 and body.startswith(JPEG_MORE) for marker, body in kept):
        raise ValueError("its XMP is spread over several segments, which belong together by a hash")
    # JFIF and Exif must come first.
    first = next(place for place, (marker, body) in enumerate(kept) if marker != 0xE0 and not body.startswith(b"Exif\x00"))
    kept.insert(first, (0xE1, own))
    parts = [b"\xff\xd8"]
    for marker, body in kept:
        size = b"" if marker == 0xDA else struct.pack(">H", len(body) + 2)
        parts.append(bytes((0xFF, marker)) + size + body)
    return b"".join(parts)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise ValueError(f"it has {len(data)} bytes and says {end}")
    if end < len(data):
        raise ValueError(f"{len(data) - end} bytes follow its end")
    at = 12
    while at < end:
        kind, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > end:
            raise ValueError(f"its chunk {kind!r} is cut short")
        yield kind, data[at + 8:at + 8 + size]
        at += 8 + size + size % 2


def _inject_webp(data: bytes, packet: bytes) -> bytes:
    chunks = [(kind, body) for kind, body in _webp_chunks(data) if kind != b"XMP "]
    if not chunks:
        raise ValueError("it is empty")
    kind, body = chunks[0]
    if kind == b"VP8X":
        chunks[0] = kind, bytes((body[0] | XMP_FLAG,)) + body[1:]
    else:
        chunks.insert(0, (b"VP8X", _webp_header(kind, body)))
    chunks.append((b"XMP ", packet))
    payload = b"WEBP" + b"".join(struct.pack("<4sI", kind, len(body)) + body + b"\x00" * (len(body) % 2) for kind, body in chunks)
    return b"RIFF" + struct.pack("<I", len(payload)) + payload


def _webp_header(kind: bytes, body: bytes) -> bytes:
    """The extended header that a simple file does without."""
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", body, 6))
        flags = XMP_FLAG
    elif kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        flags = XMP_FLAG | (ALPHA_FLAG if bits >> 28 & 1 else 0)
    else:
        raise ValueError(f"it begins with the unknown chunk {kind!r}")
    return bytes((flags, 0, 0, 0)) + int(width - 1).to_bytes(3, "little") + int(height - 1).to_bytes(3, "little")
