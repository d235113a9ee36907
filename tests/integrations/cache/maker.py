"""One process that wants a cover: python -m tests.integrations.cache.maker ADDRESS TALLY HOLD_S WORK_S."""

import sys
from pathlib import Path

from integrations.cache.redis import RedisCoverCache, make_client
from integrations.cache.sqlite import SqliteCoverCache
from tests.integrations.cache.covers import FINGERPRINT, make_once


def open_cache(address: str):
    kind, _, place = address.partition("=")
    return SqliteCoverCache(Path(place)) if kind == "sqlite" else RedisCoverCache(make_client(place, 5), "makers:")


if __name__ == "__main__":
    address, tally, hold_s, work_s = sys.argv[1:]
    make_once(open_cache(address), FINGERPRINT, Path(tally), hold_s=float(hold_s), work_s=float(work_s))
