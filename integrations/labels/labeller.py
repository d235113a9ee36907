"""PictureLabeller: puts every label that a policy asks for on a picture, in the one order that works, and reads them back.

Order: words on the pixels, encoding, XMP, and the signature last: whatever is changed after it breaks it.
"""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from generator.request import CoverImage
from integrations.errors import Refused
from integrations.labels import carriers, xmp
from integrations.labels.aigc import AigcLabel, check_value
from integrations.labels.carriers import Form
from integrations.labels.mark import Corner, Mark, draw, find
from integrations.labels.signing import C2paSigner, is_signed
from integrations.pictures import FORMATS, decode, encode
from integrations.ports import Decision, Labeller, Origin, Verdict

TEXTS = {"zh": "AI生成", "en": "AI GENERATED"}


@dataclass(frozen=True, kw_only=True)
class LabelPolicy:
    """Which labels a site's pictures carry. text: the visible words, or "" for the article's language. producer: of the implicit
    label. font: for words that the built-in letters lack. Raises Refused.
    """

    visible: bool = True
    text: str = ""
    corner: Corner = "bottom-right"
    colour: str = ""
    font: Path | None = None
    implicit: bool = True
    producer: str = ""
    iptc: bool = True

    def __post_init__(self) -> None:
        check_value("ContentProducer", self.producer)
        self.mark("zh")

    def mark(self, language: str) -> Mark:
        """The visible words on a picture for an article in this language."""
        return Mark(text=self.text or TEXTS.get(language, TEXTS["en"]), corner=self.corner, colour=self.colour, font=self.font)


class PictureLabeller(Labeller):
    """signer: for C2PA, or None for no signature. Raises OSError for a font that cannot be read."""

    def __init__(self, policy: LabelPolicy, signer: C2paSigner | None = None) -> None:
        self._policy, self._signer = policy, signer
        self._told = _tell(policy, signer)

    @property
    def policy(self) -> str:
        """The policy in one line: pictures labelled under another one do not count."""
        return self._told

    def apply(self, picture: CoverImage, form: Form, origin: Origin) -> bytes:
        """The picture as a file with its labels. Raises Refused."""
        if self._policy.visible:
            picture = draw(picture, self._policy.mark(origin.language))
        return self._finish(encode(picture, form), form, origin)

    def label_file(self, data: bytes, name: str, origin: Origin) -> bytes:
        """A file that is there already, with its labels; without visible words its pixels stay as they are.

        One that has them all is left alone. Raises Refused, starting with `name`: for one that is signed, which any change
        breaks, and for another producer's.
        """
        if all(verdict.decision != "block" for verdict in self.verify(data, name, origin.language)):
            return data
        self._check_free(data, name)
        form, picture, mark = carriers.form_of(data, name), decode(data, name), self._policy.mark(origin.language)
        if self._policy.visible and find(picture, mark):
            packets, profile = carriers.read_packets(data, name), _profile(data, name)
            data = encode(draw(picture, mark), form, profile)
            data = carriers.inject(data, packets[0], name) if packets else data
        return self._finish(data, form, origin)

    def _check_free(self, data: bytes, name: str) -> None:
        """Raise Refused where labels of ours would break or contradict what the file carries."""
        if is_signed(data):
            raise Refused(f"{name}: it is signed by C2PA, and any change would break that")
        for label in _read(data, name).labels:
            try:
                producer = AigcLabel.read(label).producer
            except Refused as exc:
                raise Refused(f"{name}: it carries a broken label, which is left alone: {exc}") from exc
            if producer != self._policy.producer:
                raise Refused(f"{name}: it is labelled already, as made by {producer or 'somebody unnamed'!r}")
        if carriers.stray_labels(data, name):
            raise Refused(f"{name}: it carries an implicit label outside of XMP, and a file has one")

    def _finish(self, data: bytes, form: Form, origin: Origin) -> bytes:
        asked = self._policy
        if asked.implicit or asked.iptc:
            label = AigcLabel(producer=asked.producer, produce_id=origin.picture_id).write() if asked.implicit else None
            packets = carriers.read_packets(data, "picture")
            packet = xmp.write(packets[0] if packets else None, label, xmp.TRAINED if asked.iptc else None)
            data = carriers.inject(data, packet, "picture")
        if self._signer:
            data = self._signer.sign(data, form, "cover", has_mark=asked.visible, checkpoint=origin.checkpoint)
        return data

    def verify(self, data: bytes, name: str, language: str) -> tuple[Verdict, ...]:
        """A verdict on each label: "pass", "block" with the reason, or "not_configured" for one that nobody asks for.

        Raises Refused, starting with `name`, for a file that cannot be read.
        """
        form = carriers.form_of(data, name)
        said = _read(data, name)
        strays = carriers.stray_labels(data, name)
        asked = self._policy
        faults = {
            "visible": find(decode(data, name), asked.mark(language)) if asked.visible else None,
            "implicit": self._fault_of_labels(said.labels, strays) if asked.implicit else None,
            "iptc": _fault_of_source(said.source_types) if asked.iptc else None,
            "c2pa": self._fault_of_signature(data, form),
        }
        return tuple(Verdict(check=f"label.{label}", decision=_decide(fault), policy=self.policy, detail=fault or "")
                     for label, fault in faults.items())

    def _fault_of_labels(self, labels: tuple[str, ...], strays: list[str]) -> str:
        if len(labels) != 1 or strays:
            outside = f", and {len(strays)} outside of XMP" if strays else ""
            return f"the file has {len(labels)} implicit labels{outside}; exactly one is needed"
        try:
            label = AigcLabel.read(labels[0])
        except Refused as exc:
            return str(exc)
        if label.producer != self._policy.producer:
            return f"the implicit label names the producer {label.producer!r}, not {self._policy.producer!r}"
        return ""

    def _fault_of_signature(self, data: bytes, form: Form) -> str | None:
        if self._signer is None:
            return None
        found = self._signer.read(data, form)
        if found is None:
            return "the file has no C2PA signature"
        if found.state != "Trusted":
            return f"the C2PA signature is {found.state}" + (f": {', '.join(found.faults)}" if found.faults else "")
        return "" if xmp.TRAINED in found.source_types else "the C2PA signature does not say that a trained model made it"


def _tell(asked: LabelPolicy, signer: C2paSigner | None) -> str:
    parts = []
    if asked.visible:
        font = hashlib.sha256(asked.font.read_bytes()).hexdigest()[:8] if asked.font else ""
        parts.append("visible " + " ".join(filter(None, (asked.text, asked.corner, asked.colour, font))))
    if asked.implicit:
        parts.append(f"implicit {asked.producer}".strip())
    if asked.iptc:
        parts.append("iptc")
    if signer:
        parts.append(f"c2pa {signer.name}")
    return "; ".join(parts) or "none"


def _read(data: bytes, name: str) -> xmp.Statements:
    """What the file's XMP says. Raises Refused, starting with `name`."""
    try:
        return xmp.read(carriers.read_packets(data, name))
    except Refused as exc:
        raise exc if str(exc).startswith(name) else Refused(f"{name}: {exc}") from exc


def _profile(data: bytes, name: str) -> bytes | None:
    """The picture's colour profile, which its pixels are worth nothing without. Raises Refused for a transparent one."""
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        if image.has_transparency_data:
            raise Refused(f"{name}: it is transparent, which words on it would end; flatten it, or set labels.visible to false")
        profile: bytes | None = image.info.get("icc_profile")
    return profile


def _fault_of_source(found: tuple[str, ...]) -> str:
    if found != (xmp.TRAINED,):
        return f"the file has the digital source types {', '.join(found) or 'none'}; exactly {xmp.TRAINED} is needed"
    return ""


def _decide(fault: str | None) -> Decision:
    return "not_configured" if fault is None else "block" if fault else "pass"
