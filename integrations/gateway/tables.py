"""The gateway's own tables: keys, and queues of things to be done. SQLite by default, PostgreSQL in a fleet."""

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

from integrations.database import Database

SCHEMA = 1
metadata = MetaData()

keys = Table(
    "fengmian_keys", metadata,
    Column("prefix", String(8), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("last4", String(4), nullable=False),
    Column("tenant", String(40), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("sites", JSON, nullable=False),
    Column("per_minute", BigInteger),
    Column("per_day", BigInteger),
    Column("created_at", Float, nullable=False),
    Column("last_used_at", Float),
    Column("revoked_at", Float),
)

items = Table(
    "fengmian_items", metadata,
    Column("queue", String(20), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("about", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("added_at", Float, nullable=False),
    Column("due_at", Float),  # none: it is finished
    Column("attempts", Integer, nullable=False, default=0),
    Column("outcome", String(20), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("finished_at", Float),
)
Index("fengmian_items_due", items.c.queue, items.c.due_at)


def open_database(url: str) -> Database:
    """The database that holds them. Raises ValueError."""
    return Database(url, "gateway", metadata, SCHEMA)
