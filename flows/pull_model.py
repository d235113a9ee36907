"""The story of one pull: whatever breaks off is taken up again, as long as every few tries bring something."""

import logging
import time

from flows import wiring
from integrations.errors import Unavailable
from integrations.models.catalogue import find_model
from integrations.models.record import Record
from integrations.models.shelf import PullWatcher

log = logging.getLogger(__name__)
BARREN_TRIES = 3
"""So many tries in a row may bring nothing."""
WAIT_S = 1.0


def pull_model(name: str, revision: str, watcher: PullWatcher) -> Record:
    """The record of the model, which is here and whole now. Raises IntegrationError."""
    ports = wiring.ports()
    model, barren, most = find_model(name), 0, _here(name)
    while True:
        try:
            return ports.models.pull(model, ports.hub, revision, watcher)
        except Unavailable as exc:
            here = _here(name)
            barren, most = (0, here) if here > most else (barren + 1, most)
            if barren == BARREN_TRIES:
                raise
            log.warning("%s; trying again", exc)
            time.sleep(WAIT_S * 2**barren)


def _here(name: str) -> int:
    shelf = wiring.ports().models
    record = shelf.find(name)
    return shelf.here(record) if record else 0
