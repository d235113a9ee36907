"""Hugging Face, or a mirror that speaks like it: listed through huggingface_hub, fetched as plain HTTP.

huggingface_hub (2.4) writes every download into a file of its own and drops it when the process ends, so going on with
57 GB after a kill is ours to do. Xet is not needed.
"""

from collections.abc import Callable
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

from integrations.errors import Refused, Unavailable
from integrations.models.catalogue import Source
from integrations.models.fetching import Wire, check_status
from integrations.models.hub import Listing, ModelHub, RepoFile

ENDPOINT = "https://huggingface.co"


class HuggingFaceHub(ModelHub):
    """endpoint: empty for the hub itself. token: empty to ask without one, whatever this machine has stored."""

    def __init__(self, endpoint: str = "", token: str = "", timeout_s: float = 30) -> None:
        self._endpoint = (endpoint or ENDPOINT).rstrip("/")
        self._timeout_s = timeout_s
        self._api = HfApi(endpoint=self._endpoint, token=token or False, library_name="fengmian")
        self._wire = Wire(timeout_s, {"Authorization": f"Bearer {token}"} if token else {})

    @property
    def source(self) -> Source:
        """Its name in the settings."""
        return "huggingface"

    def list_files(self, repo: str, revision: str) -> Listing:
        """The files of `repo` at a commit, tag or branch. Raises NotFound, Refused, Unavailable."""
        what = f"{self._endpoint}: {repo} at {revision}"
        try:
            info = self._api.model_info(repo, revision=revision, files_metadata=True, timeout=self._timeout_s)
            files = tuple(
                RepoFile(path=file.rfilename, size=(file.lfs.size if file.lfs else file.size) or 0,
                         sha256=file.lfs.sha256 if file.lfs else "", git_sha1=file.blob_id or "" if not file.lfs else "")
                for file in info.siblings or ()
            )
        except HfHubHTTPError as exc:
            check_status(exc.response.status_code, what)
            raise Refused(f"models: {what}: {type(exc).__name__}") from exc
        except (httpx2.HTTPError, OfflineModeIsEnabled) as exc:
            raise Unavailable(f"models: {what} cannot be asked for: {type(exc).__name__}") from exc
        except HFValidationError as exc:
            raise Refused(f"models: {what}: {exc}") from exc
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise Refused(f"models: {what}: the answer is not what a hub says: {type(exc).__name__}") from exc
        if not info.sha:
            raise Refused(f"models: {what}: the answer names no commit")
        return Listing(revision=info.sha, files=files)

    def fetch(self, repo: str, revision: str, file: RepoFile, part: Path, tell: Callable[[int], None]) -> None:
        """Write into `part` what it lacks of the file. Raises as the port says."""
        url = hf_hub_url(repo, file.path, revision=revision, endpoint=self._endpoint)
        self._wire.fetch(url, {}, file, part, tell)
