"""`fengmian deploy` and `fengmian work`. Heavy things are imported inside the command, as in cli.py."""

from pathlib import Path
from typing import Annotated

import typer


def deploy(
    folder: Annotated[Path | None, typer.Option("--folder", help="Where workers run the flows. Default: this one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per thing.")] = False,
) -> None:
    """Register work pool, deployments, schedules and automations on the Prefect server of the settings; twice changes nothing."""
    from flows.alerting import alert
    from flows.console import print_json
    from flows.deploying import deploy as bring
    from flows.engine import on_server
    from flows.errors import SettingsError
    from flows.prefect_server import PrefectServer
    from flows.wiring import ports

    settings = ports().settings
    if not settings.prefect_api_url:
        raise SettingsError("setting prefect_api_url: it is empty; say where the Prefect server is, as http://127.0.0.1:4200/api")
    server = PrefectServer(settings.prefect_api_url)
    with on_server(settings.prefect_api_url):
        for steps in (bring(server, settings, (folder or Path.cwd()).absolute()), alert(server, settings.fleet)):
            for name, done in steps:
                if as_json:
                    print_json({"name": name, "done": done})
                else:
                    print(f"{name}: {done}")


def work(
    context: typer.Context,
    pool: Annotated[str, typer.Option("--pool", help="The work pool. Default: the setting fleet.work_pool.")] = "",
    name: Annotated[str, typer.Option("--name", help="Of this worker. Default: a new one.")] = "",
) -> None:
    """Run what the Prefect server has to be done. Further options are those of `prefect worker start`, such as --limit 4."""
    from flows.forking import work as start
    from flows.wiring import ports

    start(pool or ports().settings.fleet.work_pool, name, context.args)
