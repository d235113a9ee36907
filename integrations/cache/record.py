"""A CachedCover as JSON text and back: one form for every cache. A record that cannot be read is a miss."""

import json
import logging
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from integrations.ports import CachedCover

logger = logging.getLogger(__name__)
_RECORD = TypeAdapter(CachedCover)


def encode(cover: CachedCover) -> bytes:
    """`cover` as UTF-8 JSON. Lone surrogates in quoted text become "?": UTF-8 has no form for them."""
    return json.dumps(asdict(cover), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def decode(record: str | bytes, fingerprint: str) -> CachedCover | None:
    """The cover in `record`, or None, with a warning in the log, if it is damaged or belongs to another fingerprint."""
    try:
        cover = _RECORD.validate_json(record, strict=True)
    except ValidationError as exc:
        reason = exc.errors(include_url=False, include_input=False)[0]["msg"]
        logger.warning("cache: the record of %s is damaged and counts as a miss: %s", fingerprint, reason)
        return None
    if cover.fingerprint != fingerprint:
        logger.warning("cache: the record of %s is about %s and counts as a miss", fingerprint, cover.fingerprint)
        return None
    return cover
