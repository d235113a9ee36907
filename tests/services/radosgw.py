"""radosgw: one real S3 server for the session, Ceph's RadosGW over a monitor and one in-memory disk."""

import os
import subprocess
import tempfile
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.services.process import Command, NotStarted, Server, free_port, last_line, listens, needs, or_skip, serving

PROGRAMS = ("monmaptool", "ceph-mon", "ceph-osd", "ceph", "radosgw", "radosgw-admin")

# No authentication between the daemons, one copy of everything, nothing on disk and no pause to gather changes:
# a cluster that is up in seconds and gone with the tests. Without keys the "crc" modes are needed: radosgw's
# default, encrypted handshake never ends.
CONFIG = """\
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{monitor_v2},v1:127.0.0.1:{monitor_v1}]
public_network = 127.0.0.0/8
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = false
ms_cluster_mode = crc
ms_service_mode = crc
ms_client_mode = crc
ms_mon_cluster_mode = crc
ms_mon_service_mode = crc
ms_mon_client_mode = crc
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 1
mon_data_avail_crit = 0
mon_osd_nearfull_ratio = 0.98
mon_osd_full_ratio = 0.99
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_crush_update_on_start = true
run_dir = {folder}/run
pid_file = {folder}/run/$name.pid
admin_socket = {folder}/run/$name.asok
log_file = {folder}/log/$name.log
mon_data = {folder}/mon
osd_data = {folder}/osd

[client]
rgw_frontends = beast endpoint=127.0.0.1:{gateway}
rgw_enable_usage_log = false
rgw_thread_pool_size = 32
"""


@dataclass(frozen=True)
class RadosGateway:
    endpoint_url: str
    key: str
    secret: str
    region: str = "default"
    server: Server | None = field(default=None, repr=False)


@pytest.fixture(scope="session")
def radosgw(request):
    with ExitStack() as stack:
        # Not pytest's folders: their paths are long, and a unix socket's may have 107 characters.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fengmian-rgw-")))
        with or_skip(request, "radosgw"):
            needs(*PROGRAMS)
            gateway = stack.enter_context(cluster(folder))
        yield gateway


@contextmanager
def cluster(folder: Path):
    for part in ("run", "log", "mon", "osd"):
        (folder / part).mkdir()
    gateway_port, fsid = free_port(), str(uuid.uuid4())
    monitor_v2, monitor_v1 = free_port(), free_port()
    ports = {"gateway": gateway_port, "monitor_v2": monitor_v2, "monitor_v1": monitor_v1}
    (folder / "ceph.conf").write_text(CONFIG.format(folder=folder, fsid=fsid, **ports))
    ceph = Ceph(folder)
    ceph.once("monmaptool", "--create", "--fsid", fsid, "--enable-all-features", "--addv", "a",
              f"[v2:127.0.0.1:{monitor_v2},v1:127.0.0.1:{monitor_v1}]", str(folder / "monmap"))
    ceph.once("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(folder / "monmap"))
    disk = str(uuid.uuid4())
    with ExitStack() as daemons:
        daemons.enter_context(ceph.daemon(["ceph-mon", "-f", "-i", "a"], lambda: listens(monitor_v2)))
        ceph.once("ceph", "osd", "new", disk)
        ceph.once("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        is_up = folder / "run" / "osd.0.asok"
        daemons.enter_context(ceph.daemon(["ceph-osd", "-f", "-i", "0"], is_up.exists))
        key, secret = "tests", uuid.uuid4().hex
        ceph.once("radosgw-admin", "user", "create", "--uid=tests", "--display-name=tests",
                  f"--access-key={key}", f"--secret-key={secret}")
        server = daemons.enter_context(ceph.daemon(["radosgw", "-f", "-n", "client.admin"], lambda: listens(gateway_port)))
        yield RadosGateway(f"http://127.0.0.1:{gateway_port}", key, secret, server=server)


class Ceph:
    """Ceph's programs over one cluster's folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = os.environ | {"CEPH_CONF": str(folder / "ceph.conf")}

    def once(self, *words: str) -> None:
        log = self.folder / "log" / f"{words[0]}.once"
        with log.open("ab") as output:
            try:
                done = subprocess.run(words, stdout=output, stderr=output, env=self.environment, timeout=60)
            except subprocess.TimeoutExpired:
                raise NotStarted(f"{words[0]} did not end within 60 s: {last_line(log)}") from None
        if done.returncode:
            raise NotStarted(f"{words[0]} ended with {done.returncode}: {last_line(log)}")

    def daemon(self, words: list[str], is_up):
        return serving(Command(words, self.folder / "log" / f"{words[0]}.out", self.environment), is_up, within_s=60)
