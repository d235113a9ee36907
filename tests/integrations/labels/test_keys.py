import stat
from datetime import UTC, datetime, timedelta

import pytest

from integrations.errors import Refused
from integrations.labels import keys
from integrations.labels.signing import C2paSigner


def test_keys_are_private_and_never_overwritten(tmp_path):
    made = keys.make_keys(tmp_path / "keys", "Blog")
    assert [path.name for path in made] == [keys.CERTIFICATE, keys.KEY, keys.ROOT, keys.ROOT_KEY]
    for path in made:
        assert path.suffix != ".key" or not stat.S_IMODE(path.stat().st_mode) & 0o077
    with pytest.raises(Refused, match=r"signer\.crt exists"):
        keys.make_keys(tmp_path / "keys", "Blog")


def test_a_signer_ends_in_a_year(key_folder):
    left = keys.expiry((key_folder / keys.CERTIFICATE).read_bytes()) - datetime.now(UTC)
    assert timedelta(days=363) < left < timedelta(days=366)


@pytest.mark.parametrize("owner", ["", "  ", "x" * 61, "a\nb"])
def test_an_owner_has_a_name(tmp_path, owner):
    with pytest.raises(Refused, match="the name"):
        keys.make_keys(tmp_path, owner)


def test_what_is_no_key_is_refused(key_folder):
    certificates = (key_folder / keys.CERTIFICATE).read_bytes()
    with pytest.raises(Refused, match="certificate and key for C2PA cannot be used"):
        C2paSigner(certificates, b"no key", keys.root_of(certificates), "fengmian")
    with pytest.raises(Refused, match="holds no certificate"):
        keys.root_of(b"nothing")
