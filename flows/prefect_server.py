"""PrefectServer: questions to a Prefect server, with its errors as ours."""

import contextvars
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from integrations.errors import Refused, Unavailable

Answer = TypeVar("Answer")
INCOMPATIBLE = "Found incompatible versions"


class PrefectServer:
    """api_url: such as http://127.0.0.1:4200/api. timeout_s: for one question. Safe between threads; opened on first use."""

    def __init__(self, api_url: str, timeout_s: float = 10) -> None:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}):  # of its own default, five, nobody can wait for the end
            self._context = contextvars.copy_context()
        self._api_url, self._timeout_s = api_url, timeout_s

    @cached_property
    def _client(self) -> SyncPrefectClient:
        client = SyncPrefectClient(self._api_url, httpx_settings={"timeout": httpx.Timeout(self._timeout_s), "trust_env": False})
        return client.__enter__()

    def ask(self, question: Callable[[SyncPrefectClient], Answer]) -> Answer | None:
        """The answer; None for what does not exist. Raises Unavailable, Refused."""
        try:
            return self._context.copy().run(lambda: question(self._client))
        except ObjectNotFound:
            return None
        except PrefectHTTPStatusError as exc:
            status = exc.response.status_code
            error = Unavailable if status >= 500 or status in (408, 429) else Refused
            raise error(f"prefect: {self._api_url} answered with status {status}: {exc.response.text[:300]}") from exc
        except httpx.HTTPError as exc:
            raise self._out_of_reach(exc) from exc
        except RuntimeError as exc:  # what the client says of its first question, before which it asks for the server's version
            if str(exc).startswith(INCOMPATIBLE):
                raise Refused(f"prefect: {self._api_url}: {exc}") from exc
            if not isinstance(exc.__cause__, (httpx.HTTPError, PrefectHTTPStatusError)):
                raise  # a bug, ours or Prefect's: whoever asked shall see it
            raise self._out_of_reach(exc) from exc

    def _out_of_reach(self, exc: Exception) -> Unavailable:
        return Unavailable(f"prefect: no server answers at {self._api_url}: {exc or type(exc).__name__}")
