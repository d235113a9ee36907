"""Database: one engine over the tables of one part of the project, SQLite alone or PostgreSQL in a fleet."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, OperationalError, ProgrammingError, SQLAlchemyError

from integrations.errors import Refused, Unavailable

TIMEOUT_S = 5
BACKENDS = ("sqlite", "postgresql")
schema = Table("fengmian_schema", MetaData(), Column("part", String(20), primary_key=True),
               Column("version", Integer, nullable=False))


class Database:
    """Tables that are made on first use. part: whose they are; several parts may share a database. version: of the tables.

    url: as SQLAlchemy writes it, sqlite:///FILE or postgresql+psycopg://… Raises ValueError, which does not show it.
    """

    def __init__(self, url: str, part: str, tables: MetaData, version: int) -> None:
        self._part, self._tables, self._version = part, tables, version
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() not in BACKENDS:
                raise ArgumentError("another backend")
            is_sqlite = parsed.get_backend_name() == "sqlite"
            limits: dict[str, Any] = {"timeout": TIMEOUT_S} if is_sqlite else {
                "connect_timeout": TIMEOUT_S, "options": f"-c statement_timeout={TIMEOUT_S * 1000}"}
            self.engine: Engine = create_engine(parsed, pool_size=20, max_overflow=0, pool_timeout=TIMEOUT_S,
                                                pool_pre_ping=not is_sqlite, connect_args=limits)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, TypeError, ValueError):
            raise ValueError("database_url is no database address: it must be sqlite:///FILE or "
                             "postgresql+psycopg://USER:PASSWORD@HOST/NAME") from None
        # One statement needs no transaction on a server; SQLite's own begin is told in _begin_sqlite.
        self._reader = self.engine.execution_options(**({"only_reads": True} if is_sqlite else {"isolation_level": "AUTOCOMMIT"}))
        self._where = parsed.render_as_string(hide_password=True)
        self._file = Path(parsed.database) if is_sqlite and parsed.database else None
        self._is_made = False
        if is_sqlite:
            event.listen(self.engine, "connect", _settle_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def begin(self, *, only_reads: bool = False) -> Iterator[Connection]:
        """A transaction; readers need not wait for writers. Raises Unavailable, Refused for a schema of another version."""
        try:
            if not self._is_made:
                self._make()
            with (self._reader if only_reads else self.engine).begin() as db:
                yield db
        except (OperationalError, ProgrammingError) as exc:
            error = Unavailable if isinstance(exc, OperationalError) else Refused  # no permission, say
            raise error(f"database: {self._where}: {str(exc.orig).strip() or type(exc.orig).__name__}") from exc
        except (SQLAlchemyError, OSError) as exc:
            raise Unavailable(f"database: {self._where}: {type(exc).__name__}") from exc

    def _make(self) -> None:
        """Two processes may start together: whoever comes second finds what it wanted to make."""
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        for tables in (schema.metadata, self._tables):
            try:
                tables.create_all(self.engine)
            except (OperationalError, ProgrammingError, IntegrityError):
                tables.create_all(self.engine)
        own = select(schema.c.version).where(schema.c.part == self._part)
        with self.engine.begin() as db:
            found = db.scalar(own)
            if found is None:
                try:
                    with db.begin_nested():
                        db.execute(insert(schema).values(part=self._part, version=self._version))
                except IntegrityError:
                    found = db.scalar(own)
        if found not in (None, self._version):
            raise Refused(f"database: {self._where}: the {self._part} has tables of version {found}; "
                          f"this is made for {self._version}")
        self._is_made = True

    def close(self) -> None:
        """Close its connections."""
        self.engine.dispose()


def _settle_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late to be IMMEDIATE
    for pragma in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {TIMEOUT_S * 1000}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(db: Connection) -> None:
    """Writers wait for each other at the beginning, where waiting is safe."""
    db.exec_driver_sql("BEGIN" if db.get_execution_options().get("only_reads") else "BEGIN IMMEDIATE")
