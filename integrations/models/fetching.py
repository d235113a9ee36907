"""One file over HTTP, going on where an earlier try ended. Shared by the hubs; addresses are the site's own settings."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import requests

from integrations.errors import NotFound, Refused, Unavailable
from integrations.models.hub import PullFailed, RepoFile

PIECE_BYTES = 1 << 17
"""How much a broken connection may lose of what came through it."""


class Wire:
    """GET with a time limit for each step. secrets: headers sent to the named hub only, not to where it redirects."""

    def __init__(self, timeout_s: float, secrets: Mapping[str, str] = MappingProxyType({})) -> None:
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": "fengmian", "Accept-Encoding": "identity", **secrets}

    def open(self, url: str, params: Mapping[str, str], offset: int = 0) -> requests.Response:
        """The answer, its body unread, from byte `offset` on if the server can. Raises NotFound, Refused, Unavailable."""
        headers = self._headers | ({"Range": f"bytes={offset}-"} if offset else {})
        try:
            answer = requests.get(url, params=params, headers=headers, stream=True, timeout=self._timeout_s)
        except requests.RequestException as exc:  # its text may repeat a signed address
            raise Unavailable(f"models: {url} cannot be reached: {type(exc).__name__}") from exc
        try:
            check_status(answer.status_code, url)
        except Exception:
            answer.close()
            raise
        return answer

    def fetch(self, url: str, params: Mapping[str, str], file: RepoFile, part: Path, tell: Callable[[int], None]) -> None:
        """Write into `part` what it lacks of `file`. Raises as ModelHub.fetch does."""
        have = part.stat().st_size if part.exists() else 0
        if have > file.size:  # of another revision, or spoilt: nothing could follow it
            part.unlink()
            have = 0
        if have == file.size > 0:
            return
        try:
            with part.open("ab") as stream, self.open(url, params, have) as answer:
                if have and not _goes_on(answer, have):
                    stream.truncate(0)
                    tell(-have)
                self._pour(answer, stream, file, tell)
        except requests.RequestException as exc:
            raise Unavailable(f"models: {url} broke off in {file.path}: {type(exc).__name__}") from exc
        except OSError as exc:
            raise PullFailed(f"models: cannot write {part}: {exc.strerror or exc}") from exc

    def _pour(self, answer: requests.Response, stream: BinaryIO, file: RepoFile, tell: Callable[[int], None]) -> None:
        for piece in answer.iter_content(PIECE_BYTES):
            if stream.tell() + len(piece) > file.size:
                raise PullFailed(f"models: {file.path} is longer than the {file.size} bytes that the hub tells")
            stream.write(piece)
            tell(len(piece))
        stream.flush()
        os.fsync(stream.fileno())
        if stream.tell() < file.size:
            raise Unavailable(f"models: {file.path} ended after {stream.tell()} of {file.size} bytes")


def check_status(status: int, what: str) -> None:
    """Raise what an HTTP status means: NotFound, Refused, Unavailable."""
    if status in (404, 410):
        raise NotFound(f"models: {what} does not exist (status {status})")
    if status in (408, 429) or status >= 500:
        raise Unavailable(f"models: {what} answered with status {status}")
    if status in (401, 403):
        raise Refused(f"models: {what} needs permission (status {status}): set models.token, and accept the terms on its page")
    if status >= 300:
        raise Refused(f"models: {what} answered with status {status}")


def _goes_on(answer: requests.Response, offset: int) -> bool:
    return answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
