"""Files that are kept for a while."""

import hashlib
import os
import time

import pytest

from integrations.storage.expiring import ExpiringFolder
from integrations.storage.naming import object_name

DATA = b"a picture"
NAME = object_name(hashlib.sha256(b"x").hexdigest(), 64, 64, DATA, "png")


def test_a_file_is_there_until_its_time_is_up(tmp_path):
    folder = ExpiringFolder(tmp_path, keep_s=60)
    path = folder.put(NAME, DATA, "image/png")
    assert folder.get(NAME) == DATA
    os.utime(path, (time.time() - 61, time.time() - 61))
    assert ExpiringFolder(tmp_path, keep_s=60).get(NAME) is None


def test_putting_it_again_keeps_it_anew(tmp_path):
    folder = ExpiringFolder(tmp_path, keep_s=60)
    path = folder.put(NAME, DATA, "image/png")
    os.utime(path, (time.time() - 59, time.time() - 59))
    folder.put(NAME, DATA, "image/png")
    assert time.time() - os.stat(path).st_mtime < 5


def test_a_time_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep_s: 0"):
        ExpiringFolder(tmp_path, keep_s=0)
