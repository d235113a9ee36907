"""ModelScope, or a mirror that speaks like it, over plain HTTP.

Its own library (modelscope-hub 0.5) looks for the cloud region it runs in and keeps files in the home folder; two
requests need neither. Shapes: GET /api/v1/models/{repo}/repo/files and /api/v1/models/{repo}/repo.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from integrations.errors import NotFound, Refused, Unavailable
from integrations.models.catalogue import Source
from integrations.models.fetching import Wire
from integrations.models.hub import Listing, ModelHub, RepoFile

ENDPOINT = "https://www.modelscope.cn"
COMMIT = re.compile("[0-9a-f]{40}")
MOST_FILES = 3000
"""As many as the hub lists; more are cut off without a word."""


class ModelScopeHub(ModelHub):
    """endpoint: empty for the hub itself. token: empty to ask without one."""

    def __init__(self, endpoint: str = "", token: str = "", timeout_s: float = 30) -> None:
        self._endpoint = (endpoint or ENDPOINT).rstrip("/")
        self._wire = Wire(timeout_s, {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"} if token else {})

    @property
    def source(self) -> Source:
        """Its name in the settings."""
        return "modelscope"

    def list_files(self, repo: str, revision: str) -> Listing:
        """The files of `repo` at a commit, tag or branch. Raises NotFound, Refused, Unavailable."""
        what = f"{self._endpoint}: {repo} at {revision}"
        data = self._ask(f"{self._address(repo)}/files", {"Revision": revision, "Recursive": "True"}, what)
        found = data.get("Files") or []
        if not found:  # how it answers for a revision that it does not have
            raise NotFound(f"models: {what} holds no files; there may be no such revision")
        if len(found) >= MOST_FILES:
            raise Refused(f"models: {what} holds {MOST_FILES} entries or more, of which the hub lists only some")
        try:
            entries = [entry for entry in found if entry["Type"] != "tree"]
            files = tuple(RepoFile(path=str(entry["Path"]), size=int(entry["Size"]), sha256=str(entry.get("Sha256") or ""))
                          for entry in entries)
        except (KeyError, TypeError, ValueError) as exc:
            raise Refused(f"models: {what}: the answer is not what ModelScope says: {type(exc).__name__}") from exc
        return Listing(revision=_commit(data, entries, revision, what), files=files)

    def fetch(self, repo: str, revision: str, file: RepoFile, part: Path, tell: Callable[[int], None]) -> None:
        """Write into `part` what it lacks of the file. Raises as the port says."""
        self._wire.fetch(self._address(repo), {"Revision": revision, "FilePath": file.path}, file, part, tell)

    def _address(self, repo: str) -> str:
        return f"{self._endpoint}/api/v1/models/{repo}/repo"

    def _ask(self, url: str, params: Mapping[str, str], what: str) -> dict[str, Any]:
        with self._wire.open(url, params) as answer:
            try:
                content = answer.json()
                data = content["Data"] if content.get("Success", True) else None
            except requests.exceptions.JSONDecodeError as exc:
                raise Refused(f"models: {what}: the answer is not JSON") from exc
            except requests.RequestException as exc:
                raise Unavailable(f"models: {what}: the answer broke off") from exc
            except (KeyError, AttributeError, TypeError) as exc:
                raise Refused(f"models: {what}: the answer is not what ModelScope says") from exc
        if not isinstance(data, dict):
            raise Refused(f"models: {what}: {str(content.get('Message'))[:200]}")
        return data


def _commit(data: Mapping[str, Any], entries: list[dict[str, Any]], revision: str, what: str) -> str:
    """The commit that was listed. The hub tells its first digits, and of each file the commit that last changed it."""
    if COMMIT.fullmatch(revision):
        return revision
    latest = data.get("LatestCommitter") or {}
    if COMMIT.fullmatch(str(latest.get("Id") or "")):
        return str(latest["Id"])
    # The newest of the files' own commits holds every listed file as it is listed, whatever came after it.
    commits = [entry for entry in entries if COMMIT.fullmatch(str(entry.get("Revision") or ""))]
    if not commits:
        raise Refused(f"models: {what}: the answer names no commit")
    short = str(latest.get("ShortId") or "")
    named = [str(entry["Revision"]) for entry in commits if short and str(entry["Revision"]).startswith(short)]
    return named[0] if named else str(max(commits, key=lambda entry: int(entry.get("CommittedDate") or 0))["Revision"])
