import time
import traceback

import pytest
from redis import Redis

from integrations.cache.redis import RedisCoverCache, make_client
from integrations.errors import Refused, Unavailable
from tests.integrations.cache.covers import FINGERPRINT, a_cover
from tests.services.process import free_port

KEY = f"t:cover:{FINGERPRINT}"


@pytest.fixture
def client(redis_server):
    client = make_client(redis_server.url, 5)
    client.flushdb()
    return client


@pytest.fixture
def cache(client):
    return RedisCoverCache(client, prefix="t:")


@pytest.mark.service("redis")
@pytest.mark.parametrize("record", [b"", b"{", b"\xff\xff"])
def test_a_damaged_record_is_a_miss_and_can_be_replaced(client, cache, record):
    client.set(KEY, record)
    assert cache.find(FINGERPRINT) is None
    cache.remember(a_cover())
    assert cache.find(FINGERPRINT) == a_cover()


@pytest.mark.service("redis")
def test_another_kind_of_value_under_our_key_is_a_miss_and_is_replaced(client, cache):
    client.rpush(KEY, "a list")
    assert cache.find(FINGERPRINT) is None
    cache.remember(a_cover())
    assert cache.find(FINGERPRINT) == a_cover()


@pytest.mark.service("redis")
def test_a_client_that_decodes_serves_as_well(redis_server, cache, client):
    decoding = RedisCoverCache(Redis.from_url(redis_server.url, decode_responses=True), prefix="t:")
    cache.remember(a_cover())
    assert decoding.find(FINGERPRINT) == a_cover()
    with decoding.claim(FINGERPRINT, 10):
        pass
    assert client.exists(f"t:claim:{FINGERPRINT}") == 0
    client.set(KEY, b"\xff\xff")
    assert decoding.find(FINGERPRINT) is None


@pytest.mark.service("redis")
def test_a_claim_carries_its_end_in_redis_itself(client, cache):
    with cache.claim(FINGERPRINT, 10):
        assert 9000 < client.pttl(f"t:claim:{FINGERPRINT}") <= 10000


@pytest.mark.service("redis")
def test_two_prefixes_are_two_caches(client, cache):
    cache.remember(a_cover())
    assert RedisCoverCache(client, prefix="u:").find(FINGERPRINT) is None


@pytest.mark.service("redis")
def test_a_wrong_password_is_refused_and_not_tried_again(client, redis_server):
    client.acl_setuser("guest", enabled=True, passwords=["+right"], keys=["*"], commands=["+@all"])
    wrong = redis_server.url.replace("redis://", "redis://guest:wrong@")
    with pytest.raises(Refused, match=r"^redis: "):
        RedisCoverCache(make_client(wrong, 5)).find(FINGERPRINT)


@pytest.mark.service("redis")
def test_a_user_without_the_right_is_refused(client, redis_server):
    client.acl_setuser("reader", enabled=True, passwords=["+right"], keys=["*"], commands=["+get"])
    reader = make_client(redis_server.url.replace("redis://", "redis://reader:right@"), 5)
    with pytest.raises(Refused, match=r"^redis: .*set"):
        RedisCoverCache(reader).remember(a_cover())


@pytest.mark.service("redis")
def test_a_server_out_of_memory_is_unavailable(client, cache):
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(Unavailable, match=r"^redis: .*memory"):
            cache.remember(a_cover())
    finally:
        client.config_set("maxmemory", "0")


@pytest.mark.service("redis")
def test_a_server_that_hangs_is_unavailable_after_the_timeout(client, redis_server):
    patient, impatient = client, RedisCoverCache(make_client(redis_server.url, 0.3))
    patient.execute_command("CLIENT", "PAUSE", "2000", "ALL")
    start = time.monotonic()
    with pytest.raises(Unavailable, match=r"^redis: Timeout"):
        impatient.find(FINGERPRINT)
    assert time.monotonic() - start < 1.5
    patient.execute_command("CLIENT", "UNPAUSE")


def test_no_server_is_unavailable():
    with pytest.raises(Unavailable, match=r"^redis: .*refused"):
        RedisCoverCache(make_client(f"redis://127.0.0.1:{free_port()}/0", 1)).find(FINGERPRINT)


@pytest.mark.parametrize("url", ["redis://:s3cr3t/x@host:6379/0", "redis://:s3cr3t#x@host:port", "http://:s3cr3t@host"])
def test_an_address_that_cannot_be_read_is_refused_without_showing_it(url):
    with pytest.raises(ValueError, match=r"^redis_url is not a Redis address") as caught:
        make_client(url, 1)
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
