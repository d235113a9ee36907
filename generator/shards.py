"""The tensors of a checkpoint folder: safetensors, sharded with an index or whole. Reads each one when it is asked for."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from torch import Tensor

from generator.errors import CheckpointError

PICKLES = {".bin", ".pt", ".pth", ".ckpt"}


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from `file`. Raises CheckpointError."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file}: no such file") from None
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"{file}: not readable as JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise CheckpointError(f"{file}: holds {type(content).__name__}, not a JSON object")
    return content


class Shards:
    """Names and shapes of every tensor from the files' headers; a file is closed once its last tensor has been read.

    Raises CheckpointError for a missing, damaged or contradictory file.
    """

    def __init__(self, files: list[Path]) -> None:
        self._file_of: dict[str, Path] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.size_bytes = 0
        for file in files:
            for name, shape in read_header(file).items():
                if name in self._file_of:
                    raise CheckpointError(f"{file}: tensor {name} is also in {self._file_of[name].name}")
                self._file_of[name], self.shapes[name] = file, shape
            self.size_bytes += file.stat().st_size
        self._unread = Counter(self._file_of.values())
        self._open: dict[Path, Any] = {}

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Every tensor in the folder, which must be what the index says, where there is one."""
        listed, files = _list_files(folder)
        shards = cls(files)
        found = {name: file.name for name, file in shards._file_of.items()}
        if listed is not None and listed != found:
            odd = sorted(set(listed.items()) ^ set(found.items()))[0]
            raise CheckpointError(f"{folder}: tensor {odd[0]} is not where the index says ({odd[1]})")
        return shards

    def read(self, name: str) -> Tensor:
        """One tensor, on the CPU, backed by its file: copy what is to stay. Each is read once."""
        file = self._file_of[name]
        try:
            if file not in self._open:
                self._open[file] = safe_open(file, framework="pt")
            tensor: Tensor = self._open[file].get_tensor(name)
        except (SafetensorError, OSError, RuntimeError) as exc:
            raise CheckpointError(f"{file}: tensor {name} is not readable: {exc}") from exc
        self._unread[file] -= 1
        if not self._unread[file]:
            del self._open[file]
        return tensor


def read_header(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in one safetensors file. Raises CheckpointError."""
    try:
        with safe_open(file, framework="np") as shard:  # torch's own way reserves as much memory as the file is long
            return {name: tuple(shard.get_slice(name).get_shape()) for name in shard.keys()}  # noqa: SIM118 (no mapping)
    except FileNotFoundError:
        raise CheckpointError(f"{file}: there is no such file (a shard that the index names?)") from None
    except (SafetensorError, OSError) as exc:
        raise CheckpointError(f"{file}: damaged or not a safetensors file: {exc}") from exc


def _list_files(folder: Path) -> tuple[dict[str, str] | None, list[Path]]:
    """What the index says, if there is one, and the files."""
    index_files = sorted(folder.glob("*.safetensors.index.json"))
    if index_files:
        listed = read_json(index_files[0]).get("weight_map")
        if not isinstance(listed, dict) or not listed:
            raise CheckpointError(f"{index_files[0]}: weight_map is missing")
        names = sorted({str(file) for file in listed.values()})
        if any(Path(name).name != name for name in names):
            raise CheckpointError(f"{index_files[0]}: names a file outside its folder")
        return listed, [folder / name for name in names]
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = [file.name for file in folder.glob("*") if file.suffix in PICKLES]
        hint = f"; {pickles[0]} is a pickle, and pickles can run code: convert it to safetensors" if pickles else ""
        raise CheckpointError(f"{folder}: no .safetensors file{hint}")
    return None, files
