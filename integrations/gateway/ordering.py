"""Covers asked for by other systems: one run for each Idempotency-Key, within the tenant's quota."""

import hashlib
import json
import math
import uuid
from dataclasses import dataclass
from typing import Any

from integrations.errors import Refused
from integrations.gateway.answers import ApiError
from integrations.gateway.callbacks import make_item
from integrations.gateway.desk import Desk
from integrations.gateway.keys import may_cover
from integrations.gateway.ports import ApiKey, Job, Order
from integrations.gateway.views import PageWanted, PostWanted

DAY_S = 86_400
IN_HAND_S = 60
"""How long one request with an Idempotency-Key may be at work before the next is let at it."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A job that was asked for. replayed: by an earlier request with the same Idempotency-Key."""

    job_id: str
    status: str
    replayed: bool = False


def place(desk: Desk, key: ApiKey, wanted: PostWanted | PageWanted, idempotency_key: str | None) -> Placed:
    """Start the job, or find the one that was started. Raises ApiError, Unavailable."""
    order = _make_order(desk, key, wanted)
    if wanted.callback_url:
        _check_callback(desk, wanted.callback_url)
    if idempotency_key is None:
        return _start(desk, key, order, wanted.callback_url, uuid.uuid4().hex)
    name = "idempotency:" + hashlib.sha256(f"{key.tenant}\0{idempotency_key}".encode()).hexdigest()
    said = hashlib.sha256(json.dumps(wanted.model_dump(), sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
    earlier = desk.tally.claim(name, said, IN_HAND_S)
    if earlier is not None:
        return _replay(earlier, said)
    try:
        placed = _start(desk, key, order, wanted.callback_url, name)
    except BaseException:
        desk.tally.release(name)
        raise
    desk.tally.settle(name, f"{said} {placed.job_id} {placed.status}", DAY_S)
    return placed


def _make_order(desk: Desk, key: ApiKey, wanted: PostWanted | PageWanted) -> Order:
    wishes: dict[str, Any] = {"language": wanted.language}
    if wanted.style is not None:
        if wanted.style not in desk.styles:
            raise ApiError(404, "unknown_style", f"style {wanted.style!r} is not one of {', '.join(sorted(desk.styles))}")
        wishes["style"] = wanted.style
    if wanted.seed is not None:
        wishes["seed"] = wanted.seed
    if wanted.size is not None:
        wishes["size"] = [wanted.size.width, wanted.size.height]
    if isinstance(wanted, PageWanted):
        return Order(source=wanted.url, post_id=wanted.url, wishes={**wishes, "write": False}, tenant=key.tenant)
    site = desk.sites.get(wanted.site) if may_cover(key, wanted.site) else None
    if site is None:
        raise ApiError(404, "unknown_site", f"site {wanted.site[:80]!r} is not one that this key is for")
    return Order(source=site.source, post_id=wanted.post_id, wishes={**wishes, "force": wanted.force}, tenant=key.tenant,
                 site=wanted.site)


def _check_callback(desk: Desk, url: str) -> None:
    try:
        desk.courier.check(url)
    except Refused as exc:
        raise ApiError(403, "address_refused", f"callback_url: {exc}") from exc


def _start(desk: Desk, key: ApiKey, order: Order, callback_url: str | None, run_key: str) -> Placed:
    """Charge for the cover and start it; a cover that cannot be started costs nothing."""
    _charge(desk, key, 1)
    try:
        job = desk.runs.start(order, run_key)
        if job.order != order.digest:  # the tally has forgotten what the engine still knows
            raise _other_body()
        if callback_url:
            desk.outbox.add([make_item(job, callback_url)])
    except BaseException:
        _charge(desk, key, -1)
        raise
    return Placed(job_id=job.id, status=job.status)


def _charge(desk: Desk, key: ApiKey, covers: int) -> None:
    """From the key's own quota, if it has one, else from what its tenant's other keys share. Raises ApiError, Unavailable."""
    limit = desk.limits.per_day if key.per_day is None else key.per_day
    name = f"day:{key.tenant}" if key.per_day is None else f"day:{key.tenant}:{key.prefix}"
    admission = desk.tally.admit(name, limit, DAY_S, covers)
    if not admission.admitted:
        raise ApiError(429, "insufficient_quota", f"{limit} covers a day are used up",
                       {"Retry-After": str(math.ceil(admission.reset_s))})


def _replay(earlier: str, said: str) -> Placed:
    earlier_said, _, answer = earlier.partition(" ")
    if earlier_said != said:
        raise _other_body()
    job_id, _, status = answer.partition(" ")
    if not job_id:
        raise ApiError(409, "idempotency_in_progress", "a request with this Idempotency-Key is being worked on",
                       {"Retry-After": "1"})
    return Placed(job_id=job_id, status=status, replayed=True)


def _other_body() -> ApiError:
    return ApiError(422, "idempotency_mismatch", "this Idempotency-Key was used with another body")


def cancel(desk: Desk, job: Job) -> None:
    """Ask the job to end, unless it is over."""
    if not job.is_over:
        desk.runs.cancel(job.id)
