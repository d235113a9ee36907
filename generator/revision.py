"""Which weights a checkpoint folder holds, without loading them: free of torch, so that a cached cover loads nothing."""

import hashlib
from pathlib import Path

from generator.errors import CheckpointError

INDEX_FILE = "model_index.json"
BUNDLED_FOLDER = Path(__file__).with_name("weights") / "mini"
"""The weights that come with the project."""


def checkpoint_name(folder: Path, dtype: str = "float32") -> str:
    """Name and revision of the weights in `folder`, and the precision if not float32: what the fingerprint knows them by.

    Devices differ in the last bits only and are not named. Raises CheckpointError.
    """
    if not (folder / INDEX_FILE).is_file():
        raise CheckpointError(f"{folder / INDEX_FILE}: no such file; a checkpoint folder has one")
    return f"{folder.resolve().name}@{revision(folder)}{'' if dtype == 'float32' else f'+{dtype}'}"


def revision(folder: str | Path) -> str:
    """The first 12 hex digits of the SHA-256 over every weight and config file below `folder`: names its pixels."""
    digest = hashlib.sha256()
    for file in sorted(Path(folder).rglob("*")):
        if file.suffix in {".safetensors", ".json", ".txt"}:
            digest.update(str(file.relative_to(folder)).encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:12]
