"""What the key ring promises, on SQLite and on a real PostgreSQL."""

import re

import pytest
from sqlalchemy import select

from integrations.errors import NotFound
from integrations.gateway.keys import NewKey, SqlKeyRing, may_cover
from integrations.gateway.tables import keys

PEPPER = b"a pepper of the tests"


@pytest.fixture
def ring(database, clock):
    return SqlKeyRing(database, PEPPER, clock)


def a_key(ring, **changes):
    return ring.create(NewKey(**{"tenant": "acme", "scopes": ["covers:write"], "sites": ["blog"], **changes}))


def test_a_key_is_shown_once_and_opens_what_it_is_for(ring):
    secret, kept = a_key(ring, per_day=5)
    assert re.fullmatch(r"fm_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", secret)
    found = ring.find(secret)
    assert (found.prefix, found.last4, found.tenant, found.per_day) == (secret[3:11], secret[-4:], "acme", 5)
    assert (found.scopes, found.sites) == ({"covers:write"}, {"blog"})
    assert kept.prefix == found.prefix


def test_the_table_holds_no_key_and_is_worth_nothing_under_another_pepper(database, ring):
    secret, _ = a_key(ring)
    with database.begin() as db:
        assert secret[12:] not in str(db.execute(select(keys)).one())
    assert SqlKeyRing(database, b"another pepper of 21").find(secret) is None


@pytest.mark.parametrize("spoil", [
    lambda key: "", lambda key: key[:-1], lambda key: key + "A", lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
    lambda key: key.replace("fm_", "fm-"), lambda key: f" {key}", lambda key: f"{key}\n", lambda key: key[:11] + "_" + "A" * 43,
    lambda key: "fm_aaaaaaaa_" + key[12:], lambda key: "x" * 100_000, lambda key: "fm_' OR 1=1_" + key[12:]])
def test_what_is_not_the_key_opens_nothing(ring, spoil):
    secret, _ = a_key(ring)
    assert ring.find(spoil(secret)) is None


def test_a_revoked_key_opens_nothing_from_then_on(ring, clock):
    secret, kept = a_key(ring)
    clock.now += 1
    assert ring.revoke(kept.prefix).revoked_at == clock.now
    assert ring.find(secret) is None
    clock.now += 1
    assert ring.revoke(kept.prefix).revoked_at == clock.now - 1


def test_what_is_no_key_cannot_be_revoked(ring):
    with pytest.raises(NotFound, match=r"^keys: no key begins with fm_nothing1_$"):
        ring.revoke("nothing1")


def test_its_last_use_is_noted_once_a_minute(ring, clock):
    secret, _ = a_key(ring)
    ring.find(secret)
    first = clock.now
    clock.now += 30
    ring.find(secret)
    assert [key.last_used_at for key in ring.list()] == [first]
    clock.now += 31
    ring.find(secret)
    assert [key.last_used_at for key in ring.list()] == [clock.now]


def test_the_list_holds_every_key_the_revoked_too(ring):
    a_key(ring, tenant="zebra")
    _, revoked = a_key(ring)
    ring.revoke(revoked.prefix)
    assert [(key.tenant, key.revoked_at is None) for key in ring.list()] == [("acme", False), ("zebra", True)]


@pytest.mark.parametrize(("changes", "line"), [
    ({"tenant": "Acme"}, "tenant: 'Acme' must be 1 to 40 small letters"), ({"tenant": ""}, "tenant: '' must be"),
    ({"scopes": ["covers:write", "all"]}, "scope: 'all' is not one of covers:write, jobs:read, images:generate"),
    ({"scopes": []}, "scope: a key without any opens nothing"), ({"per_day": -1}, "per_day: -1 is not from 0 to")])
def test_a_key_that_makes_no_sense_is_refused(ring, changes, line):
    with pytest.raises(ValueError, match=f"^{line}"):
        a_key(ring, **changes)


def test_a_short_pepper_is_refused(database):
    with pytest.raises(ValueError, match=r"^pepper has 5 bytes; it must have at least 16$"):
        SqlKeyRing(database, b"short")


def test_a_key_is_for_its_own_sites_or_for_any(ring):
    _, one = a_key(ring)
    _, all_of_them = a_key(ring, sites=["*"])
    assert (may_cover(one, "blog"), may_cover(one, "shop"), may_cover(all_of_them, "shop")) == (True, False, True)
