"""What every test gets: the real services by name, and no network beyond this machine."""

import errno
import ipaddress
import socket

import pytest

pytest_plugins = ["tests.services.redis", "tests.services.postgres", "tests.services.radosgw", "tests.services.prefect",
                  "tests.services.generator", "tests.services.browser", "tests.services.wordpress", "tests.services.ghost",
                  "tests.services.exiftool", "tests.integrations.cms.ghost_twin"]


def pytest_addoption(parser):
    parser.addoption(
        "--require-services",
        action="store_true",
        help="a real service that cannot start fails its tests instead of skipping them",
    )
    parser.addoption(
        "--ghost",
        action="store_true",
        help="also run the slow tier on a real Ghost, which tests/services/install_ghost.sh installs",
    )


class NetworkBlocked(RuntimeError):
    """Not an OSError: an adapter would translate that, and the test would pass for the wrong reason."""


def is_loopback(address) -> bool:
    if not isinstance(address, tuple):  # a unix socket's path
        return True
    host = address[0]
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def guarded(connect):
    def connect_on_this_machine(sock, address):
        if is_loopback(address):
            return connect(sock, address)
        if sock.type == socket.SOCK_DGRAM:  # sends nothing; libraries ask it for this machine's own address
            raise OSError(errno.ENETUNREACH, f"tests: no network beyond this machine: {address}")
        raise NetworkBlocked(f"tests: a connection to {address}; only 127.0.0.0/8, ::1 and unix sockets are allowed")

    return connect_on_this_machine


@pytest.fixture(scope="session", autouse=True)
def no_network_beyond_this_machine():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
        yield
