"""postgres: one real PostgreSQL for the session, in a folder of its own. Each test asks it for a database of its own."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.process import INSTALL, Command, NotStarted, free_port, last_line, listens, or_skip, running

OWNER = "postgres"
"""Who runs it where the tests are root, as whom it refuses to run."""


@dataclass(frozen=True)
class Postgres:
    port: int

    def make_database(self) -> str:
        """The address of a new and empty database."""
        name = f"t{uuid.uuid4().hex}"
        with self.connect() as db:
            db.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://tests@127.0.0.1:{self.port}/{name}"

    def connect(self):
        import psycopg

        return psycopg.connect(f"host=127.0.0.1 port={self.port} user=tests dbname=postgres", autocommit=True)

    def answers(self) -> bool:
        """Whether it is more than starting up, in which it listens already."""
        import psycopg

        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture(scope="session")
def postgres(request):
    with ExitStack() as stack:
        # Not pytest's folders: another user must be able to enter it.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fengmian-pg-")))
        with or_skip(request, "postgres"):
            server = stack.enter_context(postgres_in(folder))
        yield server


@contextmanager
def postgres_in(folder: Path, connections: int = 100):
    """A new cluster in a folder that another user can enter."""
    programs, port = find_programs(), free_port()
    as_owner = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups"] if os.geteuid() == 0 else []
    if as_owner:
        shutil.chown(folder, *find_owner())
    make_cluster(folder, [*as_owner, str(programs / "initdb")])
    words = [*as_owner, str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", str(folder),
             "-h", "127.0.0.1", "-c", f"max_connections={connections}"]
    postgres = Postgres(port)
    with running(Command(words, folder / "log", environment()), lambda: listens(port) and postgres.answers(), within_s=30):
        yield postgres


def find_programs() -> Path:
    """The newest version's folder, which Debian does not put on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found or not (found[-1] / "initdb").exists():
        raise NotStarted(f"postgresql not found; {INSTALL}")
    return found[-1]


def find_owner() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(OWNER)
    except KeyError:
        raise NotStarted(f"there is no user {OWNER}; {INSTALL}") from None
    return entry.pw_uid, entry.pw_gid


def make_cluster(folder: Path, initdb: list[str]) -> None:
    log = folder / "initdb.log"
    with log.open("ab") as output:
        words = [*initdb, "-D", str(folder / "data"), "-U", "tests", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(words, stdout=output, stderr=output, cwd=folder, env=environment(), timeout=120)
    if done.returncode:
        raise NotStarted(f"initdb ended with {done.returncode}: {last_line(log)}")


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
