"""The worker of `fengmian work`: Prefect's process worker, whose runs begin as copies of a process that has imported everything.

Prefect begins three Python processes for each run, which import the same modules again and again. Here one process has imported
them and is copied (fork) for each run. A copy holds no weights and shares nothing that it changes.
"""

import multiprocessing
import os
import random
import runpy
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskStatus
from prefect.client.schemas.objects import FlowRun
from prefect.flows import load_flow_from_flow_run
from prefect.runner._control_channel import ControlChannel
from prefect.runner._flow_run_executor import FlowRunExecutionResult, FlowRunExecutorContext
from prefect.runner._process_manager import ProcessHandle, create_isolated_termination_scope
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

PRELOADED = [
    "flows.forking", "flows.engine", "flows.engine_keeping", "flows.wiring", "prefect.engine", "prefect.flow_engine",
    "prefect.task_engine", "prefect._internal.metrics", "prefect.events.clients", "prefect.deployments.steps", "psycopg",
    "PIL.WebPImagePlugin", "integrations.cache.redis", "integrations.cms.ghost", "integrations.cms.git_posts",
    "integrations.cms.markdown_posts", "integrations.cms.wordpress", "integrations.gateway.tally_redis",
    "integrations.ledger.sql", "integrations.painter.openai_images", "integrations.safety.word_list", "integrations.safety.words",
    "integrations.storage.s3", "integrations.summarizer.extractive"]
"""What most runs would import; one that is not installed is passed over. None starts a thread, so that a copy is whole."""
forking = multiprocessing.get_context("forkserver")
warnings.filterwarnings("ignore", "Type 'ForkingWorker'")  # it takes the place of Prefect's own, which is what Prefect warns of


class ForkingWorker(ProcessWorker):
    """For pools of the type process, in place of Prefect's own. A deployment with a command of its own is run as Prefect does."""

    type = "process"

    async def run(self, flow_run: FlowRun, configuration: ProcessJobConfiguration,
                  task_status: TaskStatus[int] | None = None) -> ProcessWorkerResult:
        """One run in a process of its own, to its end."""
        if configuration._command_configured:
            return await super().run(flow_run, configuration, task_status)
        folder = configuration.working_dir
        with tempfile.TemporaryDirectory(suffix="prefect") if folder is None else nullcontext(str(folder)) as working_dir:
            async with FlowRunExecutorContext() as context:
                starter = ForkStarter(configuration.env, Path(working_dir), context.control_channel)
                executor = context.create_executor(flow_run, starter, resolve_flow=load_flow_from_flow_run,
                                                   propose_submitting=False)
                ended: list[FlowRunExecutionResult | None] = []

                async def execute(*, task_status: TaskStatus[ProcessHandle]) -> None:
                    ended.append(await executor.submit(task_status=task_status))

                async with anyio.create_task_group() as group:
                    handle: ProcessHandle = await group.start(execute)
                    if task_status is not None and handle.pid is not None:
                        task_status.started(handle.pid)
        (result,) = ended
        if result is None or result.status_code is None:
            raise RuntimeError(f"flow run {flow_run.id}: its process could not be started")
        return ProcessWorkerResult(status_code=result.status_code, identifier=str(result.handle.pid))

    async def __aenter__(self) -> "ForkingWorker":
        forking.set_forkserver_preload(PRELOADED)
        await anyio.to_thread.run_sync(_import_everything)
        await super().__aenter__()
        return self


class ForkStarter:
    """Begins one run. environment: the run's whole own. folder: where it begins."""

    def __init__(self, environment: Mapping[str, str | None], folder: Path, channel: ControlChannel) -> None:
        self._environment, self._folder, self._channel = environment, folder, channel

    async def start(self, flow_run: FlowRun, task_status: TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED) -> None:
        """Tell the process as soon as there is one, and wait for its end."""
        port, token = self._channel.register(flow_run.id)
        own = {"PREFECT__FLOW_RUN_ID": str(flow_run.id), "PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false",
               "PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}
        environment = {name: value for name, value in {**self._environment, **own}.items() if value is not None}
        process = forking.Process(target=_run, args=(environment, str(self._folder)), name=str(flow_run.id))
        try:
            await anyio.to_thread.run_sync(process.start)
        except BaseException:
            self._channel.unregister(flow_run.id)
            raise
        assert process.pid is not None
        task_status.started(ProcessHandle(process, create_isolated_termination_scope(process.pid)))  # type: ignore[arg-type]
        await anyio.wait_readable(process.sentinel)
        process.join()


def work(pool: str, name: str, options: Sequence[str]) -> None:
    """`prefect worker start` with these further options, but for how runs begin. Ends the process."""
    from prefect.cli import app

    main = sys.modules["__main__"]
    main.__spec__, main.__file__ = None, None  # copies have no use for the command line, which each would run again
    sys.argv = ["prefect", "worker", "start", "--pool", pool, "--type", "process", *(("--name", name) if name else ()), *options]
    app()


def _import_everything() -> None:
    """Begin the process that is copied; the first copy waits for it."""
    first: ForkServerProcess = forking.Process(target=int)
    first.start()
    first.join()


def _run(environment: Mapping[str, str], folder: str) -> None:
    """What a copy does: it becomes what `python -m prefect.engine` would be in this environment."""
    from prefect.context import refresh_global_settings_context

    os.setsid()  # as Prefect has it: a run is ended with all that it started
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    random.seed()
    refresh_global_settings_context()
    sys.argv = ["prefect.engine"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it was imported before it is run, which is the point
        runpy.run_module("prefect.engine", run_name="__main__")
