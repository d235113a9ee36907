"""A CMS that the site's owner named: its address, one request at a time to it, and answers told in one line.

What an answer means lives with each CMS.
"""

import json
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import httpx

from integrations.errors import Refused
from integrations.http import Answer, FetchLimits, GuardedClient
from prompts.plain import plain

EVERYWHERE = ("0.0.0.0/0", "::/0")
MAX_MESSAGE = 200


class OwnSite:
    """Sends requests to one site and follows no redirect, so that what opens it stays with it."""

    def __init__(self, system: str, url: str, secret: str, *, timeout_s: float, allow_http: bool) -> None:
        """system: such as "wordpress". url: of the site, as its visitors know it. secret: what requests carry, such as
        "password". timeout_s: for one request, uploads and the site's own work on them included.

        Raises ValueError for an address that is not https, unless it is this machine's or allow_http is set.
        """
        self._system, self._secret = system, secret
        self._address = _checked(system, url, secret, allow_http)
        port = self._address.port or (443 if self._address.scheme == "https" else 80)
        # Any network: the address is the owner's own choice.
        self._http = GuardedClient(FetchLimits(timeout_s=timeout_s, deadline_s=timeout_s, ports=frozenset({port}),
                                               networks=EVERYWHERE))

    @property
    def name(self) -> str:
        """The site as an error shows it."""
        return str(self._address)

    def send(self, method: str, path: str, **rest: Any) -> Answer:
        """The answer at `path` below the site. rest: of the request, as httpx takes it. Raises Refused, Unavailable."""
        url = self._address.copy_with(path=self._address.path.rstrip("/") + path)
        answer = self._http.send(httpx.Request(method, url, **rest))
        if 300 <= answer.status < 400:
            target = plain(answer.headers.get("location", "")).split("?")[0][:MAX_MESSAGE]
            raise Refused(f"{self._system}: {self.name} redirects to {target!r}, which is not followed with a {self._secret}; "
                          "give the address that the site is at")
        return answer


def parsed(answer: Answer) -> Any:
    """The answer's JSON, or None."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def first_words(answer: Answer) -> str:
    """How an answer that is no JSON begins."""
    return answer.body[:4 * MAX_MESSAGE].decode("utf-8", "replace").strip() or "an empty answer"


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """What a stranger's page says, on one line, short, and without our secrets if it repeats them."""
    for secret in secrets:
        text = text.replace(secret, "...")
    return plain(text)[:MAX_MESSAGE]


def _checked(system: str, url: str, secret: str, allow_http: bool) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as exc:
        raise ValueError(f"{system}: {url[:MAX_MESSAGE]!r} is not an address: {exc}") from exc
    if address.userinfo or address.query or address.fragment:
        raise ValueError(f"{system}: the site's address must have no user name, no query and no fragment")
    if address.scheme not in ("https", "http") or not address.host:
        raise ValueError(f"{system}: {url[:MAX_MESSAGE]!r} must begin with https:// and name a host")
    if address.scheme == "http" and not (allow_http or _is_loopback(address.host)):
        raise ValueError(f"{system}: {url[:MAX_MESSAGE]!r} is not https, so the {secret} could be read on the way; "
                         "use https, or allow http for a network of your own")
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
