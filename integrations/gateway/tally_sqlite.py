"""SqliteTally: the same promises in one SQLite file, for one machine and any number of processes."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from integrations.errors import Unavailable
from integrations.gateway.ports import Admission, Event, Tally

KEEP_EVENTS_S = 86_400
MAX_EVENTS = 1000
BUSY_S = 5.0
SWEEP_EVERY = 500
TABLES = (
    "CREATE TABLE IF NOT EXISTS counts (name TEXT, at INTEGER, used INTEGER NOT NULL, until REAL NOT NULL, "
    "PRIMARY KEY (name, at))",
    "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL, until REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, once TEXT, name TEXT NOT NULL, "
    "data TEXT NOT NULL, until REAL NOT NULL, UNIQUE (job, once))",
    "CREATE INDEX IF NOT EXISTS events_of_job ON events (job, id)",
)


class SqliteTally(Tally):
    """path: the database file, made with its folder on first use. One connection, used by one thread at a time."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = Path(path), clock
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._writes = 0

    def admit(self, name: str, limit: int, window_s: int, cost: int = 1) -> Admission:
        """Count `cost` if that stays within `limit`; else count nothing."""
        now = self._clock()
        at = int(now // window_s)
        with self._writing() as db:
            found = db.execute("SELECT used FROM counts WHERE name = ? AND at = ?", (name, at)).fetchone()
            used = found[0] if found else 0
            admitted = used + cost <= limit
            if admitted:
                used += cost
                db.execute("INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?)", (name, at, used, now + window_s + 60))
        return Admission(admitted=admitted, remaining=max(0, limit - used), reset_s=(at + 1) * window_s - now)

    def claim(self, name: str, value: str, ttl_s: float) -> str | None:
        """Keep `value` under `name` if nothing is there, and return None; else what is there."""
        now = self._clock()
        with self._writing() as db:
            found = db.execute("SELECT value FROM kept WHERE name = ? AND until > ?", (name, now)).fetchone()
            if found is None:
                db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (name, value, now + ttl_s))
        return None if found is None else str(found[0])

    def settle(self, name: str, value: str, ttl_s: float) -> None:
        """Keep `value` under `name`, whatever was there."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (name, value, self._clock() + ttl_s))

    def release(self, name: str) -> None:
        """Forget what is under `name`."""
        with self._writing() as db:
            db.execute("DELETE FROM kept WHERE name = ?", (name,))

    def append_event(self, job_id: str, name: str, data: Mapping[str, Any], *, once: str = "") -> None:
        """Add to the job's events, which are kept for a day."""
        row = (job_id, once or None, name, json.dumps(dict(data), ensure_ascii=False), self._clock() + KEEP_EVENTS_S)
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO events (job, once, name, data, until) VALUES (?, ?, ?, ?, ?)", row)

    def events_after(self, job_id: str, event_id: str = "") -> list[Event]:
        """The job's events after that one, oldest first."""
        after = int(event_id.partition("-")[0] or 0)
        after = min(after, 2**63 - 1)
        with self._using() as db:
            rows = db.execute("SELECT id, name, data FROM events WHERE job = ? AND id > ? ORDER BY id LIMIT ?",
                              (job_id, after, MAX_EVENTS)).fetchall()
        return [Event(id=str(number), name=name, data=json.loads(data)) for number, name, data in rows]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._using() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                self._sweep(db)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db = self._db or self._open()
                yield self._db
            except (sqlite3.Error, OSError) as exc:
                raise Unavailable(f"tally: {self._path}: {exc}") from exc

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # counts may be lost with the machine's power; nothing else depends on them
        for table in TABLES:
            db.execute(table)
        return db

    def _sweep(self, db: sqlite3.Connection) -> None:
        """Drop what is past its time, now and then."""
        self._writes += 1
        if self._writes % SWEEP_EVERY == 0:
            for table in ("counts", "kept", "events"):
                db.execute(f"DELETE FROM {table} WHERE until <= ?", (self._clock(),))
