import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from redis import Redis

from integrations.storage.s3 import S3Account, make_client
from tests.conftest import NetworkBlocked
from tests.services.process import Command, NotStarted, group_lives, needs, running

INSTALL = Path(__file__).with_name("install.sh")


@pytest.mark.service("redis")
def test_redis_answers(redis_server):
    assert Redis.from_url(redis_server.url).ping() is True


@pytest.mark.service("s3")
def test_radosgw_makes_a_bucket(radosgw):
    account = S3Account(
        endpoint_url=radosgw.endpoint_url, region=radosgw.region, key=radosgw.key, secret=radosgw.secret,
        addressing="path",
    )
    client = make_client(account)
    client.create_bucket(Bucket="hello")
    assert "hello" in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_prefect_answers_with_its_version(prefect_server):
    with urllib.request.urlopen(f"{prefect_server.api_url}/admin/version", timeout=10) as answer:
        assert answer.read().startswith(b'"3.8.')


def test_a_missing_program_is_named_with_its_remedy():
    with pytest.raises(NotStarted, match=r"^no-such-server not found; run tests/services/install.sh as root$"):
        needs("no-such-server")


def test_a_server_that_ends_early_is_reported_with_its_last_words(tmp_path):
    command = Command(["sh", "-c", "echo port is taken; exit 3"], tmp_path / "log", dict(os.environ))
    with pytest.raises(NotStarted, match=r"^sh ended with 3: port is taken$"), running(command, lambda: False, 10):
        pass


def test_what_a_server_started_ends_with_it(tmp_path):
    child = "import time, pathlib; pathlib.Path('up').touch(); time.sleep(600)"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]).wait()"
    words = ["env", "-C", str(tmp_path), sys.executable, "-c", parent]
    with running(Command(words, tmp_path / "log", dict(os.environ)), (tmp_path / "up").exists, 20) as process:
        assert group_lives(process)
    assert not group_lives(process)


def test_an_installation_without_root_is_refused_in_one_line():
    unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    words = [*unprivileged, "bash", "-s"]
    done = subprocess.run(words, input=INSTALL.read_text(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr.startswith("install.sh: must run as root, not as ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 80), ("::ffff:192.0.2.1", 80, 0, 0)])
def test_a_connection_beyond_this_machine_is_blocked(address):
    family = socket.AF_INET6 if len(address) == 4 else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(NetworkBlocked, match="only 127"):
        sock.connect(address)


def test_a_connection_to_this_machine_is_allowed():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as sock:
        sock.connect(server.getsockname())
        assert sock.getpeername() == server.getsockname()
