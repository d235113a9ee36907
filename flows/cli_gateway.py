"""`fengmian gateway` and `fengmian keys`. Heavy things are imported inside the commands, as in cli.py."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.parsing import whole_number

if TYPE_CHECKING:
    from integrations.gateway.keys import SqlKeyRing
    from integrations.gateway.ports import ApiKey

keys_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                       help="Keys of the systems that may ask `fengmian gateway` for covers.")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per key.")]


def gateway() -> None:
    """Take webhooks and orders of other systems, where settings, section gateway, say. Needs a Prefect server."""
    import uvicorn

    from flows.gateway_wiring import build_desk
    from flows.wiring import ports
    from integrations.gateway.app import build_app

    chosen, desk = ports().settings.gateway, build_desk(ports())
    uvicorn.run(build_app(desk), host=chosen.host, port=chosen.port, log_level="warning", access_log=False, server_header=False,
                timeout_graceful_shutdown=10)


@keys_app.command()
def create(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose it is; jobs and the daily quota are a tenant's.")],
    scope: Annotated[list[str], typer.Option("--scope", help="covers:write, jobs:read, images:generate; may be given again.")],
    site: Annotated[list[str] | None, typer.Option("--site", help="A site of the settings, or * for all; repeatable.")] = None,
    per_minute: Annotated[int | None, typer.Option("--per-minute", parser=whole_number, metavar="N",
                                                   help="Requests. Default: the setting.")] = None,
    per_day: Annotated[int | None, typer.Option("--per-day", parser=whole_number, metavar="N",
                                                help="Covers of this key alone. Default: the setting, by tenant.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once."""
    from flows.console import print_json
    from flows.gateway_wiring import tell_callback_secret
    from flows.parsing import bad
    from flows.wiring import ports
    from integrations.gateway.keys import NewKey
    from integrations.gateway.ports import ANY_SITE

    settings, sites = ports().settings, site or []
    if unknown := sorted(set(sites) - {ANY_SITE, *settings.sites}):
        bad(f"site: {unknown[0]!r} is not one of the configured sites: {', '.join(settings.sites) or 'none'}")
    try:
        wanted = NewKey(tenant=tenant, scopes=scope, sites=sites, per_minute=per_minute, per_day=per_day)
    except ValueError as exc:
        bad(str(exc))
    secret, key = _ring().create(wanted)
    callbacks = tell_callback_secret(settings, tenant)
    if as_json:
        print_json({**_describe(key), "key": secret, "callback_secret": callbacks})
    else:
        print(f"key: {secret}\ncallbacks are signed with: {callbacks}")


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """All keys, the revoked too; never the keys themselves."""
    from flows.console import print_json

    for key in _ring().list():
        row = _describe(key)
        if as_json:
            print_json(row)
        else:
            state = f"revoked {row['revoked_at']}" if key.revoked_at else f"last used {row['last_used_at'] or 'never'}"
            print(f"{key.prefix}  …{key.last4}  {key.tenant}  {' '.join(row['scopes'])}  "
                  f"sites: {' '.join(row['sites']) or 'none'}  {state}")


@keys_app.command()
def revoke(prefix: Annotated[str, typer.Argument(help="The eight characters between fm_ and the next _.")]) -> None:
    """The key opens nothing from now on."""
    key = _ring().revoke(prefix)
    print(f"{key.prefix}: revoked")


def _ring() -> "SqlKeyRing":
    from flows.gateway_wiring import build_database, build_ring
    from flows.wiring import ports

    return build_ring(ports().settings, build_database(ports().settings))


def _describe(key: "ApiKey") -> dict[str, Any]:
    return {"prefix": key.prefix, "last4": key.last4, "tenant": key.tenant, "scopes": sorted(key.scopes),
            "sites": sorted(key.sites), "per_minute": key.per_minute, "per_day": key.per_day,
            "created_at": _moment(key.created_at), "last_used_at": _moment(key.last_used_at),
            "revoked_at": _moment(key.revoked_at)}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
