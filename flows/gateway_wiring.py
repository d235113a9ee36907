"""Builds the gateway's desk from the settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flows.errors import SettingsError
from flows.fleet_settings import FleetSettings
from flows.settings import Settings
from flows.site_settings import SITE
from flows.sweep import SWEEP_EVERY_S, pause_s
from flows.wiring import Ports
from integrations.database import Database
from integrations.errors import Refused
from integrations.gateway.callbacks import callback_secret
from integrations.gateway.checkout import GitCheckout
from integrations.gateway.courier import GuardedCourier
from integrations.gateway.desk import Desk, Limits
from integrations.gateway.keys import SqlKeyRing
from integrations.gateway.ports import Site, Tally
from integrations.gateway.queue import SqlQueue
from integrations.gateway.signatures import decode_secret
from integrations.gateway.tables import open_database
from integrations.http import FetchLimits
from prompts.style import list_styles

if TYPE_CHECKING:
    from flows.runs import Patience

CALLBACK_BYTES = 65_536
CALLBACK_S = 10.0


def build_desk(ports: Ports) -> Desk:
    """Everything the gateway works with. Raises SettingsError naming the setting."""
    from flows.runs import PrefectRuns

    settings = ports.settings
    if not settings.prefect_api_url:
        raise SettingsError("setting prefect_api_url: the gateway's jobs are runs on a Prefect server; give its address, "
                            "such as http://127.0.0.1:4200/api")
    chosen, database, sites = settings.gateway, build_database(settings), make_sites(settings)
    fetch = settings.fetch

    def version_of(site: str, post_id: str) -> str:
        return ports.open_source(f"{SITE}{site}").version(post_id)

    def refresh(site: str, commit: str) -> None:
        folder, pulls = settings.sites[site].folder, chosen.webhooks[site].pull
        if folder is None:
            raise Refused(f"git: site {site!r} is no folder that a push could reach")
        GitCheckout(Path(folder), pulls).bring(commit)

    return Desk(
        runs=PrefectRuns(settings.prefect_api_url, chosen.deployment, patience=patience_of(settings.fleet)),
        tally=build_tally(settings),
        inbox=SqlQueue(database, "webhooks"), outbox=SqlQueue(database, "callbacks"), ring=build_ring(settings, database),
        courier=GuardedCourier(FetchLimits(timeout_s=CALLBACK_S, deadline_s=CALLBACK_S, max_bytes=CALLBACK_BYTES,
                                           ports=frozenset(fetch.ports), networks=fetch.allow_networks)),
        version_of=version_of, refresh=refresh, sites=sites, styles=list_styles(settings.brand_folder), pepper=_pepper(settings),
        limits=Limits(per_minute=chosen.per_minute, per_day=chosen.per_day, max_body_bytes=chosen.max_body_bytes,
                      body_timeout_s=chosen.body_timeout_s))


def patience_of(fleet: FleetSettings) -> "Patience":
    """Three sweeps, and the longest pause that a sweep makes."""
    from flows.runs import Patience

    if not fleet.attempts:
        return Patience()
    first_s = fleet.silent_s + 3 * SWEEP_EVERY_S
    return Patience(first_s=first_s, later_s=first_s + pause_s(fleet.attempts - 1, fleet.pause_s))


def build_database(settings: Settings) -> Database:
    """Keys and queues, beside the ledger where that is on a server. Raises SettingsError."""
    file = (settings.state_folder / "gateway.sqlite").absolute()
    try:
        return open_database(settings.database_url.get_secret_value() or f"sqlite:///{file}")
    except ValueError as exc:
        raise SettingsError(f"setting database_url: {exc}") from exc


def build_ring(settings: Settings, database: Database) -> SqlKeyRing:
    """The API keys. Raises SettingsError for a pepper that is missing or short."""
    try:
        return SqlKeyRing(database, _pepper(settings))
    except ValueError as exc:
        raise SettingsError(f"setting gateway.pepper: {exc}") from exc


def build_tally(settings: Settings) -> Tally:
    """Redis, or SQLite in the state folder. Raises SettingsError."""
    url = settings.gateway.redis_url.get_secret_value()
    if not url:
        from integrations.gateway.tally_sqlite import SqliteTally
        return SqliteTally(settings.state_folder / "tally.sqlite")
    from integrations.gateway.tally_redis import RedisTally, make_client
    try:
        return RedisTally(make_client(url, settings.gateway.timeout_s))
    except ValueError as exc:
        raise SettingsError(f"setting gateway.redis_url: {exc}") from exc


def make_sites(settings: Settings) -> Mapping[str, Site]:
    """The configured sites, with who may tell of their posts. Raises SettingsError."""
    hooks = settings.gateway.webhooks
    if unknown := sorted(set(hooks) - set(settings.sites)):
        raise SettingsError(f"setting gateway.webhooks.{unknown[0]}: there is no site of this name in the setting sites")
    sites = {name: Site(source=f"{SITE}{name}") for name in settings.sites}
    for name, hook in hooks.items():
        if hook.pull and settings.sites[name].kind != "git":
            raise SettingsError(f"setting gateway.webhooks.{name}.pull: the site is of kind {settings.sites[name].kind}, whose "
                                f"covers nobody commits, so that it could not follow a push; it must be of kind git")
        secrets = tuple(secret for each in (hook.secret, hook.old_secret) if (secret := each.get_secret_value()))
        if hook.kind in ("wordpress", "standard"):
            try:
                _ = [decode_secret(secret) for secret in secrets]
            except ValueError as exc:
                raise SettingsError(f"setting gateway.webhooks.{name}.secret: {exc}") from exc
        sites[name] = Site(source=f"{SITE}{name}", folder=hook.folder, kind=hook.kind, secrets=secrets)
    return sites


def tell_callback_secret(settings: Settings, tenant: str) -> str:
    """What callbacks to this tenant are signed with."""
    return callback_secret(_pepper(settings), tenant)


def _pepper(settings: Settings) -> bytes:
    return settings.gateway.pepper.get_secret_value().encode()
