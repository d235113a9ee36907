import json

import pytest

from integrations.cache import record
from tests.integrations.cache.covers import FINGERPRINT, a_cover


def test_a_record_is_readable_json_with_chinese_left_as_it_is():
    text = record.encode(a_cover()).decode()
    assert json.loads(text)["fingerprint"] == FINGERPRINT
    assert "在线赌博网站" in text


def changed(**fields) -> bytes:
    return json.dumps(json.loads(record.encode(a_cover())) | fields).encode()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        record.encode(a_cover())[:-20],
        changed(files=[{"path": "a"}]),
        changed(files="none"),
        changed(created_at="yesterday"),
        changed(fingerprint="cd" * 32),
    ],
)
def test_a_damaged_record_is_a_miss_with_a_warning(damaged, caplog):
    assert record.decode(damaged, FINGERPRINT) is None
    assert f"record of {FINGERPRINT}" in caplog.text


def test_a_field_from_a_newer_version_is_ignored():
    assert record.decode(changed(colour="red"), FINGERPRINT) == a_cover()


def test_a_lone_surrogate_in_quoted_text_does_not_lose_the_record():
    cover = a_cover()
    object.__setattr__(cover.verdicts[0].findings[0], "context", "a\ud800b")
    assert record.decode(record.encode(cover), FINGERPRINT).verdicts[0].findings[0].context == "a?b"


def test_scores_that_are_not_numbers_come_back():
    cover = a_cover()
    cover.verdicts[0].scores["nsfw"] = float("inf")
    assert record.decode(record.encode(cover), FINGERPRINT).verdicts[0].scores == {"nsfw": float("inf")}
