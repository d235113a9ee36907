"""XMP packets: what a picture says of itself in RDF. Here stand the implicit label and IPTC's digital source type.

Source: ISO 16684-1 (XMP), IPTC Photo Metadata Standard 2025.1, TC260-PG-20259A.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from integrations.errors import Refused

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
META = "adobe:ns:meta/"
NAMESPACES = {"TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
              "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"}
AIGC = f"{{{NAMESPACES['TC260']}}}AIGC"
SOURCE_TYPE = f"{{{NAMESPACES['Iptc4xmpExt']}}}DigitalSourceType"
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for a picture that a trained model made."""
MAX_PACKET_BYTES = 2**20
_WRAPPER = re.compile(rb"<\?xpacket\b.*?\?>", re.DOTALL)
_OPENING = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'.encode()
_CLOSING = b'<?xpacket end="w"?>'
_EMPTY = f'<x:xmpmeta xmlns:x="{META}"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'.encode()


@dataclass(frozen=True)
class Statements:
    """What packets say: every implicit label and every digital source type in them."""

    labels: tuple[str, ...] = ()
    source_types: tuple[str, ...] = ()


def read(packets: list[bytes]) -> Statements:
    """What these packets say. Raises Refused for one that is no XMP."""
    trees = [_parse(packet) for packet in packets]
    return Statements(tuple(value for tree in trees for value in _values(tree, AIGC)),
                      tuple(value for tree in trees for value in _values(tree, SOURCE_TYPE)))


def write(packet: bytes | None, label: str | None, source_type: str | None) -> bytes:
    """`packet`, or a new one, that says exactly this of the two, and of all else what it said before. Raises Refused."""
    root = _parse(packet or _EMPTY)
    for name in (AIGC, SOURCE_TYPE):
        _remove(root, name)
    rdf = root if root.tag == f"{{{RDF}}}RDF" else root.find(f".//{{{RDF}}}RDF")
    if rdf is None:
        raise Refused("labels: the XMP packet holds no RDF")
    description = etree.SubElement(rdf, f"{{{RDF}}}Description", {f"{{{RDF}}}about": _subject(rdf)}, NAMESPACES)
    for name, value in ((AIGC, label), (SOURCE_TYPE, source_type)):
        if value is not None:
            etree.SubElement(description, name).text = value
    return _OPENING + bytes(etree.tostring(root, encoding="utf-8")) + _CLOSING


def _parse(packet: bytes) -> "etree._Element":
    if len(packet) > MAX_PACKET_BYTES:
        raise Refused(f"labels: the XMP packet has {len(packet)} bytes; at most {MAX_PACKET_BYTES} are read")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_pis=True)
    try:
        root = etree.fromstring(_WRAPPER.sub(b"", packet).strip(b"\x00 \t\r\n\xef\xbb\xbf"), parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise Refused(f"labels: the XMP packet is no XML: {exc}") from exc
    if root.getroottree().docinfo.doctype:
        raise Refused("labels: the XMP packet brings a document type, which XMP does not know")
    return root


def _values(root: "etree._Element", name: str) -> Iterator[str]:
    """Every value of a property, in the three ways that RDF writes it: text, attribute, resource."""
    for element in root.iter(etree.Element):
        if element.tag == name:
            yield element.get(f"{{{RDF}}}resource") or "".join(element.itertext()).strip()
        if (value := element.get(name)) is not None:
            yield value


def _remove(root: "etree._Element", name: str) -> None:
    for element in list(root.iter(etree.Element)):
        element.attrib.pop(name, None)
        if element.tag == name and (parent := element.getparent()) is not None:
            parent.remove(element)
            if len(parent) == 0 and not set(parent.attrib) - {f"{{{RDF}}}about"} and (above := parent.getparent()) is not None:
                above.remove(parent)


def _subject(rdf: "etree._Element") -> str:
    """All descriptions of a packet are about one thing; most often it is called ""."""
    first = rdf.find(f"{{{RDF}}}Description")
    return "" if first is None else first.get(f"{{{RDF}}}about") or ""
