"""`fengmian up`, `down` and `status`. Heavy things are imported inside the commands, as in cli.py."""

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from flows.up_record import Record, Running, UpFolder

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
HEALTHY_WITHIN_S = 300.0
DOWN_WITHIN_S = 300.0
COLOURS = {"healthy": "green", "done": "green", "crashed": "red", "unhealthy": "red"}


def up(detach: Annotated[bool, typer.Option("--detach", help="Go on in the background; come back when all is healthy.")] = False,
       quiet: Annotated[bool, typer.Option("--quiet", help="Write the log file only.")] = False, as_json: AsJson = False) -> None:
    """Run everything on this machine: Prefect server, worker, generator, gateway. Ends with Ctrl-C or `fengmian down`."""
    from flows.up import run
    from flows.up_record import AlreadyUp
    from flows.up_services import make_services
    from flows.wiring import ports

    services, folder = make_services(ports().settings, Path.cwd()), _folder()
    try:
        if detach:
            raise typer.Exit(_detach(folder, as_json))
        run(services, folder, is_shown=not quiet)
    except AlreadyUp as exc:
        print(f"fengmian: {exc}", file=sys.stderr)


def down() -> None:
    """End what `fengmian up` runs, in order. Runs that are under way are taken up by the next `up`."""
    import psutil

    from flows.up_record import end

    folder, record = _folder(), _folder().read()
    was_up = record is not None and record.is_alive
    if record is not None and was_up:
        psutil.Process(record.pid).terminate()
        deadline = time.monotonic() + DOWN_WITHIN_S
        while record.is_alive:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {record.pid} did not end within {DOWN_WITHIN_S:.0f} s; see {folder.log}")
            time.sleep(0.1)
    left = folder.family()
    end(left, 10)
    print("down" if was_up else f"was not up; ended {len(left)} processes that a killed supervisor had left" if left
          else "was not up")


def status(as_json: AsJson = False) -> None:
    """How everything is. Exit code 0 only if all of it is healthy."""
    record = _folder().read()
    _show(record, as_json)
    raise typer.Exit(0 if record is not None and record.is_healthy else 1)


def _folder() -> "UpFolder":
    from flows.up_record import UpFolder
    from flows.wiring import ports

    return UpFolder(ports().settings.state_folder)


def _detach(folder: "UpFolder", as_json: bool) -> int:
    """Start a supervisor of its own session and wait until all is healthy; the exit code."""
    folder.log.parent.mkdir(parents=True, exist_ok=True)
    with (folder.log.parent / "up.err").open("w+") as errors:
        words = [sys.executable, "-P", "-m", "flows.cli", "up", "--quiet"]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True)
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while time.monotonic() < deadline:
            record = folder.read()
            if record is not None and record.pid == process.pid and record.is_healthy:
                _show(record, as_json)
                return 0
            if process.poll() is not None:
                errors.seek(0)
                sys.stderr.write(errors.read())
                return process.returncode
            time.sleep(0.2)
    _show(folder.read(), as_json)
    print(f"fengmian: not all is healthy after {HEALTHY_WITHIN_S:.0f} s; it goes on; see {folder.log}", file=sys.stderr)
    return 1


def _show(record: "Record | None", as_json: bool) -> None:
    is_up = record is not None and record.is_alive
    services = [_describe(each) for each in record.services] if record is not None and is_up else []
    if as_json:
        from flows.console import print_json
        print_json({"up": is_up, "pid": record.pid if record and is_up else None, "services": services,
                    "log": str(_folder().log)})
        return
    if not is_up:
        print("not up")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("service", "state", "for", "restarts", "address", "what it said last", box=None)
    for each in services:
        table.add_row(each["name"], Text(each["state"], style=COLOURS.get(each["state"], "yellow")), f"{each['for_s']:.0f} s",
                      str(each["restarts"]), each["url"], Text(each["detail"]))
    Console().print(table)


def _describe(service: "Running") -> dict[str, Any]:
    return {"name": service.name, "state": service.state, "for_s": round(time.time() - service.since, 1),
            "pid": service.pid or None, "restarts": service.restarts, "url": service.url, "detail": service.detail}
