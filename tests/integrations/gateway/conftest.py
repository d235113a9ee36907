"""The gateway's own database, on SQLite and on a real PostgreSQL, and a clock that tests set."""

import pytest

from integrations.gateway.tables import open_database
from tests.integrations.gateway.serving import make_gateway, serving


class Clock:
    def __init__(self, now: float = 1_700_000_000.0):
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service("postgres"))])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new folder' / 'gateway.sqlite'}"
    return request.getfixturevalue("postgres").make_database()


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    yield database
    database.close()


@pytest.fixture
def gateway(tmp_path):
    with serving(make_gateway(tmp_path)) as running:
        yield running


@pytest.fixture
def api(gateway):
    """A client whose key may do everything."""
    with gateway.client(gateway.key()) as client:
        yield client
