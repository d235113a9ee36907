"""What every ImageStore promises, in a folder, on a real RadosGW and in memory."""

import threading
import time

import pytest

from integrations.errors import Refused
from integrations.local import MemoryImageStore
from integrations.storage.folder import FolderImageStore
from tests.integrations.storage.buckets import make_bucket
from tests.integrations.storage.bytes_of import PICTURE, a_name


@pytest.fixture(params=["memory", "folder", pytest.param("s3", marks=pytest.mark.service("s3"))])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryImageStore()
    if request.param == "folder":
        return FolderImageStore(tmp_path / "new" / "covers", "https://blog.test/covers/")
    return make_bucket(request.getfixturevalue("radosgw")).store


def test_an_unknown_picture_is_none(store):
    assert store.get(a_name()) is None


def test_a_stored_picture_comes_back_byte_for_byte(store):
    store.put(a_name(), PICTURE, "image/png")
    assert store.get(a_name()) == PICTURE


def test_its_address_ends_with_its_name(store):
    address = store.put(a_name(), PICTURE, "image/png")
    assert address.startswith("http")
    assert address.endswith(f"/{a_name()}")


def test_storing_it_again_gives_the_same_address(store):
    first = store.put(a_name(), PICTURE, "image/png")
    assert store.put(a_name(), PICTURE, "image/png") == first
    assert store.get(a_name()) == PICTURE


def test_png_and_webp_of_one_cover_lie_side_by_side(store):
    store.put(a_name(), PICTURE, "image/png")
    store.put(a_name(b"webp", format="webp"), b"webp", "image/webp")
    assert (store.get(a_name()), store.get(a_name(b"webp", format="webp"))) == (PICTURE, b"webp")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a.png", a_name() + "\0"])
def test_an_unsafe_name_is_refused_for_writing_reading_and_deleting(store, name):
    with pytest.raises(Refused, match="storage: the name"):
        store.put(name, PICTURE, "image/png")
    with pytest.raises(Refused, match="storage: the name"):
        store.get(name)
    with pytest.raises(Refused, match="storage: the name"):
        store.delete(name)


def test_bytes_that_do_not_fit_the_name_are_refused_and_not_stored(store):
    with pytest.raises(Refused, match="names other bytes"):
        store.put(a_name(), PICTURE[:-1], "image/png")
    assert store.get(a_name()) is None


def test_many_writers_of_one_name_all_get_its_address(store):
    addresses, failures = [], []

    def write() -> None:
        try:
            addresses.append(store.put(a_name(), PICTURE, "image/png"))
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=write) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(addresses) == 12
    assert len(set(addresses)) == 1
    assert store.get(a_name()) == PICTURE


def test_stored_pictures_are_listed_by_their_age(store):
    begun = time.time()
    store.put(a_name(), PICTURE, "image/png")
    store.put(a_name(b"webp", format="webp"), b"webp", "image/webp")
    assert set(store.list_names(begun + 60)) == {a_name(), a_name(b"webp", format="webp")}
    assert list(store.list_names(begun - 60)) == []


def test_a_deleted_picture_is_gone_and_others_stay(store):
    store.put(a_name(), PICTURE, "image/png")
    store.put(a_name(b"webp", format="webp"), b"webp", "image/webp")
    store.delete(a_name())
    store.delete(a_name())
    assert store.get(a_name()) is None
    assert list(store.list_names(time.time() + 60)) == [a_name(b"webp", format="webp")]


def test_a_store_that_was_never_used_lists_nothing(store):
    assert list(store.list_names(time.time() + 60)) == []
