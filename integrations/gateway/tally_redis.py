"""RedisTally: what all gateways of a fleet count together, in Redis 6.2 or later."""

import json
from collections.abc import Mapping
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from integrations.errors import Unavailable
from integrations.gateway.ports import Admission, Event, Tally

KEEP_EVENTS_S = 86_400
MAX_EVENTS = 1000

# Redis's own clock decides which window it is, so that gateways need not agree on the time.
ADMIT = """
local now = redis.call('TIME')
local window = tonumber(ARGV[2])
local at = math.floor(tonumber(now[1]) / window)
local key = KEYS[1] .. ':' .. at
local used = tonumber(redis.call('GET', key) or '0')
local admitted = 0
if used + tonumber(ARGV[3]) <= tonumber(ARGV[1]) then
    used = redis.call('INCRBY', key, ARGV[3])
    redis.call('EXPIRE', key, window + 60)
    admitted = 1
end
return {admitted, used, tostring((at + 1) * window - tonumber(now[1]) - tonumber(now[2]) / 1000000)}
"""
CLAIM = """
local there = redis.call('GET', KEYS[1])
if there then return there end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return nil
"""
APPEND = """
if ARGV[1] ~= '' and redis.call('HSETNX', KEYS[2], ARGV[1], 1) == 0 then return nil end
if ARGV[1] ~= '' then redis.call('EXPIRE', KEYS[2], ARGV[4]) end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[5], '*', 'name', ARGV[2], 'data', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return id
"""


def make_client(url: str, timeout_s: float) -> "Redis":
    """A client for `url` that gives up after `timeout_s` and does not retry. Raises ValueError, which never shows the URL."""
    try:
        return Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, decode_responses=True,
                              retry=Retry(NoBackoff(), 0))
    except ValueError:
        raise ValueError("redis_url is not a Redis address: it must be redis://host:6379/0, rediss:// or unix://") from None


class RedisTally(Tally):
    """prefix: put before every key. The keys of one script share a hash tag, so that a cluster can run it."""

    def __init__(self, client: "Redis", prefix: str = "fengmian:gateway:") -> None:
        self._client, self._prefix = client, prefix
        self._admit, self._claim, self._append = (client.register_script(script) for script in (ADMIT, CLAIM, APPEND))

    def admit(self, name: str, limit: int, window_s: int, cost: int = 1) -> Admission:
        """Count `cost` if that stays within `limit`; else count nothing."""
        admitted, used, reset = self._run(self._admit, [f"{self._prefix}count:{{{name}}}"], [limit, window_s, cost])
        return Admission(admitted=bool(admitted), remaining=max(0, limit - int(used)), reset_s=float(reset))

    def claim(self, name: str, value: str, ttl_s: float) -> str | None:
        """Keep `value` under `name` if nothing is there, and return None; else what is there."""
        found = self._run(self._claim, [self._kept(name)], [value, round(ttl_s * 1000)])
        return None if found is None else str(found)

    def settle(self, name: str, value: str, ttl_s: float) -> None:
        """Keep `value` under `name`, whatever was there."""
        self._ask("SET", self._kept(name), value, "PX", round(ttl_s * 1000))

    def release(self, name: str) -> None:
        """Forget what is under `name`."""
        self._ask("DEL", self._kept(name))

    def append_event(self, job_id: str, name: str, data: Mapping[str, Any], *, once: str = "") -> None:
        """Add to the job's events, which are kept for a day."""
        stream = self._stream(job_id)
        said = json.dumps(dict(data), ensure_ascii=False)
        self._run(self._append, [stream, f"{stream}:once"], [once, name, said, KEEP_EVENTS_S, MAX_EVENTS])

    def events_after(self, job_id: str, event_id: str = "") -> list[Event]:
        """The job's events after that one, oldest first."""
        found = self._ask("XRANGE", self._stream(job_id), f"({event_id}" if event_id else "-", "+", "COUNT", MAX_EVENTS)
        return [Event(id=each_id, name=fields["name"], data=json.loads(fields["data"])) for each_id, fields in found or ()]

    def _kept(self, name: str) -> str:
        return f"{self._prefix}kept:{name}"

    def _stream(self, job_id: str) -> str:
        return f"{self._prefix}events:{{{job_id}}}"

    def _ask(self, *words: Any) -> Any:
        try:
            return self._client.execute_command(*words)  # type: ignore[no-untyped-call]
        except RedisError as exc:
            raise Unavailable(f"redis: {exc}") from exc

    def _run(self, script: Any, keys: list[str], values: list[Any]) -> Any:
        try:
            return script(keys=keys, args=values)
        except RedisError as exc:
            raise Unavailable(f"redis: {exc}") from exc
