"""GuardedCourier: callbacks through the one guarded client, so that no address leads into our own network."""

from collections.abc import Mapping

import httpx

from integrations.errors import Refused, Unavailable
from integrations.gateway.ports import Courier
from integrations.http import FetchLimits, GuardedClient, check_url

AGAIN = (408, 409, 425, 429)


class GuardedCourier(Courier):
    """limits: small ones; whoever is called back has little to say."""

    def __init__(self, limits: FetchLimits) -> None:
        self._client, self._ports = GuardedClient(limits), limits.ports

    def check(self, url: str) -> None:
        """Raise Refused for an address that would never be dialled, as far as that can be told without dialling."""
        check_url(url, self._ports)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Deliver it: any status of the 200s is a receipt; a redirect is not followed."""
        address = check_url(url, self._ports)
        status = self._client.send(httpx.Request("POST", address, content=body, headers=dict(headers))).status
        if 200 <= status < 300:
            return
        where = f"callback: {address.host} answered with status {status}"
        raise Unavailable(where) if status >= 500 or status in AGAIN else Refused(where)
