import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from integrations.errors import Refused
from integrations.labels.aigc import KEYS, AigcLabel


def test_a_label_is_the_standards_seven_keys_in_order():
    text = AigcLabel(producer="001191110000000000000X10001", produce_id="abc").write()
    assert list(json.loads(text)) == list(KEYS)
    assert json.loads(text) == {"Label": "1", "ContentProducer": "001191110000000000000X10001", "ProduceID": "abc",
                                "ReservedCode1": "", "ContentPropagator": "", "PropagateID": "", "ReservedCode2": ""}
    assert AigcLabel.read(text).write() == text


@pytest.mark.parametrize(("values", "told"), [
    ({"producer": "某公司"}, "ContentProducer is '某公司'"),
    ({"producer": "a b"}, "ContentProducer is 'a b'"),
    ({"produce_id": 'a"b'}, "ProduceID"),
    ({"produce_id": "a\x7f"}, "ProduceID"),
    ({"propagator": "x" * 257}, "ContentPropagator"),
    ({"kind": "4"}, "Label is '4'"),
])
def test_what_the_standard_does_not_take_is_refused_by_name(values, told):
    with pytest.raises(Refused) as refused:
        AigcLabel(**values)
    assert told in str(refused.value)


@pytest.mark.parametrize("text", [
    "", "{}", "[]", "null", "{", '{"Label":"1"}', "[" * 100_000,
    AigcLabel().write().replace('"Label":"1"', '"Label":1'),
    AigcLabel().write().replace('"Label":"1"', '"Label":"1","Label":"1"'),
    AigcLabel().write().replace('"ProduceID":""', '"ProduceID":"一"'),
    AigcLabel().write().replace("ReservedCode2", "Reserved"),
])
def test_what_is_no_label_is_refused(text):
    with pytest.raises(Refused):
        AigcLabel.read(text)


@given(some.text())
def test_any_text_is_a_label_or_refused(text):
    try:
        label = AigcLabel.read(text)
    except Refused:
        return
    assert AigcLabel.read(label.write()) == label
