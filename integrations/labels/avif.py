"""XMP in AVIF files, which are boxes in boxes: a new item is told of in `meta`, and its bytes come last.

Source: ISO/IEC 14496-12 (ISO base media file format), ISO/IEC 23000-22 (MIAF) for XMP as an item of type mime.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

XMP_TYPE = b"application/rdf+xml"
FULL = 12
"""Bytes of a box's header with version and flags."""


@dataclass(frozen=True)
class _Item:
    """Where an item's bytes are. method: 0 in the file, 1 in `idat`. extents: (index, offset, length), counted from base."""

    number: int
    method: int
    reference: int
    base: int
    extents: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class _Locations:
    """The box iloc. sizes: bytes of an offset, a length, a base and an index."""

    version: int
    sizes: tuple[int, int, int, int]
    items: tuple[_Item, ...]


def brands(data: bytes) -> list[bytes]:
    """The brands that the file's first box claims."""
    size = min(int.from_bytes(data[:4], "big"), len(data))
    return [data[8:12], *(data[at:at + 4] for at in range(16, size, 4))]


def read_packets(data: bytes) -> list[bytes]:
    """Every XMP packet. Raises ValueError, struct.error for a damaged file."""
    _, meta = _meta(data)
    locations = _read_locations(meta[b"iloc"])
    return [_bytes_of(item, data, meta) for item in locations.items if item.number in _xmp_items(meta[b"iinf"])]


def inject(data: bytes, packet: bytes) -> bytes:
    """The file with `packet` as its only XMP item, all others as they were. Raises ValueError, struct.error."""
    start, meta = _meta(data)
    size = int.from_bytes(data[start:start + 4], "big")
    old, locations = _xmp_items(meta[b"iinf"]), _read_locations(meta[b"iloc"])
    data = _blank(data, [item for item in locations.items if item.number in old and item.method == 0])
    kept = replace(locations, items=tuple(item for item in locations.items if item.number not in old))
    number = 1 + max((item.number for item in locations.items), default=0)
    if number > 0xFFFF or not (locations.sizes[0] and locations.sizes[1]):
        raise ValueError("its table of items takes no further one")
    primary = int.from_bytes(meta[b"pitm"][4:], "big")
    own = _Item(number, 0, 0, 0, ((0, 0, len(packet)),))
    changed = {**meta, b"iinf": _write_entries(_entries(meta[b"iinf"]), old, number),
               b"iref": _write_references(meta.get(b"iref", b"\x00" * 4), old, number, primary)}
    # The tables' own size does not depend on the offsets in them, so a first writing tells how far all else moves.
    changed[b"iloc"] = _write_locations(replace(kept, items=(*kept.items, own)))
    shift = len(_write_meta(data, start, changed)) - size
    moved = tuple(_move(item, start + size, shift) for item in kept.items)
    own = replace(own, extents=((0, len(data) + shift + 8, len(packet)),))
    changed[b"iloc"] = _write_locations(replace(kept, items=(*moved, own)))
    tail = struct.pack(">I4s", 8 + len(packet), b"mdat") + packet
    return data[:start] + _write_meta(data, start, changed) + data[start + size:] + tail


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each box between two places."""
    while at < end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1:
            size = struct.unpack_from(">Q", data, at + 8)[0]
        size = size or end - at  # 0: to the end of the file
        if size < 8 or at + size > end:
            raise ValueError(f"its box {kind!r} is cut short")
        yield kind, at, at + size
        at += size


def _meta(data: bytes) -> tuple[int, dict[bytes, bytes]]:
    """Where `meta` begins, and the bodies of the boxes in it, in their order."""
    tops = list(_boxes(data, 0, len(data)))
    if int.from_bytes(data[tops[-1][1]:tops[-1][1] + 4], "big") == 0:
        raise ValueError("its last box has no size")
    found = [(start, end) for kind, start, end in tops if kind == b"meta"]
    if len(found) != 1 or any(kind == b"moov" for kind, _, _ in tops):
        raise ValueError("it is no single still picture")
    start, end = found[0]
    if data[start:start + 4] == b"\x00\x00\x00\x01":
        raise ValueError("its box meta is larger than 4 GiB")
    inside = list(_boxes(data, start + FULL, end))
    bodies = {kind: data[begin + 8:stop] for kind, begin, stop in inside}
    if len(bodies) != len(inside) or not {b"iloc", b"iinf", b"pitm"} <= set(bodies):
        raise ValueError("its box meta is not as it must be")
    return start, bodies


def _write_meta(data: bytes, start: int, bodies: dict[bytes, bytes]) -> bytes:
    inside = b"".join(struct.pack(">I4s", 8 + len(body), kind) + body for kind, body in bodies.items())
    return struct.pack(">I", FULL + len(inside)) + data[start + 4:start + FULL] + inside


def _entries(body: bytes) -> list[tuple[int, bytes]]:
    """Number and whole box of each entry of iinf."""
    begin = 6 if body[0] == 0 else 8
    found = []
    for kind, start, end in _boxes(body, begin, len(body)):
        if kind != b"infe" or body[start + 8] not in (2, 3):
            raise ValueError(f"it tells of an item in the unknown way {kind!r}")
        number = body[start + FULL:start + FULL + (2 if body[start + 8] == 2 else 4)]
        found.append((int.from_bytes(number, "big"), body[start:end]))
    return found


def _write_entries(entries: list[tuple[int, bytes]], old: set[int], number: int) -> bytes:
    """iinf without the old items and with a new one, of type mime."""
    own = b"\x02\x00\x00\x00" + struct.pack(">HH", number, 0) + b"mimeXMP\x00" + XMP_TYPE + b"\x00"
    boxes = [box for item, box in entries if item not in old] + [struct.pack(">I4s", 8 + len(own), b"infe") + own]
    return struct.pack(">IH", 0, len(boxes)) + b"".join(boxes)


def _xmp_items(body: bytes) -> set[int]:
    """The numbers of the items that hold XMP."""
    found = set()
    for number, box in _entries(body):
        rest = box[FULL + (4 if box[8] == 2 else 6):]
        if rest[:4] == b"mime" and rest[4:].split(b"\x00")[1:2] == [XMP_TYPE]:
            found.add(number)
    return found


def _read_locations(body: bytes) -> _Locations:
    version, first, second = body[0], body[4], body[5]
    if version > 2:
        raise ValueError(f"its box iloc has the unknown version {version}")
    sizes = first >> 4, first & 15, second >> 4, second & 15 if version else 0
    if any(size not in (0, 4, 8) for size in sizes):
        raise ValueError("its box iloc has numbers of an unknown size")
    at = 6

    def take(size: int) -> int:
        nonlocal at
        if at + size > len(body):
            raise ValueError("its box iloc is cut short")
        at += size
        return int.from_bytes(body[at - size:at], "big")

    wide, items = 4 if version == 2 else 2, []
    for _ in range(take(wide)):
        number, method = take(wide), take(2) & 15 if version else 0
        reference, base = take(2), take(sizes[2])
        extents = tuple((take(sizes[3]), take(sizes[0]), take(sizes[1])) for _ in range(take(2)))
        items.append(_Item(number, method, reference, base, extents))
    return _Locations(version, sizes, tuple(items))


def _write_locations(locations: _Locations) -> bytes:
    version, (offset, length, base, index) = locations.version, locations.sizes
    wide = 4 if version == 2 else 2
    parts = [bytes((version, 0, 0, 0, offset << 4 | length, base << 4 | index)), len(locations.items).to_bytes(wide, "big")]
    for item in locations.items:
        parts.append(item.number.to_bytes(wide, "big"))
        if version:
            parts.append(item.method.to_bytes(2, "big"))
        parts += [item.reference.to_bytes(2, "big"), item.base.to_bytes(base, "big"), len(item.extents).to_bytes(2, "big")]
        for extent in item.extents:
            parts += [value.to_bytes(size, "big") for value, size in zip(extent, (index, offset, length), strict=True)]
    return b"".join(parts)


def _write_references(body: bytes, old: set[int], number: int, primary: int) -> bytes:
    """iref without those of the old items and with one of the new: it describes the picture."""
    wide = 4 if body[0] else 2
    kept = [body[start:end] for _, start, end in _boxes(body, 4, len(body))
            if int.from_bytes(body[start + 8:start + 8 + wide], "big") not in old]
    own = number.to_bytes(wide, "big") + b"\x00\x01" + primary.to_bytes(wide, "big")
    return body[:4] + b"".join(kept) + struct.pack(">I4s", 8 + len(own), b"cdsc") + own


def _move(item: _Item, behind: int, shift: int) -> _Item:
    """The item, `shift` bytes further on if it lies behind that place of the file."""
    if item.method != 0:
        return item
    if item.base >= behind:
        return replace(item, base=item.base + shift)
    extents = tuple((index, offset + shift if item.base + offset >= behind else offset, length)
                    for index, offset, length in item.extents)
    return replace(item, extents=extents)


def _bytes_of(item: _Item, data: bytes, meta: dict[bytes, bytes]) -> bytes:
    if item.method > 1:
        raise ValueError("its XMP is made of other items")
    place = data if item.method == 0 else meta.get(b"idat", b"")
    parts = []
    for _, offset, length in item.extents:
        start = item.base + offset
        if start + length > len(place):
            raise ValueError("its XMP is cut short")
        parts.append(place[start:start + length] if length else place[start:])
    return b"".join(parts)


def _blank(data: bytes, items: list[_Item]) -> bytes:
    """The file with the bytes of these items overwritten: nothing names them any more."""
    blanked = bytearray(data)
    for item in items:
        for _, offset, length in item.extents:
            start = item.base + offset
            if start + length <= len(data):
                blanked[start:start + length] = bytes(length)
    return bytes(blanked)
