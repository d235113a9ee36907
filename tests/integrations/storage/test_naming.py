import hashlib

import pytest

from integrations.errors import Refused
from integrations.storage.naming import check_base_url, check_name, check_put, holds, object_name, public_address
from tests.integrations.storage.bytes_of import FINGERPRINT, PICTURE, a_name


def test_a_name_says_fingerprint_size_and_content():
    digest = hashlib.sha256(PICTURE).hexdigest()[:12]
    assert object_name(FINGERPRINT, 1200, 630, PICTURE, "webp") == f"ab/{FINGERPRINT}-1200x630-{digest}.webp"


def test_other_bytes_get_another_name():
    assert a_name(PICTURE) != a_name(PICTURE + b"!")


@pytest.mark.parametrize("fingerprint", ["", "ab" * 31, "AB" * 32, "../" + "a" * 61, "ab" * 32 + "\n"])
def test_a_fingerprint_that_is_none_is_named(fingerprint):
    with pytest.raises(ValueError, match=r"^fingerprint: .* is not 64 lower-case hex digits$"):
        object_name(fingerprint, 1200, 630, PICTURE, "png")


@pytest.mark.parametrize(("width", "format"), [(0, "png"), (-1, "png"), (100000, "png"), (1200, "gif")])
def test_a_size_or_format_out_of_range_is_refused(width, format):
    with pytest.raises(ValueError, match=r"^name: .* is not <2 hex>/"):
        object_name(FINGERPRINT, width, 630, PICTURE, format)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "cover.png",
        "../" + a_name(),
        "/" + a_name(),
        a_name() + "\n",
        a_name() + "/../x",
        "cd" + a_name()[2:],
        a_name().replace("/", "\\"),
        a_name().upper(),
        a_name() + "\0",
    ],
)
def test_a_name_that_is_not_ours_is_refused(name):
    with pytest.raises(Refused, match=r"^storage: the name .* is not <2 hex>/"):
        check_name(name)


def test_bytes_that_are_not_what_the_name_says_are_refused():
    with pytest.raises(Refused, match=r"names other bytes than the 5 given, whose hash is 2cf24dba5fb0$"):
        check_put(a_name(), b"hello", "image/png")


@pytest.mark.parametrize("content_type", ["image/webp", "text/html", ""])
def test_a_content_type_that_does_not_fit_the_name_is_refused(content_type):
    with pytest.raises(Refused, match=r"it must be image/png$"):
        check_put(a_name(), PICTURE, content_type)


def test_holds_tells_whole_files_from_cut_ones():
    assert holds(a_name(), PICTURE)
    assert not holds(a_name(), PICTURE[:-1])


def test_an_address_has_one_slash_between_base_and_name():
    assert public_address("https://cdn.test/x/", "a/b.png") == public_address("https://cdn.test/x", "a/b.png")
    assert public_address("/covers", "a/b.png") == "/covers/a/b.png"


@pytest.mark.parametrize("base_url", ["", "cdn.test", "ftp://cdn.test", "javascript:alert(1)"])
def test_a_base_url_no_page_can_use_is_refused(base_url):
    with pytest.raises(ValueError, match=r"^storage: base_url is .*; it must start with http://, https:// or /$"):
        check_base_url(base_url)
