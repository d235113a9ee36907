"""Every label on every kind of file, in one order, once; and what verifying says when one is missing, double or broken."""

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from integrations.errors import Refused
from integrations.labels import carriers, xmp
from integrations.labels.aigc import KEYS, AigcLabel
from integrations.labels.labeller import LabelPolicy, PictureLabeller
from integrations.labels.signing import read_signature
from integrations.pictures import encode
from tests.integrations.labels.pictures import FORMS, ORIGIN, PRODUCER, gradient, pixels_of, saved

COVER = gradient(600, 315)


def decisions(verdicts):
    return {verdict.check.removeprefix("label."): verdict.decision for verdict in verdicts}


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


def test_a_labelled_picture_has_every_label_once(labeller, form):
    verdicts = labeller.verify(labeller.apply(COVER, form, ORIGIN), "a", "zh")
    assert decisions(verdicts) == dict.fromkeys(("visible", "implicit", "iptc", "c2pa"), "pass"), verdicts


def test_a_picture_without_labels_lacks_each(labeller, form):
    assert decisions(labeller.verify(encode(COVER, form), "a", "zh")) == dict.fromkeys(
        ("visible", "implicit", "iptc", "c2pa"), "block")


def test_only_what_is_asked_for_is_put_there(form):
    labeller = PictureLabeller(LabelPolicy(visible=False, iptc=False))
    labelled = labeller.label_file(encode(COVER, form), "a", ORIGIN)
    assert np.array_equal(pixels_of(labelled), pixels_of(encode(COVER, form)))
    assert decisions(labeller.verify(labelled, "a", "zh")) == {
        "visible": "not_configured", "implicit": "pass", "iptc": "not_configured", "c2pa": "not_configured"}
    said = xmp.read(carriers.read_packets(labelled, "a"))
    assert (len(said.labels), said.source_types) == (1, ())


def test_a_file_is_labelled_once(labeller, form):
    labelled = labeller.label_file(encode(COVER, form), "a", ORIGIN)
    assert labeller.label_file(labelled, "a", ORIGIN) == labelled


def test_what_is_changed_after_signing_is_seen(labeller, form):
    signed = labeller.apply(COVER, form, ORIGIN)
    changed = carriers.inject(signed, xmp.write(None, AigcLabel(producer=PRODUCER).write(), xmp.TRAINED), "a")
    verdicts = {verdict.check: verdict for verdict in labeller.verify(changed, "a", "zh")}
    assert verdicts["label.implicit"].decision == "pass"
    assert verdicts["label.c2pa"].decision == "block"
    assert "mismatch" in verdicts["label.c2pa"].detail


def test_encoding_again_loses_what_is_not_on_the_pixels(labeller):
    from integrations.pictures import decode

    again = encode(decode(labeller.apply(COVER, "png", ORIGIN), "a"), "jpeg")
    assert decisions(labeller.verify(again, "a", "zh")) == {
        "visible": "pass", "implicit": "block", "iptc": "block", "c2pa": "block"}


def test_the_library_itself_reads_who_made_it(labeller, form):
    found = read_signature(labeller.apply(COVER, form, ORIGIN), form, b"")
    assert found.state == "Valid"
    assert found.source_types == (xmp.TRAINED,)


def test_a_stranger_reads_the_same(labeller, form, exiftool, tmp_path):
    path = tmp_path / f"a.{form}"
    path.write_bytes(labeller.apply(COVER, form, ORIGIN))
    tags = exiftool(path)
    label = json.loads(tags["XMP-TC260:Aigc"])
    assert tuple(label) == KEYS
    assert (label["Label"], label["ContentProducer"], label["ProduceID"]) == ("1", PRODUCER, ORIGIN.picture_id)
    assert tags["XMP-iptcExt:DigitalSourceType"] == xmp.TRAINED
    assert not [name for name in tags if name.endswith(("Warning", "Error"))]


@pytest.mark.parametrize(("packet", "told"), [
    (xmp.write(None, AigcLabel(producer="other").write(), xmp.TRAINED), "names the producer 'other'"),
    (xmp.write(None, "{}", xmp.TRAINED), "has not exactly the keys"),
    (xmp.write(None, AigcLabel(producer=PRODUCER).write(), None).replace(
        b"</rdf:RDF>", b'<rdf:Description xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" TC260:AIGC="{}"/></rdf:RDF>'),
     "has 2 implicit labels"),
])
def test_a_label_that_is_not_ours_broken_or_double_is_told(packet, told):
    labeller = PictureLabeller(LabelPolicy(visible=False, producer=PRODUCER))
    verdicts = {each.check: each for each in labeller.verify(carriers.inject(encode(COVER, "png"), packet, "a"), "a", "zh")}
    assert verdicts["label.implicit"].decision == "block"
    assert told in verdicts["label.implicit"].detail


def test_another_producers_label_is_not_overwritten():
    theirs = PictureLabeller(LabelPolicy(visible=False, producer="theirs")).apply(COVER, "png", ORIGIN)
    with pytest.raises(Refused, match="a: it is labelled already, as made by 'theirs'"):
        PictureLabeller(LabelPolicy(visible=False, producer="ours")).label_file(theirs, "a", ORIGIN)


def test_what_is_signed_is_not_changed(labeller):
    signed = labeller.apply(COVER, "webp", ORIGIN)
    with pytest.raises(Refused, match="signed by C2PA"):
        PictureLabeller(LabelPolicy(corner="top-left", producer=PRODUCER)).label_file(signed, "a", ORIGIN)


def test_a_photographers_words_stay():
    said = xmp.write(None, None, None).replace(
        b"</rdf:RDF>", b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="harbour"/></rdf:RDF>')
    labelled = PictureLabeller(LabelPolicy()).label_file(saved(COVER, "jpeg", xmp=said), "a", ORIGIN)
    (packet,) = carriers.read_packets(labelled, "a")
    assert b"harbour" in packet


def test_a_colour_profile_stays_though_words_are_put_on_the_picture(form):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    labelled = PictureLabeller(LabelPolicy()).label_file(saved(COVER, form, icc_profile=profile), "a", ORIGIN)
    with Image.open(BytesIO(labelled)) as image:
        assert image.info["icc_profile"] == profile


def test_what_is_transparent_takes_no_words_but_the_other_labels():
    file = BytesIO()
    Image.new("RGBA", (300, 200), (10, 200, 30, 77)).save(file, "PNG")
    with pytest.raises(Refused, match="a: it is transparent"):
        PictureLabeller(LabelPolicy()).label_file(file.getvalue(), "a", ORIGIN)
    labelled = PictureLabeller(LabelPolicy(visible=False)).label_file(file.getvalue(), "a", ORIGIN)
    assert np.array_equal(pixels_of(labelled), pixels_of(file.getvalue()))


@pytest.mark.parametrize("packet", [xmp.write(None, "{}", None), b"<x", b"no XML at all"])
def test_what_cannot_be_read_is_refused_by_the_files_name(packet):
    data = carriers.inject(encode(COVER, "png"), packet, "a")
    with pytest.raises(Refused, match=r"^cover\.png: "):
        PictureLabeller(LabelPolicy(visible=False)).label_file(data, "cover.png", ORIGIN)


def test_a_policy_that_no_file_can_carry_is_refused():
    with pytest.raises(Refused, match="ContentProducer is '某公司'"):
        LabelPolicy(producer="某公司")
    with pytest.raises(Refused, match="must name AI"):
        LabelPolicy(text="封面")


def test_policies_are_told_apart(signer):
    changes = ({}, {"visible": False}, {"producer": "a"}, {"corner": "top-left"}, {"iptc": False})
    policies = [PictureLabeller(LabelPolicy(**change), each).policy for each in (None, signer) for change in changes]
    assert len(set(policies)) == len(policies)
