"""SqlKeyRing: API keys, shown once when they are made and kept only as an HMAC under the gateway's pepper."""

import hmac
import re
import secrets
import string
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, or_, select, update

from integrations.database import Database
from integrations.errors import NotFound
from integrations.gateway.ports import ANY_SITE, SCOPES, ApiKey, KeyRing
from integrations.gateway.tables import keys

LETTERS = string.ascii_lowercase + string.digits
FORM = re.compile(r"fm_([a-z0-9]{8})_[A-Za-z0-9_-]{43}")
MIN_PEPPER = 16
USE_NOTED_EVERY_S = 60


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """What a key is to be for. Raises ValueError naming the value and the rule."""

    tenant: str
    scopes: Collection[str]
    sites: Collection[str] = ()
    per_minute: int | None = None
    per_day: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", self.tenant):
            raise ValueError(f"tenant: {self.tenant[:60]!r} must be 1 to 40 small letters, digits and hyphens")
        if unknown := sorted(set(self.scopes) - set(SCOPES)):
            raise ValueError(f"scope: {unknown[0]!r} is not one of {', '.join(SCOPES)}")
        if not self.scopes:
            raise ValueError(f"scope: a key without any opens nothing; give some of {', '.join(SCOPES)}")
        for name, limit in (("per_minute", self.per_minute), ("per_day", self.per_day)):
            if limit is not None and not 0 <= limit < 2**53:
                raise ValueError(f"{name}: {limit} is not from 0 to 2**53-1")


class SqlKeyRing(KeyRing):
    """pepper: a secret of the gateway's own, without which the table is worth nothing. Raises ValueError if it is short."""

    def __init__(self, database: Database, pepper: bytes, clock: Callable[[], float] = time.time) -> None:
        if len(pepper) < MIN_PEPPER:
            raise ValueError(f"pepper has {len(pepper)} bytes; it must have at least {MIN_PEPPER}")
        self._database, self._pepper, self._clock = database, pepper, clock

    def find(self, presented: str) -> ApiKey | None:
        """The key, if it is one of ours and not revoked; its use is noted, about once a minute."""
        form = FORM.fullmatch(presented)
        if not form:
            return None
        with self._database.begin(only_reads=True) as db:
            row = db.execute(select(keys).where(keys.c.prefix == form[1])).one_or_none()
        if row is None or not hmac.compare_digest(row.hash, self._hash(presented)) or row.revoked_at is not None:
            return None
        self._note_use(row)
        return _key(row)

    def create(self, wanted: NewKey) -> tuple[str, ApiKey]:
        """A new key and what is kept of it: the only time that it is seen."""
        prefix = "".join(secrets.choice(LETTERS) for _ in range(8))
        secret = f"fm_{prefix}_{secrets.token_urlsafe(32)}"
        kept = {"prefix": prefix, "hash": self._hash(secret), "last4": secret[-4:], "tenant": wanted.tenant,
                "scopes": sorted(set(wanted.scopes)), "sites": sorted(set(wanted.sites)), "per_minute": wanted.per_minute,
                "per_day": wanted.per_day, "created_at": self._clock()}
        with self._database.begin() as db:
            row = db.execute(insert(keys).values(**kept).returning(*keys.c)).one()
        return secret, _key(row)

    def list(self) -> list[ApiKey]:
        """All keys, the revoked too, by tenant and age."""
        with self._database.begin(only_reads=True) as db:
            return [_key(row) for row in db.execute(select(keys).order_by(keys.c.tenant, keys.c.created_at))]

    def revoke(self, prefix: str) -> ApiKey:
        """The key opens nothing from now on. Raises NotFound."""
        with self._database.begin() as db:
            db.execute(update(keys).where(keys.c.prefix == prefix, keys.c.revoked_at.is_(None)).values(revoked_at=self._clock()))
            row = db.execute(select(keys).where(keys.c.prefix == prefix)).one_or_none()
        if row is None:
            raise NotFound(f"keys: no key begins with fm_{prefix[:60]}_")
        return _key(row)

    def _note_use(self, row: Any) -> None:
        now = self._clock()
        if row.last_used_at is None or row.last_used_at < now - USE_NOTED_EVERY_S:
            late = or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < now - USE_NOTED_EVERY_S)
            with self._database.begin() as db:
                db.execute(update(keys).where(keys.c.prefix == row.prefix, late).values(last_used_at=now))

    def _hash(self, secret: str) -> str:
        return hmac.digest(self._pepper, secret.encode(), "sha256").hex()


def may_cover(key: ApiKey, site: str) -> bool:
    """Whether the key is for that site."""
    return site in key.sites or ANY_SITE in key.sites


def _key(row: Any) -> ApiKey:
    return ApiKey(prefix=row.prefix, last4=row.last4, tenant=row.tenant, scopes=frozenset(row.scopes),
                  sites=frozenset(row.sites), created_at=row.created_at, last_used_at=row.last_used_at,
                  revoked_at=row.revoked_at, per_minute=row.per_minute, per_day=row.per_day)
