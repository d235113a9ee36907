"""What the text encoder said of a prompt, kept in memory and then on disk: a large encoder need not even be loaded."""

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

log = logging.getLogger(__name__)
KEY = "states"


class PromptCache:
    """Text states [T, W] by prompt and encoder. The least recently used go first; a damaged file is a miss.

    folder: None keeps them in memory only. memory_bytes, disk_bytes: at most so much of each.
    """

    def __init__(self, encoder: str, folder: Path | None, *, memory_bytes: int = 256 << 20, disk_bytes: int = 2 << 30) -> None:
        self.encoder, self.folder, self.memory_bytes, self.disk_bytes = encoder, folder, memory_bytes, disk_bytes
        self._memory: OrderedDict[str, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, prompt: str) -> Tensor | None:
        """The states, on the CPU, or None."""
        name = self._name(prompt)
        with self._lock:
            if name in self._memory:
                self._memory.move_to_end(name)
                return self._memory[name]
        states = self._read(name)
        if states is not None:
            self._remember(name, states)
        return states

    def keep(self, prompt: str, states: Tensor) -> None:
        """Remember `states` [T, W] of `prompt`. A disk that takes no file is told in the log, and costs nothing else."""
        name, here = self._name(prompt), states.detach().cpu().contiguous()
        if not bool(torch.isfinite(here).all()):
            return
        self._remember(name, here)
        if self.folder is None:
            return
        draft = self.folder / f".{name}.{os.getpid()}.{threading.get_ident()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({KEY: here}, draft)
            os.replace(draft, self.folder / f"{name}.safetensors")
            self._trim()
        except (OSError, SafetensorError) as exc:
            log.warning("prompt cache: %s takes no file: %s", self.folder, exc)
            with suppress(OSError):
                draft.unlink()

    def _name(self, prompt: str) -> str:
        return hashlib.sha256(f"{self.encoder}\0{prompt}".encode("utf-8", "surrogatepass")).hexdigest()

    def _remember(self, name: str, states: Tensor) -> None:
        with self._lock:
            self._memory[name] = states
            self._memory.move_to_end(name)
            while sum(kept.nbytes for kept in self._memory.values()) > self.memory_bytes and len(self._memory) > 1:
                self._memory.popitem(last=False)

    def _read(self, name: str) -> Tensor | None:
        if self.folder is None:
            return None
        file = self.folder / f"{name}.safetensors"
        try:
            states = load_file(file)[KEY].clone()
            os.utime(file)
            return states if bool(torch.isfinite(states).all()) else None
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError) as exc:
            log.warning("prompt cache: %s is damaged and is made anew: %s", file, exc)
            return None

    def _trim(self) -> None:
        assert self.folder is not None
        files = sorted(self.folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
        total = 0
        for file in files:
            total += file.stat().st_size
            if total > self.disk_bytes:
                file.unlink(missing_ok=True)
