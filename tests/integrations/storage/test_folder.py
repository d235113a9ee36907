import errno
import os
import stat
import subprocess
import sys
import time

import pytest

from integrations.errors import Unavailable
from integrations.storage.folder import FolderImageStore
from tests.integrations.storage.bytes_of import PICTURE, a_name


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "covers"


@pytest.fixture
def store(folder):
    return FolderImageStore(folder)


def test_without_a_base_url_the_address_is_the_files_path(store, folder):
    assert store.put(a_name(), PICTURE, "image/png") == str(folder / a_name())
    assert (folder / a_name()).read_bytes() == PICTURE


def test_a_relative_folder_gives_an_absolute_path(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    address = FolderImageStore(folder.relative_to(folder.parent)).put(a_name(), PICTURE, "image/png")
    assert address == str(folder / a_name())


def test_an_intact_file_is_left_untouched(store, folder):
    store.put(a_name(), PICTURE, "image/png")
    before = os.stat(folder / a_name())
    store.put(a_name(), PICTURE, "image/png")
    after = os.stat(folder / a_name())
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("damage", [b"", PICTURE[:100], PICTURE[:-1] + b"?", PICTURE + b"more"])
def test_a_damaged_file_is_a_miss_and_the_next_put_mends_it(store, folder, damage, caplog):
    store.put(a_name(), PICTURE, "image/png")
    (folder / a_name()).write_bytes(damage)
    assert store.get(a_name()) is None
    assert f"holds {len(damage)} other bytes" in caplog.text
    store.put(a_name(), PICTURE, "image/png")
    assert store.get(a_name()) == PICTURE


def test_nothing_but_the_picture_is_left_behind(store, folder):
    store.put(a_name(), PICTURE, "image/png")
    assert [file.name for file in (folder / "ab").iterdir()] == [a_name()[3:]]


def test_the_web_server_may_read_the_file(store, folder):
    before = os.umask(0o022)
    try:
        store.put(a_name(), PICTURE, "image/png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / a_name()).stat().st_mode) == 0o644


def test_a_full_disk_is_unavailable_and_leaves_nothing(store, folder, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match=r"^folder: cannot store .*\.png: No space left on device$"):
        store.put(a_name(), PICTURE, "image/png")
    assert list((folder / "ab").iterdir()) == []


def test_a_file_system_without_links_still_stores(store, monkeypatch):
    def no_links(*_) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store.put(a_name(), PICTURE, "image/png")
    assert store.get(a_name()) == PICTURE


def test_a_file_where_the_folder_should_be_is_unavailable(store, folder):
    folder.write_text("")
    with pytest.raises(Unavailable, match=r"^folder: cannot store "):
        store.put(a_name(), PICTURE, "image/png")
    with pytest.raises(Unavailable, match=r"^folder: cannot read "):
        store.get(a_name())


def test_processes_that_store_one_picture_together_all_succeed(folder):
    program = (
        "import sys; from pathlib import Path; from integrations.storage.folder import FolderImageStore;"
        "from tests.integrations.storage.bytes_of import PICTURE, a_name;"
        "[FolderImageStore(Path(sys.argv[1])).put(a_name(PICTURE * i), PICTURE * i, 'image/png') for i in range(30)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(folder)]) for _ in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert all(FolderImageStore(folder).get(a_name(PICTURE * i)) == PICTURE * i for i in range(30))
    assert len(list((folder / "ab").iterdir())) == 30


def test_files_of_others_are_never_listed(store, folder):
    store.put(a_name(), PICTURE, "image/png")
    for name in ("notes.txt", "ab/notes.txt", "ab/.draft", "logo.png", "ab/cd/" + a_name()[3:]):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"mine")
    assert list(store.list_names(time.time() + 60)) == [a_name()]


def test_an_old_file_is_told_from_a_new_one(store, folder):
    store.put(a_name(), PICTURE, "image/png")
    store.put(a_name(b"new"), b"new", "image/png")
    os.utime(folder / a_name(), (1000, 1000))
    assert list(store.list_names(2000)) == [a_name()]
