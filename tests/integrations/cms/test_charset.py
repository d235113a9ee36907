"""Bytes of posts in whatever encoding, also wrongly declared and damaged ones, to text and back."""

import codecs

import pytest

from integrations.cms.charset import MAX_BYTES, decode
from integrations.errors import Refused

SIMPLIFIED = "只有开放才能打败封锁，这是今天的题目。"
TRADITIONAL = "只有開放才能打敗封鎖，這是今天的題目。"


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "gb18030"])
@pytest.mark.parametrize("declared", ["", "utf-8", "UTF-8", "gb2312", "nonsense", "ascii"])
def test_simplified_chinese_is_read_whatever_is_declared(encoding, declared):
    assert decode(SIMPLIFIED.encode(encoding), "p", declared).text == SIMPLIFIED


@pytest.mark.parametrize("declared", ["", "utf-8", "big5"])
def test_big5_is_told_from_gbk(declared):
    assert decode(TRADITIONAL.encode("big5"), "p", declared).text == TRADITIONAL


@pytest.mark.parametrize(("mark", "encoding"), [
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be")])
def test_a_byte_order_mark_decides_and_is_kept(mark, encoding):
    data = mark + SIMPLIFIED.encode(encoding)
    decoded = decode(data, "p", "gbk")
    assert decoded.text == SIMPLIFIED
    assert decoded.encode(decoded.text) == data


@pytest.mark.parametrize("data", [
    b"", b"plain", SIMPLIFIED.encode("gbk"), TRADITIONAL.encode("big5"), b"a\xed\xa0\x80b", b"line\r\nmixed\nends\r",
    b"caf\xe9 and na\xefve words", SIMPLIFIED.encode() * 9 + b"\xe5\xbc", "日本語の文章です。".encode("shift_jis")])
def test_nothing_is_lost_on_the_way_to_text_and_back(data):
    decoded = decode(data, "p")
    assert decoded.encode(decoded.text) == data


def test_utf8_with_one_broken_character_is_still_utf8():
    decoded = decode(SIMPLIFIED.encode() * 9 + b"\xe5\xbc" + SIMPLIFIED.encode(), "p")
    assert decoded.encoding == "utf-8"
    assert SIMPLIFIED in decoded.text


def test_nul_bytes_are_refused_with_their_place():
    with pytest.raises(Refused, match=r"p\.md: it contains a NUL byte at 5"):
        decode(b"words\0more", "p.md")


def test_more_than_ten_megabytes_are_refused():
    with pytest.raises(Refused, match=r"p\.md: it has 10485761 bytes; at most 10485760"):
        decode(b"x" * (MAX_BYTES + 1), "p.md")


def test_a_mark_that_lies_is_refused():
    with pytest.raises(Refused, match="its mark says utf-8"):
        decode(codecs.BOM_UTF8 + b"\xff\xff", "p.md")


def test_a_character_that_the_encoding_lacks_is_refused_on_writing():
    with pytest.raises(Refused, match="cannot be written in big5"):
        decode(TRADITIONAL.encode("big5"), "p").encode("\ud800")
