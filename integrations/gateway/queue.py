"""SqlQueue: things to be done that survive every process, taken by any number of workers, each by one at a time."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from integrations.database import Database
from integrations.gateway.ports import Backlog, Item, Queue, Taken
from integrations.gateway.tables import items


class SqlQueue(Queue):
    """One of several queues in one table. clock: seconds since the epoch, the same on every machine up to the lease."""

    def __init__(self, database: Database, name: str, clock: Callable[[], float] = time.time) -> None:
        self._database, self._name, self._clock = database, name, clock

    def add(self, things: Sequence[Item]) -> Collection[str]:
        """Keep those whose id is new, in one transaction; the new ids."""
        if not things:
            return []
        now = self._clock()
        rows = [{"queue": self._name, "id": thing.id, "about": thing.about, "payload": dict(thing.payload), "added_at": now,
                 "due_at": now} for thing in {thing.id: thing for thing in things}.values()]
        with self._database.begin() as db:
            dialect = sqlite if db.dialect.name == "sqlite" else postgresql
            added = db.execute(dialect.insert(items).on_conflict_do_nothing().returning(items.c.id), rows)
            return [row.id for row in added]

    def take(self, limit: int, lease_s: float) -> list[Taken]:
        """Items that are due, oldest first; nobody else gets them for `lease_s` seconds."""
        now = self._clock()
        due = (select(items).where(self._mine, items.c.due_at <= now).order_by(items.c.due_at, items.c.added_at).limit(limit)
               .with_for_update(skip_locked=True))
        with self._database.begin() as db:
            rows = db.execute(due).all()
            if rows:
                db.execute(update(items).where(self._mine, items.c.id.in_([row.id for row in rows]))
                           .values(due_at=now + lease_s))
        return [Taken(id=row.id, about=row.about, payload=row.payload, attempts=row.attempts, added_at=row.added_at)
                for row in rows]

    def finish(self, ids: Collection[str], outcome: str, detail: str = "") -> None:
        """They are done with."""
        self._set(ids, due_at=None, finished_at=self._clock(), outcome=outcome, detail=detail[:1000])

    def postpone(self, ids: Collection[str], after_s: float, detail: str = "", *, counted: bool = True) -> None:
        """They are due again in `after_s` seconds."""
        self._set(ids, due_at=self._clock() + after_s, attempts=items.c.attempts + int(counted), detail=detail[:1000])

    def forget(self, older_than_s: float) -> int:
        """Drop what was finished longer ago; how many."""
        with self._database.begin() as db:
            dropped = db.execute(delete(items).where(self._mine, items.c.finished_at < self._clock() - older_than_s))
            return int(dropped.rowcount)

    def backlog(self) -> Backlog:
        """What is still to be done."""
        left = select(func.count(), func.min(items.c.added_at)).where(self._mine, items.c.due_at.is_not(None))
        with self._database.begin(only_reads=True) as db:
            count, oldest = db.execute(left).one()
        return Backlog(count=count, oldest_s=max(0.0, self._clock() - oldest) if count else 0.0)

    def _set(self, ids: Collection[str], **values: Any) -> None:
        """What is finished stays so, also where a worker comes late, after its lease has ended and another one has done it."""
        if ids:
            wanted = self._mine, items.c.id.in_(list(ids)), items.c.due_at.is_not(None)
            with self._database.begin() as db:
                db.execute(update(items).where(*wanted).values(**values))

    @property
    def _mine(self) -> Any:
        return items.c.queue == self._name
