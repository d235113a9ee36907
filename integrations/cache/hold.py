"""What every claim shares: the rule for its hold time, and a release that cannot spoil finished work."""

import logging
import math
from collections.abc import Callable

from integrations.errors import IntegrationError

logger = logging.getLogger(__name__)


def check_hold(hold_s: float) -> None:
    """Raise ValueError unless `hold_s` is a length of time a lock can have."""
    if not (math.isfinite(hold_s) and hold_s > 0):
        raise ValueError(f"claim: hold_s is {hold_s}; it must be a number of seconds above 0")


def released_quietly(release: Callable[[], None], fingerprint: str) -> None:
    """Release, or leave it to the hold time: the cover is made, and an error here would throw it away."""
    try:
        release()
    except IntegrationError as exc:
        logger.warning("cache: the claim on %s was not released and ends with its hold time: %s", fingerprint, exc)
