"""exiftool: an independent reader of what picture files say of themselves."""

import json
import subprocess

import pytest

from tests.services.process import needs, or_skip


@pytest.fixture(scope="session")
def exiftool(request):
    """Reads a file's tags, as "Group:Name"."""
    with or_skip(request, "exiftool"):
        needs("exiftool")

    def read(path):
        words = ["exiftool", "-json", "-G1", "-struct", "-a", str(path)]
        return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)[0]

    return read
