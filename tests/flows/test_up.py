"""fengmian up, down, status: small processes that die in every way, and once the whole of it on real servers."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from flows import up
from flows.errors import SettingsError
from flows.settings import load_settings
from flows.up_record import AlreadyUp, UpFolder
from flows.up_services import Service, make_services
from integrations.gateway.signatures import sign_standard
from tests.flows.conftest import ENGLISH, REPOSITORY
from tests.services.process import free_port, listens

SECRET = "whsec_" + "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
FOREVER = "import time; time.sleep(600)"


@pytest.fixture
def folder(tmp_path):
    return UpFolder(tmp_path / "state")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(up, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(up, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(up, "PATIENCE_S", 1.0)


def python(name, code, **changes):
    return Service(name=name, words=(sys.executable, "-c", code), **{"probe": lambda since: True, **changes})


def supervise(folder, services, until, within_s=20):
    """Run them until that is so, then stop; the record as it was then."""
    async def scenario():
        with folder.held(), folder.logging(None) as log:
            running = asyncio.create_task(up.Supervisor(services, folder, log).run())
            deadline = time.monotonic() + within_s
            while not ((record := folder.read()) and until({each.name: each for each in record.services})):
                assert not running.done()
                assert time.monotonic() < deadline, (record, said(folder))
                await asyncio.sleep(0.02)
            os.kill(os.getpid(), signal.SIGTERM)
            await running
            return record

    return {each.name: each for each in asyncio.run(scenario()).services}


def said(folder):
    return folder.log.read_text(encoding="utf-8").splitlines() if folder.log.exists() else []


def test_a_process_that_ends_is_started_again_and_its_last_words_are_kept(folder):
    crash = python("crash", "print('no disk left'); raise SystemExit(3)")
    services = supervise(folder, [crash], lambda now: now["crash"].restarts == 3)
    assert services["crash"].detail == "ended with 3: no disk left"
    pauses = [line.rpartition("again in ")[2] for line in said(folder) if "again in" in line]
    assert pauses == ["0.05 s", "0.1 s", "0.2 s"]
    assert sum(line.endswith("crash       | no disk left") for line in said(folder)) >= 3


def test_what_needs_another_waits_until_that_is_healthy_or_done(folder, tmp_path):
    order = tmp_path / "order"
    note = f"open({str(order)!r}, 'a').write('{{}}\\n')"
    began = time.time()
    services = [
        python("last", note.format("last") + ";" + FOREVER, needs=("server", "job")),
        python("job", note.format("job"), probe=None, needs=("server",)),
        python("server", note.format("server") + ";" + FOREVER, probe=lambda since: time.time() - began > 1.5)]
    done = supervise(folder, services, lambda now: now["last"].state == "healthy" and order.read_text().count("\n") == 3)
    assert order.read_text().split() == ["server", "job", "last"]
    assert (done["job"].state, done["server"].state) == ("done", "healthy")


def test_they_end_last_started_first_whatever_they_do_about_it(folder):
    deaf = "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" \
           f"subprocess.Popen([sys.executable, '-c', {FOREVER!r}], start_new_session=True)\n" + FOREVER
    services = [python("first", FOREVER), python("deaf", deaf)]
    supervise(folder, services, lambda now: len(folder.family("deaf")) == 2 and now["first"].state == "healthy")
    assert folder.family("first", "deaf") == []
    ends = [line.partition("| ")[2] for line in said(folder) if "|" in line][-4:]
    assert ends == ["is asked to end", "did not end within 1 s, and is killed", "is asked to end", "all stopped"]


def test_one_that_stops_answering_is_told_apart_from_one_that_died(folder, tmp_path):
    answers = tmp_path / "answers"
    answers.touch()
    server = python("server", FOREVER, probe=lambda since: answers.exists())
    seen = []

    def until(now):
        seen.append(now["server"].state)
        if seen[-1] == "healthy":
            answers.unlink(missing_ok=True)
        return seen[-1] == "unhealthy"

    assert supervise(folder, [server], until)["server"].restarts == 0


def test_no_line_is_too_long_or_too_strange_for_the_log(folder):
    code = ("import sys; out = sys.stdout.buffer\n"
            "out.write(b'x' * 3_000_000 + b'\\n\\xff\\xfe\\n' + '封面\\n'.encode()); out.flush()\n")
    supervise(folder, [python("loud", code + FOREVER)], lambda now: any("封面" in line for line in said(folder)))
    assert any(r"\xff\xfe" in line for line in said(folder))


def test_a_folder_of_the_site_is_not_taken_for_a_module_of_ours(folder, tmp_path, monkeypatch):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").write_text("raise RuntimeError('the site')")
    monkeypatch.chdir(tmp_path)
    job = Service(name="job", words=(sys.executable, "-m", "flows.cli", "--version"))
    supervise(folder, [job], lambda now: now["job"].state == "done")
    assert any("| fengmian " in line for line in said(folder))


def test_there_is_one_supervisor_for_a_state_folder(folder):
    with folder.held():
        folder.write(())
        told = f"^already up, as process {os.getpid()}; `fengmian status` tells more"
        with pytest.raises(AlreadyUp, match=told), folder.held():
            pass
    with folder.held():
        pass


def test_a_record_of_a_process_that_is_gone_or_whose_pid_is_anothers_is_stale(folder):
    with folder.held():
        folder.write(())
    record = folder.read()
    assert record.is_alive
    text = json.dumps({"pid": record.pid, "started": record.started - 60, "services": []})
    (folder.state_folder / "up" / "record.json").write_text(text)
    assert not folder.read().is_alive
    (folder.state_folder / "up" / "record.json").write_text("{")
    assert folder.read() is None


def test_what_a_killed_supervisor_left_behind_is_ended_by_the_next(folder):
    code = ("from pathlib import Path; from flows import up; from flows.up_record import UpFolder; import sys\n"
            "from flows.up_services import Service\n"
            f"services = [Service(name='orphan', words=(sys.executable, '-c', {FOREVER!r}), probe=lambda since: True)]\n"
            f"up.run(services, UpFolder(Path({str(folder.state_folder)!r})), False)")
    killed = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    wait(lambda: folder.family("orphan"))
    killed.kill()
    killed.wait()
    (orphan,) = folder.family("orphan")
    assert not folder.read().is_alive
    second = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    wait(lambda: folder.family("orphan") not in ([], [orphan]))
    assert not orphan.is_running()
    second.terminate()
    assert second.wait(timeout=20) == 0
    assert folder.family("orphan") == []


def wait(is_so, within_s=20.0):
    deadline = time.monotonic() + within_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        time.sleep(0.05)
    return found


def test_a_port_that_is_taken_is_told_with_its_setting(site, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        site.settle(monkeypatch, SERVICE__PORT=str(port), PREFECT_API_URL=f"http://127.0.0.1:{free_port()}/api")
        answer = site.run("up")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"fengmian: setting service.port: the generator cannot listen at 127.0.0.1 port {port}: ")


def test_nothing_up_is_a_plain_answer(site):
    status, down = site.run("status", "--json"), site.run("down")
    assert (status.code, status.record["up"], status.record["services"]) == (1, False, [])
    assert (down.code, down.out) == (0, "was not up\n")
    assert site.run("status").out == "not up\n"


def names(settings):
    return [each.name for each in make_services(settings, Path("/srv/blog"))]


def test_only_what_is_not_elsewhere_is_run_here(site, monkeypatch):
    assert names(load_settings()) == ["server", "generator", "deployments", "worker"]
    site.settle(monkeypatch, GATEWAY__PEPPER="a pepper of the tests")
    assert names(load_settings())[-1] == "gateway"
    site.settle(monkeypatch, GENERATOR__URL="http://painter.example:8100", PREFECT_API_URL="https://prefect.example/api")
    assert names(load_settings()) == ["deployments", "worker", "gateway"]


def test_an_address_that_is_none_is_told_with_its_setting(site, monkeypatch):
    site.settle(monkeypatch, PREFECT_API_URL="127.0.0.1:4200/api")
    with pytest.raises(SettingsError, match=r"^setting prefect_api_url '127.0.0.1:4200/api': it must be an address such as http"):
        make_services(load_settings(), Path("/srv/blog"))


def test_runs_paint_as_this_machine_would_and_wait_no_longer_than_they_may(site, monkeypatch):
    site.settle(monkeypatch, CACHE__HOLD_S="50", SERVICE__TOKEN="secret", SERVICE__HOST="0.0.0.0")
    worker = next(each for each in make_services(load_settings(), Path("/srv/blog")) if each.name == "worker")
    given = {name.removeprefix("FENGMIAN_GENERATOR__"): value for name, value in worker.environment.items() if "TOR__" in name}
    assert given == {"URL": "http://127.0.0.1:8100", "STEPS": "2", "GUIDANCE": "3.0", "TIMEOUT_S": "40.0", "TOKEN": "secret"}
    assert "secret" not in repr(worker)
    for name, value in worker.environment.items():
        monkeypatch.setenv(name, value)
    assert load_settings().generator.timeout_s < load_settings().cache.hold_s


class Machine:
    """A site with everything that `fengmian up` runs for it."""

    def __init__(self, site, monkeypatch):
        self.site, self.api, self.gateway, self.painter = site, free_port(), free_port(), free_port()
        site.settle(
            monkeypatch, PREFECT_API_URL=f"http://127.0.0.1:{self.api}/api", SERVICE__PORT=str(self.painter),
            GATEWAY__PORT=str(self.gateway), GATEWAY__PEPPER="a pepper of the tests",
            GATEWAY__WEBHOOKS=json.dumps({"blog": {"kind": "wordpress", "secret": SECRET}}),
            SITES=json.dumps({"blog": {"kind": "markdown", "folder": "posts", "out": "covers", "schedule": "30 3 * * *"}}))

    def run(self, *words):
        return self.site.finish(self.site.start(*words))

    def pid(self, name):
        return next(each["pid"] for each in self.run("status", "--json").record["services"] if each["name"] == name)

    def is_healthy(self, name="", restarts=0):
        services = {each["name"]: each for each in self.run("status", "--json").record["services"]}
        is_well = all(each["state"] in ("healthy", "done") for each in services.values())
        return is_well and (not name or services[name]["restarts"] == restarts)

    def tell(self, post_id):
        body = json.dumps({"event": "post.published", "site": "https://blog.example", "id": post_id}).encode()
        headers = sign_standard(SECRET, f"msg_{time.time()}", int(time.time()), body)
        return httpx.post(f"http://127.0.0.1:{self.gateway}/webhooks/blog", content=body, headers=headers, timeout=10,
                          trust_env=False).status_code

    def runs(self, *states):
        answer = httpx.post(f"http://127.0.0.1:{self.api}/api/flow_runs/filter", timeout=30, trust_env=False,
                            json={"flow_runs": {"state": {"type": {"any_": states}}}})
        return answer.raise_for_status().json()


@pytest.fixture
def machine(site, monkeypatch):
    machine = Machine(site, monkeypatch)
    yield machine
    with suppress(psutil.Error):
        machine.run("down")


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_one_command_covers_a_post_heals_and_ends_without_a_trace(machine):
    post = machine.site.post("a.md", ENGLISH)
    came = machine.run("up", "--detach", "--json")
    assert came.code == 0, (came.err, said(UpFolder(machine.site.folder / "state"))[-30:])
    assert [each["name"] for each in came.record["services"]] == ["server", "generator", "deployments", "worker", "gateway"]
    second = machine.run("up", "--detach")
    assert (second.code, second.err.startswith("fengmian: already up, as process ")) == (0, True)
    assert machine.tell("a.md") == 202
    os.kill(machine.pid("generator"), signal.SIGKILL)  # a run that asks it meanwhile waits
    wait(lambda: "covers/" in post.read_text(), 60)
    wait(lambda: machine.is_healthy("generator", restarts=1), 60)
    assert any(run["name"] != "cover a.md" for run in machine.runs("SCHEDULED")), "no run of the schedule was planned"
    assert machine.run("down").out == "down\n"
    assert not any(listens(port) for port in (machine.api, machine.gateway, machine.painter))
    assert UpFolder(machine.site.folder / "state").family("server", "generator", "worker", "gateway", "deployments") == []


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_a_run_under_way_when_it_ends_goes_on_under_its_own_id_when_it_is_up_again(machine, monkeypatch):
    machine.site.settle(monkeypatch, GENERATOR__STEPS="200", CACHE__HOLD_S="15")
    post = machine.site.post("long.md", ENGLISH)
    assert machine.run("up", "--detach").code == 0
    assert machine.tell("long.md") == 202
    begun = wait(lambda: machine.runs("RUNNING"), 60)
    machine.run("down")
    assert post.read_text() == ENGLISH
    assert machine.run("up", "--detach").code == 0
    wait(lambda: "covers/" in post.read_text(), 90)
    wait(lambda: {run["id"] for run in begun} <= {run["id"] for run in machine.runs("COMPLETED")}, 30)
