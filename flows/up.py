"""Supervisor: keeps the processes of one machine running, in one log, and ends them in order. Which they are: up_services.py."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import httpx

from flows.errors import SettingsError
from flows.up_record import Running, UpFolder, end
from flows.up_services import Service

LOOK_EVERY_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
STEADY_S = 60.0
"""Who ran for so long before it crashed begins again with the first pause."""
PATIENCE_S = 45.0
"""For one process to end by itself: a worker lets go of its runs, a generator finishes its batch."""
LINE_BYTES = 2**20
FOR_PYTHON = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
"""Lines come as they are said; and a folder of the site that is called like a module of ours is not taken for it."""


def run(services: Sequence[Service], folder: UpFolder, is_shown: bool) -> None:
    """Keep them running until a signal comes. Raises AlreadyUp, SettingsError for a port that is taken."""
    with folder.held():
        end(folder.family(), PATIENCE_S)  # what a killed supervisor left behind
        for service in services:
            check_free(service)
        with folder.logging(sys.stderr if is_shown else None) as log:
            asyncio.run(Supervisor(services, folder, log).run())


def check_free(service: Service) -> None:
    """Raise SettingsError where another program has the port."""
    if not service.port:
        return
    family = socket.AF_INET6 if ":" in service.host else socket.AF_INET
    with closing(socket.socket(family)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((service.host, service.port))
        except OSError as exc:
            raise SettingsError(f"setting {service.setting}: the {service.name} cannot listen at {service.host} port "
                                f"{service.port}: {exc.strerror or exc}; end what does, or set another port") from exc


class Supervisor:
    """One run. Every service has a task that starts it, waits for its end and starts it again; another looks after health."""

    def __init__(self, services: Sequence[Service], folder: UpFolder, log: logging.Logger) -> None:
        self._services = {each.name: each for each in services}
        self._folder, self._log = folder, log
        self._state = {each.name: Running(name=each.name, url=each.url, since=time.time()) for each in services}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._last: dict[str, str] = {}
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Keep everything running until SIGINT, SIGTERM or SIGHUP comes, then end it, last started first."""
        stop = asyncio.Event()
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        keepers = {name: asyncio.create_task(self._keep(service)) for name, service in self._services.items()}
        looking = asyncio.create_task(self._look())
        await stop.wait()
        looking.cancel()
        for name in reversed(keepers):
            keepers[name].cancel()
            await asyncio.gather(keepers[name], return_exceptions=True)
            await self._end(name)
            await self._set(name, state="stopped", pid=0, detail="")
        self._say("up", "all stopped")

    async def _keep(self, service: Service) -> None:
        failures = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: all(self._is_ready(name) for name in service.needs))
            began = time.time()
            code, last = await self._run(service)
            if service.probe is None and code == 0:
                await self._set(service.name, state="done", pid=0, detail="")
                return
            failures = 0 if time.time() - began > STEADY_S else failures + 1
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** max(failures - 1, 0))
            detail = f"ended with {code}: {last}"[:300]
            self._say(service.name, f"{detail}; started again in {pause_s:g} s")
            await self._set(service.name, state="crashed", pid=0, detail=detail,
                            restarts=self._state[service.name].restarts + 1)
            await asyncio.sleep(pause_s)

    async def _run(self, service: Service) -> tuple[int, str]:
        """Exit code and last words of one process, once it and its children have ended."""
        try:
            await asyncio.to_thread(service.before or (lambda: None))
        except httpx.HTTPError as exc:
            return 1, f"{type(exc).__name__}: {exc}"
        environment = {**os.environ, **FOR_PYTHON, **service.environment, **self._folder.mark(service.name)}
        said, says = os.pipe()  # of our own: asyncio takes no process for ended while its children still hold asyncio's pipe
        try:
            process = await asyncio.create_subprocess_exec(*service.words, stdin=asyncio.subprocess.DEVNULL, stdout=says,
                                                           stderr=says, env=environment, start_new_session=True)
        except OSError as exc:
            os.close(said)
            return 1, f"{service.words[0]} cannot be started: {exc.strerror}"
        finally:
            os.close(says)
        self._processes[service.name] = process
        telling = asyncio.create_task(self._tell(service.name, said))
        await self._set(service.name, state="starting", pid=process.pid, detail="")
        code = await process.wait()
        await asyncio.to_thread(end, self._folder.family(service.name), PATIENCE_S)
        await asyncio.wait([telling], timeout=PATIENCE_S)
        return code, self._last.get(service.name, "")

    async def _tell(self, name: str, said: int) -> None:
        """Put what it says into the log, until nobody can say anything more."""
        reader = asyncio.StreamReader(limit=LINE_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(said, "rb"))
        while True:
            try:
                line = await reader.readline()
            except ValueError:  # a line beyond all measure; the reader has thrown it away
                continue
            if not line:
                return
            if text := line.decode("utf-8", "backslashreplace").rstrip():
                self._last[name] = text.strip()
                self._say(name, text)

    async def _look(self) -> None:
        """Ask every running service for its health, again and again."""
        while True:
            asked = [self._ask(service) for service in self._services.values()]
            for trouble in filter(None, await asyncio.gather(*asked, return_exceptions=True)):
                self._say("up", f"health cannot be told: {type(trouble).__name__}: {trouble}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(self, service: Service) -> None:
        seen = self._state[service.name]
        if service.probe is None or not seen.pid:
            return
        is_healthy = await asyncio.to_thread(service.probe, seen.since if seen.state == "starting" else 0)
        now = self._state[service.name]
        if now.pid != seen.pid or is_healthy == (now.state == "healthy") or (now.state == "starting" and not is_healthy):
            return
        self._say(service.name, "healthy" if is_healthy else "does not answer")
        await self._set(service.name, state="healthy" if is_healthy else "unhealthy")

    async def _end(self, name: str) -> None:
        """Ask the process itself first: it knows how to end its children. Then whatever is left."""
        process = self._processes.get(name)
        if process is not None and process.returncode is None:
            self._say(name, "is asked to end")
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), PATIENCE_S)
            except TimeoutError:
                self._say(name, f"did not end within {PATIENCE_S:g} s, and is killed")
                process.kill()
                await process.wait()
        await asyncio.to_thread(end, self._folder.family(name), 5)

    def _is_ready(self, name: str) -> bool:
        return self._state[name].state in ("healthy", "done")

    async def _set(self, name: str, **changes: Any) -> None:
        self._state[name] = replace(self._state[name], since=time.time(), **changes)
        try:
            self._folder.write(tuple(self._state.values()))
        except OSError as exc:  # a full disk ends no service
            self._say("up", f"the record cannot be written: {exc.strerror}")
        async with self._changed:
            self._changed.notify_all()

    def _say(self, name: str, text: str) -> None:
        self._log.info("%-11s | %s", name, text)
