import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from integrations.errors import Refused
from integrations.labels import xmp

PHOTO = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
         b'<rdf:Description rdf:about="urn:1" xmlns:dc="http://purl.org/dc/elements/1.1/" '
         b'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" TC260:AIGC="old"><dc:title>harbour</dc:title></rdf:Description>'
         b'</rdf:RDF></x:xmpmeta>')


def test_what_is_written_is_read():
    assert xmp.read([xmp.write(None, "label", xmp.TRAINED)]) == xmp.Statements(("label",), (xmp.TRAINED,))
    assert xmp.read([xmp.write(None, None, None)]) == xmp.Statements()


def test_a_packet_keeps_what_else_it_says_and_what_it_is_about():
    written = xmp.write(PHOTO, "new", None)
    assert xmp.read([PHOTO]).labels == ("old",)
    assert xmp.read([written]).labels == ("new",)
    assert b"harbour" in written
    assert written.count(b"urn:1") == 2
    assert xmp.write(written, "new", None) == written


def test_labels_are_found_however_rdf_writes_them():
    packet = PHOTO.replace(b"<dc:title>harbour</dc:title>", b'<TC260:AIGC rdf:resource="two"/><TC260:AIGC>three</TC260:AIGC>')
    assert sorted(xmp.read([packet]).labels) == ["old", "three", "two"]


@pytest.mark.parametrize("packet", [
    b"", b"hello", b"<x", PHOTO[:100],
    b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
    b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    b"<a>" * 5000, b" " * (2**20 + 1),
])
def test_what_is_no_xmp_is_refused(packet):
    began = time.monotonic()
    with pytest.raises(Refused, match="XMP packet"):
        xmp.read([packet])
    assert time.monotonic() - began < 2


def test_xml_without_rdf_takes_no_label():
    with pytest.raises(Refused, match="holds no RDF"):
        xmp.write(b"<x/>", "label", None)


@given(some.binary(max_size=300))
def test_any_bytes_are_read_or_refused(packet):
    try:
        said = xmp.read([packet])
    except Refused:
        return
    assert isinstance(said, xmp.Statements)
