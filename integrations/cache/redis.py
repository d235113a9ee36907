"""RedisCoverCache: finished covers and claims in Redis, for many machines."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry

from integrations.cache import record
from integrations.cache.hold import check_hold, released_quietly
from integrations.errors import Refused, Unavailable
from integrations.ports import CachedCover, CoverCache

Answer = TypeVar("Answer")

# Compare and delete in one step: between a GET and a DEL our hold may end and another's begin.
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


def make_client(url: str, timeout_s: float) -> Redis:
    """A client for `url` (redis://, rediss:// or unix://) that gives up after `timeout_s` and does not retry.

    Raises ValueError, which never shows the URL, if it cannot be read.
    """
    try:
        return Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        )
    except ValueError:
        raise ValueError("redis_url is not a Redis address: it must be redis://host:6379/0, rediss:// or unix://, and "
                         "/, # and @ in a password are written %2F, %23 and %40") from None


class RedisCoverCache(CoverCache):
    """prefix: put before every key."""

    def __init__(self, client: Redis, prefix: str = "fengmian:") -> None:
        self._client = client
        self._prefix = prefix

    def find(self, fingerprint: str) -> CachedCover | None:
        """The finished cover for these exact inputs, or None. A damaged record is a miss."""
        key = self._cover_key(fingerprint)
        try:
            text = self._ask(lambda: self._client.get(key))
        except UnicodeDecodeError:  # from a client that was told to decode
            return None
        return None if text is None else record.decode(text, fingerprint)

    def remember(self, cover: CachedCover) -> None:
        """Keep `cover`; the newest wins."""
        key, text = self._cover_key(cover.fingerprint), record.encode(cover)
        self._ask(lambda: self._client.set(key, text))

    def forget(self, fingerprint: str) -> None:
        """Drop the record, if there is one."""
        self._ask(lambda: self._client.delete(self._cover_key(fingerprint)))

    def claim(self, fingerprint: str, hold_s: float) -> AbstractContextManager[bool]:
        """True inside the block if we may make this cover. Raises Unavailable, ValueError for a bad `hold_s`."""
        check_hold(hold_s)
        return self._claim(fingerprint, hold_s)

    @contextmanager
    def _claim(self, fingerprint: str, hold_s: float) -> Iterator[bool]:
        key, token = f"{self._prefix}claim:{fingerprint}", secrets.token_hex(16)
        hold_ms = max(1, round(hold_s * 1000))
        is_ours = bool(self._ask(lambda: self._client.set(key, token, nx=True, px=hold_ms)))

        def release() -> None:
            self._ask(lambda: self._client.eval(RELEASE, 1, key, token))

        try:
            yield is_ours
        finally:
            if is_ours:
                released_quietly(release, fingerprint)

    def _cover_key(self, fingerprint: str) -> str:
        return f"{self._prefix}cover:{fingerprint}"

    def _ask(self, command: Callable[[], Answer]) -> Answer | None:
        try:
            return command()
        except (AuthenticationError, AuthorizationError, NoPermissionError) as exc:
            raise Refused(f"redis: {exc}") from exc
        except ResponseError as exc:
            if str(exc).startswith("WRONGTYPE"):
                return None  # something else lies under our key: a miss, and remembering replaces it
            raise Unavailable(f"redis: {exc}") from exc
        except RedisError as exc:
            raise Unavailable(f"redis: {exc}") from exc
