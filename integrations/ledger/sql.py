"""SqlLedger: what happened to every post, in one table. SQLite alone, PostgreSQL in a fleet."""

import time
from collections.abc import Iterator, Sequence

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from integrations.database import Database
from integrations.ports import Entry, Happening, Ledger

SCHEMA = 1
PAGE = 500
metadata = MetaData()
entries = Table(
    "fengmian_ledger", metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("site", Text, nullable=False),
    Column("post_id", Text, nullable=False),
    Column("happening", String(20), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("content", JSON, nullable=False),
    Index("fengmian_ledger_post", "site", "post_id"),
    Index("fengmian_ledger_time", "site", "at"),
    sqlite_autoincrement=True,  # else a number would be given again after its entry was forgotten
)


class SqlLedger(Ledger):
    """A ledger at an address that SQLAlchemy knows."""

    def __init__(self, url: str) -> None:
        """Opens nothing yet. Raises ValueError for what is no address, without showing it: it may hold a password."""
        self._database = Database(url, "ledger", metadata, SCHEMA)

    def append(self, entry: Entry) -> int:
        """Add it; its number. Raises Unavailable."""
        values = {"at": entry.at or time.time(), "site": entry.site, "post_id": entry.post_id, "happening": entry.happening,
                  "fingerprint": entry.fingerprint, "content": dict(entry.content)}
        with self._database.begin() as connection:
            number = connection.execute(insert(entries).values(**values)).inserted_primary_key
        assert number is not None
        return int(number[0])

    def entries(self, *, site: str | None = None, post_id: str | None = None, happening: Happening | None = None,
                since: float = 0, newest_first: bool = False) -> Iterator[Entry]:
        """Those that fit. Read in pages, so that a reader who stops early asks for no more. Raises Unavailable."""
        wanted = [entries.c.at >= since]
        wanted += [column == value for column, value in ((entries.c.site, site), (entries.c.post_id, post_id),
                                                         (entries.c.happening, happening)) if value is not None]
        last: int | None = None
        while True:
            beyond = [] if last is None else [entries.c.number < last if newest_first else entries.c.number > last]
            order = entries.c.number.desc() if newest_first else entries.c.number
            with self._database.begin(only_reads=True) as connection:
                rows = connection.execute(select(entries).where(*wanted, *beyond).order_by(order).limit(PAGE)).all()
            for row in rows:
                yield Entry(number=row.number, at=row.at, site=row.site, post_id=row.post_id, happening=row.happening,
                            fingerprint=row.fingerprint, content=row.content)
            if len(rows) < PAGE:
                return
            last = rows[-1].number

    def count(self, happenings: Sequence[Happening], before: float) -> int:
        """How many of these are older than that moment. Raises Unavailable."""
        with self._database.begin(only_reads=True) as connection:
            return int(connection.scalar(select(func.count()).select_from(entries).where(*_older(happenings, before))) or 0)

    def forget(self, happenings: Sequence[Happening], before: float) -> int:
        """Take those away, for good; how many they were. Raises Unavailable."""
        with self._database.begin() as connection:
            return connection.execute(delete(entries).where(*_older(happenings, before))).rowcount


def _older(happenings: Sequence[Happening], before: float) -> tuple[ColumnElement[bool], ...]:
    return entries.c.happening.in_(happenings), entries.c.at < before
