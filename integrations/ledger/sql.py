"""SqlLedger: what happened to every post, in one table. SQLite alone, PostgreSQL in a fleet."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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
    create_engine,
    delete,
    event,
    func,
    insert,
    make_url,
    select,
)
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from integrations.errors import Unavailable
from integrations.ports import Entry, Happening, Ledger

TIMEOUT_S = 10
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
        try:
            self._url = make_url(url)
            if self._url.get_backend_name() not in ("sqlite", "postgresql"):
                raise ValueError("database_url: only sqlite and postgresql are known")
            limit = {"timeout" if self._url.get_backend_name() == "sqlite" else "connect_timeout": TIMEOUT_S}
            self._engine = create_engine(self._url, pool_pre_ping=True, connect_args=limit)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError):
            raise ValueError("database_url: this is no address of a database, such as postgresql+psycopg://host/name") from None
        if self._url.get_backend_name() == "sqlite":
            _prepare_sqlite(self._engine)
        self._is_made = False

    def append(self, entry: Entry) -> int:
        """Add it; its number. Raises Unavailable."""
        values = {"at": entry.at or time.time(), "site": entry.site, "post_id": entry.post_id, "happening": entry.happening,
                  "fingerprint": entry.fingerprint, "content": dict(entry.content)}
        with self._connected() as connection:
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
            with self._connected() as connection:
                rows = connection.execute(select(entries).where(*wanted, *beyond).order_by(order).limit(PAGE)).all()
            for row in rows:
                yield Entry(number=row.number, at=row.at, site=row.site, post_id=row.post_id, happening=row.happening,
                            fingerprint=row.fingerprint, content=row.content)
            if len(rows) < PAGE:
                return
            last = rows[-1].number

    def count(self, happenings: Sequence[Happening], before: float) -> int:
        """How many of these are older than that moment. Raises Unavailable."""
        with self._connected() as connection:
            return int(connection.scalar(select(func.count()).select_from(entries).where(*_older(happenings, before))) or 0)

    def forget(self, happenings: Sequence[Happening], before: float) -> int:
        """Take those away, for good; how many they were. Raises Unavailable."""
        with self._connected() as connection:
            return connection.execute(delete(entries).where(*_older(happenings, before))).rowcount

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A transaction; the table is made on first use."""
        try:
            if not self._is_made:
                if self._url.get_backend_name() == "sqlite" and self._url.database:
                    Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
                metadata.create_all(self._engine)
                self._is_made = True
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as exc:
            reason = str(getattr(exc, "orig", None) or exc).splitlines()[0]
            raise Unavailable(f"ledger: {self._url.render_as_string(hide_password=True)}: {reason}") from exc


def _older(happenings: Sequence[Happening], before: float) -> tuple[ColumnElement[bool], ...]:
    return entries.c.happening.in_(happenings), entries.c.at < before


def _prepare_sqlite(engine: Engine) -> None:
    """Readers do not wait for the writer, and a commit is on the disk."""
    @event.listens_for(engine, "connect")
    def prepare(connection: object, _: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()
