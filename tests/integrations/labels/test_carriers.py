"""XMP in files: every pixel as before, one packet, read back by Pillow, an independent reader, and by rule."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image

from integrations.errors import Refused
from integrations.labels import carriers, xmp
from integrations.labels.aigc import AigcLabel
from tests.integrations.labels.pictures import FORMS, gradient, pixels_of, saved

LABEL = AigcLabel(producer="someone", produce_id="abc").write()
PACKET = xmp.write(None, LABEL, xmp.TRAINED)
OTHER = xmp.write(None, AigcLabel(producer="other").write(), None)
FILES = {
    **{form: saved(gradient(), form) for form in FORMS},
    "webp, lossless": saved(gradient(), "webp", lossless=True),
    "webp, odd": saved(gradient(321, 201), "webp"),
    "png, grey": saved(gradient(), "png", optimize=True),
    "jpeg, progressive": saved(gradient(), "jpeg", progressive=True),
    "jpeg with Exif": saved(gradient(), "jpeg", exif=Image.Exif()),
    "avif with Exif": saved(gradient(), "avif", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00"),
    **{f"{form}, labelled": saved(gradient(), form, xmp=OTHER) for form in ("jpeg", "webp", "avif")},
}


@pytest.fixture(params=FILES)
def data(request):
    return FILES[request.param]


def test_a_file_keeps_its_pixels_and_has_one_packet(data):
    labelled = carriers.inject(data, PACKET, "a")
    assert np.array_equal(pixels_of(labelled), pixels_of(data))
    assert carriers.read_packets(labelled, "a") == [PACKET]
    assert labelled.count(b"ContentProducer") == 1
    with Image.open(BytesIO(labelled)) as image:
        image.load()
        found = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
    assert found == PACKET


def test_the_same_packet_again_changes_nothing_and_another_takes_its_place(data):
    labelled = carriers.inject(data, PACKET, "a")
    assert carriers.inject(labelled, PACKET, "a") == labelled
    replaced = carriers.inject(labelled, OTHER, "a")
    assert carriers.read_packets(replaced, "a") == [OTHER]
    assert b"someone" not in replaced
    assert np.array_equal(pixels_of(replaced), pixels_of(data))


def test_transparency_stays():
    image = Image.new("RGBA", (80, 60), (10, 200, 30, 77))
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("WEBP", {}), ("AVIF", {})):
        file = BytesIO()
        image.save(file, form, **options)
        assert np.array_equal(pixels_of(carriers.inject(file.getvalue(), PACKET, "a")), pixels_of(file.getvalue()))


def test_png_keeps_the_packet_unpacked_in_one_itxt_chunk_before_the_picture():
    chunks = list(carriers._png_chunks(carriers.inject(FILES["png"], PACKET, "a")))
    kinds = [kind for kind, _ in chunks]
    assert kinds.index(b"iTXt") < kinds.index(b"IDAT")
    assert dict(chunks)[b"iTXt"] == b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + PACKET


def test_webp_says_in_its_header_that_it_has_xmp_and_how_large_it_is():
    labelled = carriers.inject(FILES["webp, odd"], PACKET, "a")
    assert labelled[12:16] == b"VP8X"
    assert labelled[20] & 0x04
    assert int.from_bytes(labelled[24:27], "little") + 1 == 321
    assert int.from_bytes(labelled[27:30], "little") + 1 == 201
    assert int.from_bytes(labelled[4:8], "little") == len(labelled) - 8


def test_jpeg_has_the_packet_in_one_app1_before_the_tables():
    segments = list(carriers._jpeg_segments(carriers.inject(FILES["jpeg"], PACKET, "a")))
    places = [place for place, (marker, body) in enumerate(segments) if marker == 0xE1]
    assert len(places) == 1
    assert places[0] < min(place for place, (marker, _) in enumerate(segments) if marker == 0xDB)


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(kind, body):
    return FILES["png"][:33] + png_chunk(kind, body) + FILES["png"][33:]


@pytest.mark.parametrize("kind", [b"tEXt", b"iTXt"])
def test_a_label_outside_of_xmp_is_seen(kind):
    body = b"AIGC\x00" + (b"\x00\x00\x00\x00" if kind == b"iTXt" else b"") + LABEL.encode()
    assert carriers.stray_labels(with_chunk(kind, body), "a") == [kind.decode()]
    assert carriers.stray_labels(FILES["png"], "a") == []


def test_a_packed_packet_is_read():
    body = b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(PACKET)
    assert carriers.read_packets(with_chunk(b"iTXt", body), "a") == [PACKET]


def test_a_text_that_unpacks_to_a_flood_is_refused():
    body = b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(bytes(2**24))
    with pytest.raises(Refused, match="more than 1048576 bytes"):
        carriers.read_packets(with_chunk(b"iTXt", body), "a")


@pytest.mark.parametrize(("data", "told"), [
    (b"", "this is no PNG, JPEG, WebP or AVIF file"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "this is no PNG"),
    (saved(gradient(), "gif"), "this is no PNG"),
    (FILES["png"] + b"PK\x03\x04", "4 bytes follow its end"),
    (FILES["webp"] + b"PK\x03\x04", "4 bytes follow its end"),
    (FILES["png"][:-20], "cut short"),
    (FILES["webp"][:-20], "and says"),
    (FILES["jpeg"][:30], "cut short"),
    (FILES["avif"][:-20], "cut short"),
    (FILES["png"][:40] + b"\xff" + FILES["png"][41:], "checksum"),
])
def test_damaged_files_and_polyglots_are_refused_by_name(data, told):
    with pytest.raises(Refused) as refused:
        carriers.inject(data, PACKET, "picture.png")
    assert str(refused.value).startswith("picture.png: ")
    assert told in str(refused.value)


def test_a_packet_that_a_jpeg_segment_cannot_take_is_refused():
    with pytest.raises(Refused, match="a segment takes"):
        carriers.inject(FILES["jpeg"], PACKET + b" " * 65_000, "a")


@settings(deadline=2000, max_examples=300)
@given(name=some.sampled_from(sorted(FILES)), at=some.integers(0, 2000), byte=some.integers(0, 255), cut=some.integers(0, 5000))
def test_damage_is_refused_or_harmless_never_a_crash(name, at, byte, cut):
    damaged = bytearray(FILES[name])
    damaged[at % len(damaged)] = byte
    data = bytes(damaged[:max(12, len(damaged) - cut)])
    try:
        labelled = carriers.inject(data, PACKET, "a")
    except Refused:
        return
    assert carriers.read_packets(labelled, "a") == [PACKET]


@settings(deadline=2000)
@given(form=some.sampled_from((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\xff\x00\x00\x00WEBP", b"\x00\x00\x00\x18ftypavif")),
       rest=some.binary(max_size=400))
def test_hostile_bytes_are_refused_never_a_crash(form, rest):
    for read in (carriers.read_packets, carriers.stray_labels):
        try:
            found = read(form + rest, "a")
        except Refused:
            continue
        assert all(isinstance(each, (bytes, str)) for each in found)
