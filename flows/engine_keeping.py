"""The flows that keep a fleet in order: sweep, verify-published, retention and weekly-report. Each leaves a table or a report."""

import time
from typing import Any

from prefect import flow
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_URL

from flows import report, retaining, steps, verifying, wiring
from flows.artifacts import as_data_uri, show_table
from flows.errors import BadInput, NotAsPublished
from flows.prefect_server import PrefectServer
from flows.site_settings import ReviewSettings
from flows.sweep import Finding, Sweep
from flows.sweep_prefect import PrefectFleet

DAY_S = 86_400


@flow(name="sweep")
def sweep() -> dict[str, int]:
    """Runs that died are started again, open reviews reminded of; how many had which result. Safe to run at any time."""
    findings = sweep_once()
    log = get_run_logger()
    for finding in findings:
        if finding.result in ("left", "trouble"):
            log.warning("run %s, post %r: %s", finding.run.id, finding.run.post_id, finding.reason)
    show_table("sweep", [_row(finding) for finding in findings], f"{len(findings)} runs that needed something")
    return _count([finding.result for finding in findings])


def sweep_once() -> list[Finding]:
    """One sweep, and what it did. Raises Unavailable."""
    ports = wiring.ports()
    fleet = PrefectFleet(PrefectServer(ports.settings.prefect_api_url or PREFECT_API_URL.value()))
    return Sweep(fleet=fleet, settings=ports.settings.fleet, version_of=steps.tell_version, review_of=_review_of,
                 now=time.time()).sweep()


def _review_of(source: str) -> ReviewSettings | None:
    """How the source is reviewed; None for one that is no site, or no longer."""
    try:
        site = wiring.ports().site(source)
    except BadInput:
        return None
    return site.review if site else None


def _row(finding: Finding) -> dict[str, Any]:
    run = finding.run
    return {"result": finding.result, "source": run.source, "post": run.post_id, "run": run.id, "reason": finding.reason}


@flow(name="verify-published")
def verify_published(days: float = 7) -> dict[str, int]:
    """Every post covered in so many days is read again, and its picture fetched. Raises NotAsPublished; changes nothing."""
    checked = verifying.verify_published(time.time() - days * DAY_S)
    troubled = [each for each in checked if each.problem]
    rows = [{"source": each.source, "post": each.post_id, "cover": each.cover, "problem": each.problem, "note": each.note}
            for each in [*troubled, *(each for each in checked if each.note)]]
    show_table("verify-published", rows, f"{len(checked)} covers of {days:g} days, {len(troubled)} of them not as published")
    if troubled:
        told = "; ".join(f"{each.source} {each.post_id}: {each.problem}" for each in troubled[:20])
        raise NotAsPublished(f"{len(troubled)} of {len(checked)} covers are not as published: {told}")
    return _count(["gone" if each.note else "as published" for each in checked])


@flow(name="retention")
def retention(dry_run: bool = True) -> dict[str, int]:
    """Deletes pictures that no post was given and old entries of the ledger, as the settings say; dry_run: only tells which."""
    now = time.time()
    unpublished, before = retaining.find_unpublished(now), retaining.find_forgettable(now)
    ledger, old = wiring.ports().ledger, retaining.FORGETTABLE
    entries = ledger.count(old, before) if before is not None else 0
    files = sum(len(names) for names in unpublished.values())
    rows = [{"fingerprint": fingerprint, "file": name} for fingerprint, names in unpublished.items() for name in names]
    show_table("retention", rows, f"{'would be' if dry_run else 'are'} deleted: {files} pictures, {entries} ledger entries")
    if not dry_run:
        files = retaining.delete_pictures(unpublished)
        entries = ledger.forget(old, before) if before is not None else 0
    return {"pictures": files, "entries": entries}


@flow(name="weekly-report")
def weekly_report(days: int = 7) -> dict[str, int]:
    """What the ledger tells of so many days: covers, acceptance, painting, cache, and why editors said no."""
    until = time.time()
    since = until - days * DAY_S
    entries = list(wiring.ports().ledger.entries(since=since))
    figures = report.count_entries(entries)
    text = report.write_markdown(figures, since, until)
    try:
        picture = report.draw_days(entries, since, until)
        create_image_artifact(key="weekly-report-days", image_url=as_data_uri(picture, "image/png"), description="Covers by day")
    except ImportError:
        text += "\nNo picture: matplotlib is not installed (`pip install 'fengmian[reports]'`).\n"
    create_markdown_artifact(key="weekly-report", markdown=text, description="Covers, editors and painting")
    return {"covers": figures[""].covers, "rejected": figures[""].rejected}


def _count(results: list[str]) -> dict[str, int]:
    return {result: results.count(result) for result in sorted(set(results))}
