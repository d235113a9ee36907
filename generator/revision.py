"""Which weights a checkpoint folder holds, without loading them: free of torch, so that a cached cover loads nothing."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from generator.errors import CheckpointError
from generator.options import LoraFile, ModelOptions, Precision

INDEX_FILE = "model_index.json"
RECORD_FILE = "fengmian-model.json"
"""What `fengmian models pull` writes beside the files it has verified: the SHA-256 and size of each."""
BUNDLED_FOLDER = Path(__file__).with_name("weights") / "mini"
"""The weights that come with the project."""


def checkpoint_name(folder: Path, options: ModelOptions | None = None, lora: LoraFile | None = None) -> str:
    """Name and revision of the weights in `folder`, and every option that changes pixels: what the fingerprint knows them by.

    lora: the one switched on. Devices differ in the last bits only and are not named. Raises CheckpointError.
    """
    options = options or ModelOptions()
    if not (folder / INDEX_FILE).is_file():
        raise CheckpointError(f"{folder / INDEX_FILE}: no such file; a checkpoint folder has one")
    marks = [] if options.precision == "float32" else [numerics(options.precision, options.device.partition(":")[0])]
    acting = (lora,) if lora else () if options.switch_loras else options.loras
    marks += [f"lora:{each.name}@{_lora_revision(each.file)}" + (f"*{each.weight:g}" if each.weight != 1 else "")
              for each in acting]
    marks += [f"shift{options.shift:g}"] if options.shift is not None else []
    marks += [f"cache{options.step_cache:g}"] if options.step_cache else []
    marks += ["compiled"] if options.compile != "off" else []
    return "+".join([f"{folder.resolve().name}@{revision(folder)}", *marks])


def _lora_revision(file: Path) -> str:
    if not file.is_file():
        raise CheckpointError(f"{file}: no such LoRA file")
    return _file_digest(file, _read_records(file.parent).get(file.name, {})).hex()[:12]


def numerics(precision: Precision, device_type: str) -> str:
    """The precision, and where it means other products on other devices, which."""
    return "float8-weights" if precision == "float8" and device_type == "cpu" else precision


def revision(folder: str | Path) -> str:
    """The first 12 hex digits of the SHA-256 over every weight and config file below `folder`: names its pixels.

    Files that a pull has verified are not read again as long as they have the recorded size.
    """
    folder = Path(folder)
    recorded = _read_records(folder)
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in {".safetensors", ".json", ".txt"} and file.name != RECORD_FILE and file.is_file():
            if any(part.startswith(".") for part in file.relative_to(folder).parts):
                continue
            name = file.relative_to(folder).as_posix()
            digest.update(name.encode())
            digest.update(_file_digest(file, recorded.get(name, {})))
    return digest.hexdigest()[:12]


def _read_records(folder: Path) -> dict[str, dict[str, object]]:
    """What the pull that brought `folder`, or a folder up to two above it, says of the files in it."""
    for above in (folder, *folder.resolve().parents[:2]):
        if recorded := _read_record(above):
            inner = "" if above == folder else folder.resolve().relative_to(above).as_posix() + "/"
            return {name.removeprefix(inner): told for name, told in recorded.items() if name.startswith(inner)}
    return {}


def _read_record(folder: Path) -> dict[str, dict[str, object]]:
    try:
        files = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))["files"]
        return {str(name): dict(told) for name, told in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no record, or none of ours: the files are read
        return {}


def _file_digest(file: Path, told: dict[str, object]) -> bytes:
    facts = file.stat()
    if told.get("size") == facts.st_size and isinstance(told.get("sha256"), str):
        return bytes.fromhex(str(told["sha256"]))
    return _digest_once(file, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=1024)
def _digest_once(file: Path, size: int, changed_ns: int) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
