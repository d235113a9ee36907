"""The one guarded way to fetch an address that a stranger wrote (a feed, a page, a picture), or to ask the site's own CMS.

The address is checked at the moment of dialling (a check before that leaks under DNS rebinding), every byte counts
against one deadline, and decoded bytes are counted. Which addresses are public lives in addresses.py.
"""

import queue
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpcore
import httpx

from integrations.addresses import IPNetwork, may_be_dialled, networks
from integrations.errors import NotFound, Refused, Unavailable

USER_AGENT = "fengmian-cover-bot"
MAX_URL_CHARACTERS = 2048
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """How far a fetch may go. networks: besides the public internet, such as "10.1.0.0/16" for a site's own CMS."""

    timeout_s: float = 10.0
    """For one step: resolving, connecting, waiting for the next bytes."""
    deadline_s: float = 30.0
    """For the whole fetch, redirects included."""
    max_bytes: int = 10_000_000
    """Of the decoded body."""
    max_redirects: int = 5
    ports: frozenset[int] = frozenset({80, 443})
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """An answer with status 200. url: where it was found after redirects. charset: as the server declares, or empty."""

    url: str
    content_type: str
    charset: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Any answer, whatever its status. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Fetcher(Protocol):
    """What adapters that read the web need of a client."""

    def get(self, url: str, content_types: Collection[str] = ()) -> Fetched:
        """The body behind `url`, of one of `content_types` if any. Raises Refused, NotFound, Unavailable."""
        ...


class GuardedClient(Fetcher):
    """Fetches public web addresses, and nothing behind them. Safe to share between threads; keeps no cookies."""

    def __init__(self, limits: FetchLimits | None = None) -> None:
        self._limits = limits or FetchLimits()
        self._networks = networks(self._limits.networks)
        self._ssl = ssl.create_default_context()

    def get(self, url: str, content_types: Collection[str] = ()) -> Fetched:
        """The body behind `url`, whose type must be one of `content_types` if any are given.

        Raises Refused for an address or answer that breaks a rule, NotFound for 404 and 410, Unavailable for a server
        that does not answer properly or in time.
        """
        with self._transport(url) as (transport, gate):
            return self._follow(transport, url, frozenset(content_types), gate)

    def send(self, request: httpx.Request) -> Answer:
        """The answer to one request, as it is: no redirect is followed, and every status is an answer.

        Raises Refused for an address or answer that breaks a rule, Unavailable for a server that does not answer properly
        or in time.
        """
        url = str(check_url(request.url, self._limits.ports))
        request.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", "Connection": "close"})
        with self._transport(url) as (transport, _), closing(transport.handle_request(request)) as response:
            return Answer(status=response.status_code, headers={name.lower(): text for name, text in response.headers.items()},
                          body=b"".join(self._decoded(response)))

    @contextmanager
    def _transport(self, url: str) -> Iterator[tuple["_Transport", "_Gate"]]:
        """A connection for one fetch, whose trouble is told in our words."""
        gate = _Gate(self._limits, self._networks)
        with _Transport(gate, self._ssl) as transport:
            try:
                yield transport, gate
            except httpcore.TimeoutException as exc:
                raise Unavailable(f"http: {_short(url)} did not answer within {gate.waited_s:.0f} s") from exc
            except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as exc:
                raise Unavailable(f"http: {_short(url)}: {exc or type(exc).__name__}") from exc

    def _follow(self, transport: "_Transport", url: str, content_types: frozenset[str], gate: "_Gate") -> Fetched:
        target = check_url(url, self._limits.ports)
        for _ in range(self._limits.max_redirects + 1):
            headers = {"User-Agent": USER_AGENT, "Accept": ", ".join(sorted(content_types)) or "*/*",
                       "Accept-Encoding": "gzip", "Connection": "close"}
            with closing(transport.handle_request(httpx.Request("GET", target, headers=headers))) as response:
                if not response.has_redirect_location:
                    return self._checked(response, content_types)
                target = check_url(_joined(target, response.headers["location"]), self._limits.ports)
            gate.check_deadline()
        raise Refused(f"http: {_short(url)} redirects more than {self._limits.max_redirects} times")

    def _checked(self, response: httpx.Response, content_types: frozenset[str]) -> Fetched:
        url = _short(str(response.url))
        if response.status_code in (404, 410):
            raise NotFound(f"http: {url} does not exist (status {response.status_code})")
        if response.status_code == 429 or response.status_code >= 500:
            raise Unavailable(f"http: {url} answered with status {response.status_code}")
        if response.status_code != 200:
            raise Refused(f"http: {url} answered with status {response.status_code}")
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_types and kind not in content_types:
            known = ", ".join(sorted(content_types))
            raise Refused(f"http: {url} is of type {kind[:60] or 'unknown'!r}; allowed: {known}")
        return Fetched(url=str(response.url), content_type=kind, charset=response.charset_encoding or "",
                       body=b"".join(self._decoded(response)))

    def _decoded(self, response: httpx.Response) -> Iterator[bytes]:
        """The body, unpacked piece by piece so that a bomb is noticed before it fills the memory."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower() or "identity"
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise Refused(f"http: {_short(str(response.url))} is encoded as {encoding[:40]!r}; only gzip is allowed")
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding != "identity" else None
        room = self._limits.max_bytes
        for packed in response.iter_raw():
            while packed:
                try:
                    piece = unpacker.decompress(packed, _READ_BYTES) if unpacker else packed
                except zlib.error as exc:
                    raise Unavailable(f"http: {_short(str(response.url))} sent damaged gzip: {exc}") from exc
                packed = unpacker.unconsumed_tail if unpacker else b""
                room -= len(piece)
                if room < 0:
                    raise Refused(f"http: {_short(str(response.url))} has more than {self._limits.max_bytes} bytes")
                yield piece


def check_url(url: str | httpx.URL, ports: Collection[int] = (80, 443)) -> httpx.URL:
    """`url` parsed, if it is http(s) with a host, an allowed port and no user name. Raises Refused."""
    written = str(url)
    if len(written) > MAX_URL_CHARACTERS:
        raise Refused(f"http: the address has {len(written)} characters; at most {MAX_URL_CHARACTERS} are allowed")
    if "\\" in written or not written.isprintable() or any(character.isspace() for character in written):
        raise Refused(f"http: {_short(written)!r} contains a backslash, a space or a control character")
    try:
        parsed = httpx.URL(written)
        host = parsed.raw_host
    except (httpx.InvalidURL, ValueError) as exc:
        raise Refused(f"http: {_short(written)!r} is not an address: {exc}") from exc
    if parsed.scheme not in ("http", "https"):
        raise Refused(f"http: {_short(written)!r} has the scheme {parsed.scheme!r}; only http and https are allowed")
    if "@" in re.split(r"[/?#]", written.split("://", 1)[-1], maxsplit=1)[0]:
        raise Refused(f"http: {_short(written)!r} contains a user name; addresses with one are not fetched")
    if not host or b"%" in host:
        raise Refused(f"http: {_short(written)!r} has no host that can be dialled")
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    if port not in ports:
        raise Refused(f"http: port {port} is not allowed; allowed: {', '.join(map(str, sorted(ports)))}")
    return parsed


def _joined(base: httpx.URL, location: str) -> str:
    try:
        return str(base.join(location))
    except (httpx.InvalidURL, ValueError) as exc:
        raise Refused(f"http: {_short(str(base))} redirects to {_short(location)!r}, which is not an address") from exc


def _short(url: str) -> str:
    """The address as an error shows it: no query (it may hold a key), not long."""
    return url.split("?")[0][:120]


class _Gate(httpcore.NetworkBackend):
    """Dials, once the address is resolved and found allowed; made anew for each fetch, whose deadline it keeps."""

    def __init__(self, limits: FetchLimits, allowed: tuple[IPNetwork, ...]) -> None:
        self._limits = limits
        self._allowed = allowed
        self._dialler = httpcore.SyncBackend()
        self._started = time.monotonic()

    @property
    def waited_s(self) -> float:
        return time.monotonic() - self._started

    def step_timeout_s(self) -> float:
        """How long the next step may take. Raises httpcore.ReadTimeout when the deadline has passed."""
        left = self._limits.deadline_s - self.waited_s
        if left <= 0:
            raise httpcore.ReadTimeout("deadline")
        return min(left, self._limits.timeout_s)

    def check_deadline(self) -> None:
        self.step_timeout_s()

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
                    socket_options: Any = None) -> httpcore.NetworkStream:
        if port not in self._limits.ports:
            raise Refused(f"http: port {port} is not allowed")
        addresses = _resolve(host, port, self.step_timeout_s())
        for address in addresses:
            if not may_be_dialled(address, self._allowed):
                raise Refused(f"http: {host} is at {address}, which is not a public address")
        stream = self._dialler.connect_tcp(addresses[0], port, self.step_timeout_s(), local_address, socket_options)
        return _Stream(stream, self)

    def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Any = None,
                            ) -> httpcore.NetworkStream:
        raise Refused("http: unix sockets are not fetched from")


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at the fetch's deadline, so that a slow drip cannot hold it open."""

    def __init__(self, inner: httpcore.NetworkStream, gate: _Gate) -> None:
        self._inner = inner
        self._gate = gate

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._gate.step_timeout_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._gate.step_timeout_s())

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None,
                  timeout: float | None = None) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._gate.step_timeout_s()), self._gate)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Transport(httpx.BaseTransport):
    """httpx over a pool of our own, since httpx has no public way to pass a network backend."""

    def __init__(self, gate: _Gate, context: ssl.SSLContext) -> None:
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=gate, retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port,
                           target=request.url.raw_path)
        answer = self._pool.handle_request(
            httpcore.Request(request.method, url, headers=request.headers.raw, content=request.read()))
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), request=request)

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


def _resolve(host: str, port: int, timeout_s: float) -> list[str]:
    """The addresses of `host`. In a thread of its own, because getaddrinfo has no time limit."""
    answer: queue.Queue[list[str] | OSError] = queue.Queue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host.rstrip("."), port, type=socket.SOCK_STREAM)
            answer.put([str(info[4][0]) for info in found])
        except (OSError, UnicodeError) as exc:
            answer.put(exc if isinstance(exc, OSError) else OSError(str(exc)))

    threading.Thread(target=ask, daemon=True, name="resolve").start()
    try:
        found = answer.get(timeout=timeout_s)
    except queue.Empty:
        raise Unavailable(f"http: {host} was not resolved within {timeout_s:.0f} s") from None
    if isinstance(found, OSError) or not found:
        raise Unavailable(f"http: {host} cannot be resolved") from (found if isinstance(found, OSError) else None)
    return found
