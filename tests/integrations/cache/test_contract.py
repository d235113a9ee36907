"""What every CoverCache promises, on SQLite, on a real Redis and in memory."""

import math
import threading
import time

import pytest

from integrations.cache.redis import RedisCoverCache, make_client
from integrations.cache.sqlite import SqliteCoverCache
from integrations.local import MemoryCoverCache
from tests.integrations.cache.covers import FINGERPRINT, a_cover, make_once


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.service("redis"))])
def cache(request, tmp_path):
    if request.param == "memory":
        return MemoryCoverCache()
    if request.param == "sqlite":
        return SqliteCoverCache(tmp_path / "new folder" / "covers.sqlite")
    server = request.getfixturevalue("redis_server")
    return RedisCoverCache(make_client(server.url, 5), prefix=f"{tmp_path}:")


def test_an_unknown_cover_is_a_miss(cache):
    assert cache.find(FINGERPRINT) is None


def test_a_remembered_cover_comes_back_whole(cache):
    cache.remember(a_cover())
    assert cache.find(FINGERPRINT) == a_cover()


def test_the_newest_record_wins(cache):
    cache.remember(a_cover(created_at=1))
    cache.remember(a_cover(created_at=2))
    assert cache.find(FINGERPRINT).created_at == 2


def test_a_forgotten_cover_is_a_miss_and_others_stay(cache):
    cache.remember(a_cover())
    cache.remember(a_cover("cd" * 32))
    cache.forget(FINGERPRINT)
    cache.forget(FINGERPRINT)
    assert (cache.find(FINGERPRINT), cache.find("cd" * 32)) == (None, a_cover("cd" * 32))


def test_a_claim_is_held_by_one_at_a_time(cache):
    with cache.claim(FINGERPRINT, 30) as first, cache.claim(FINGERPRINT, 30) as second:
        assert (first, second) == (True, False)


def test_claims_on_different_covers_do_not_meet(cache):
    with cache.claim(FINGERPRINT, 30) as first, cache.claim("cd" * 32, 30) as second:
        assert (first, second) == (True, True)


def test_a_released_claim_can_be_taken_again(cache):
    with cache.claim(FINGERPRINT, 30):
        pass
    with cache.claim(FINGERPRINT, 30) as again:
        assert again is True


def test_a_claim_is_released_when_the_work_fails(cache):
    with pytest.raises(ZeroDivisionError), cache.claim(FINGERPRINT, 30):
        raise ZeroDivisionError
    with cache.claim(FINGERPRINT, 30) as again:
        assert again is True


def test_whoever_was_refused_a_claim_does_not_release_it(cache):
    with cache.claim(FINGERPRINT, 30):
        with cache.claim(FINGERPRINT, 30):
            pass
        with cache.claim(FINGERPRINT, 30) as third:
            assert third is False


def test_a_claim_ends_with_its_hold_time(cache):
    with cache.claim(FINGERPRINT, 0.2):
        time.sleep(0.3)
        with cache.claim(FINGERPRINT, 30) as second:
            assert second is True


def test_a_holder_that_was_too_slow_does_not_release_the_next_ones_claim(cache):
    slow = cache.claim(FINGERPRINT, 0.1)
    assert slow.__enter__() is True
    time.sleep(0.2)
    with cache.claim(FINGERPRINT, 30) as second:
        slow.__exit__(None, None, None)
        with cache.claim(FINGERPRINT, 30) as third:
            assert (second, third) == (True, False)


@pytest.mark.parametrize("hold_s", [0, -1, math.inf, math.nan])
def test_a_hold_time_that_is_no_time_is_refused(cache, hold_s):
    with pytest.raises(ValueError, match=r"^claim: hold_s is .*; it must be a number of seconds above 0$"):
        cache.claim(FINGERPRINT, hold_s)


def test_eight_threads_make_one_cover(cache, tmp_path):
    tally, failures = tmp_path / "tally", []

    def want() -> None:
        try:
            make_once(cache, FINGERPRINT, tally, hold_s=20, work_s=0.1)
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert (failures, tally.read_text()) == ([], "made\n")
