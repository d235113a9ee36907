"""wordpress: one real WordPress for the session, on PHP's own server and a MariaDB that listens on a unix socket only."""

import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.services.process import Command, NotStarted, Server, free_port, last_line, needs, or_skip, serving
from tests.services.receiver import Receiver, receiving

FILES = Path(__file__).with_name("wordpress")
PLUGIN = Path(__file__).parents[2] / "deploy" / "wordpress" / "fengmian-cover.php"
SOURCE = Path("/usr/share/wordpress")
WEBHOOK_SECRET = "whsec_ZmVuZ21pYW4gdGVzdHMgYW5kIG5vdGhpbmcgZWxzZQ=="
DATABASE = ("CREATE DATABASE wordpress CHARACTER SET utf8mb4; CREATE USER wordpress@localhost IDENTIFIED BY 'wordpress'; "
            "GRANT ALL ON wordpress.* TO wordpress@localhost")


@dataclass(frozen=True)
class WordPress:
    """passwords: the application password of each role, which is also the user's name. hooks: what the plugin sent.
    server, database: PHP's and MariaDB's, which can be ended and started again."""

    url: str
    folder: Path
    environment: dict[str, str] = field(repr=False)
    passwords: dict[str, str] = field(repr=False)
    hooks: Receiver = field(repr=False)
    server: Server = field(repr=False)
    database: Server = field(repr=False)

    def run(self, code: str) -> str:
        """What PHP code prints inside this site."""
        words = ["php", str(FILES / "console.php"), str(self.folder), code]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def wordpress(request):
    with ExitStack() as stack:
        # Not pytest's folders: their paths are long, and a unix socket's may have 107 characters.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fengmian-wp-")))
        with or_skip(request, "wordpress"):
            needs("php", "mariadbd", "mariadb-install-db", "mariadb-admin", "mariadb")
            if not SOURCE.is_dir():
                raise NotStarted(f"{SOURCE} not found; run tests/services/install.sh as root")
            site = stack.enter_context(wordpress_in(folder))
        yield site


@contextmanager
def wordpress_in(folder: Path):
    folder.chmod(0o755)  # the database may run as another user
    port, site = free_port(), folder / "site"
    url = f"http://127.0.0.1:{port}"
    with database(folder) as (socket, mariadb), receiving() as hooks:
        environment = os.environ | {
            "SITE_URL": url, "SITE_DB_SOCKET": str(socket), "SITE_LOG": str(folder / "wordpress.log"),
            "FENGMIAN_WEBHOOK_URL": hooks.url, "FENGMIAN_WEBHOOK_SECRET": WEBHOOK_SECRET, "PHP_CLI_SERVER_WORKERS": "4"}
        copy_site(site)
        installed = once(folder, ["php", str(FILES / "install.php"), str(site)], environment)
        words = ["php", "-S", f"127.0.0.1:{port}", "-t", str(site), str(FILES / "router.php")]
        with serving(Command(words, folder / "php.log", environment), lambda: answers(f"{url}/wp-json/"), within_s=30) as server:
            yield WordPress(url, site, environment, json.loads(installed), hooks, server, mariadb)


@contextmanager
def database(folder: Path):
    """A new database: the path of its socket, and its server."""
    data, environment = folder / "db", dict(os.environ)
    socket = data / "socket"
    user = ["--user=mysql"] if os.geteuid() == 0 else []
    once(folder, ["mariadb-install-db", "--no-defaults", *user, f"--datadir={data}", "--skip-test-db",
                  "--auth-root-authentication-method=normal"], environment)
    words = ["mariadbd", "--no-defaults", *user, f"--datadir={data}", f"--socket={socket}", f"--pid-file={data / 'pid'}",
             "--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"]
    ping = ["mariadb-admin", "--no-defaults", "--user=root", f"--socket={socket}", "ping"]
    with serving(Command(words, folder / "db.log", environment),
                 lambda: subprocess.run(ping, capture_output=True, timeout=10).returncode == 0, within_s=60) as server:
        once(folder, ["mariadb", "--no-defaults", "--user=root", f"--socket={socket}", f"--execute={DATABASE}"], environment)
        yield socket, server


def copy_site(site: Path) -> None:
    """WordPress as Debian has it, our plugin, and a theme that shows a post and no more."""
    shutil.copytree(SOURCE, site, ignore=shutil.ignore_patterns("wp-config.php"))
    content = site / "wp-content"
    for name in ("uploads", "mu-plugins"):
        (content / name).mkdir(exist_ok=True)
    shutil.copytree(FILES / "theme", content / "themes" / "bare")
    shutil.copy(FILES / "config.php", site / "wp-config.php")
    shutil.copy(PLUGIN, content / "mu-plugins")


def once(folder: Path, words: list[str], environment: dict[str, str]) -> str:
    log = folder / f"{Path(words[0]).name}.once"
    with log.open("ab") as errors:
        try:
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=errors, env=environment, timeout=120)
        except subprocess.TimeoutExpired:
            raise NotStarted(f"{words[0]} did not end within 120 s: {last_line(log)}") from None
    if done.returncode:
        raise NotStarted(f"{words[0]} ended with {done.returncode}: {done.stdout.decode()[-200:]} {last_line(log)}")
    return done.stdout.decode()


def answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False
