"""The generator of one process: CoverPainter behind a Batcher, with torch and the weights loaded at the first picture."""

import importlib.util
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flows.errors import BadInput, SettingsError
from generator.options import ModelOptions
from generator.request import CoverImage, CoverRequest, RedoRequest
from generator.revision import checkpoint_name
from integrations.ports import ImageGenerator

if TYPE_CHECKING:
    from generator.batching import Batcher
    from generator.edit import Editor
    from generator.pipeline import CoverPainter

OR_ELSEWHERE = ", or let another machine paint: set generator.url"


def check_torch(what: str, otherwise: str = "", extra: str = "generator") -> None:
    """Raise SettingsError where `what` cannot be done, because torch is not installed. extra: of the package, that brings it."""
    if importlib.util.find_spec("torch") is None:
        raise SettingsError(f"{what} needs torch, which is not installed: pip install 'fengmian[{extra}]'{otherwise}")


class LazyPainter(ImageGenerator):
    """A cached cover needs neither torch nor weights, so nothing is loaded before it must be."""

    def __init__(self, folder: Path, options: ModelOptions) -> None:
        self._folder, self._options = folder, options
        self._building = threading.RLock()

    @cached_property
    def checkpoint(self) -> str:
        """Name and revision of the weights. Raises CheckpointError."""
        return checkpoint_name(self._folder, self._options)

    def checkpoint_with(self, lora: str) -> str:
        """The same with the LoRA of that name switched on. Raises BadInput, CheckpointError."""
        switched = self._options.loras if self._options.switch_loras else ()
        for each in switched:
            if each.name == lora:
                return checkpoint_name(self._folder, self._options, each)
        names = ", ".join(each.name for each in switched) or "none: see generator.loras and generator.switch_loras"
        raise BadInput(f"lora: {lora!r} is not one of those that can be switched on: {names}")

    def generate(self, request: CoverRequest, progress: Callable[[int, int], None] | None = None) -> CoverImage:
        """The picture for `request`. Raises GeneratorError, SettingsError for a device that is not there.

        What several threads ask for is painted together; the main thread has nobody to share with.
        """
        check_torch("painting here", OR_ELSEWHERE)
        if threading.current_thread() is threading.main_thread():
            return self._painter.generate(request, progress)
        ticket = self._batcher.submit(request, caller=threading.current_thread().name, progress=progress)
        try:
            return ticket.result()
        finally:
            ticket.cancel()  # no more than a word to a finished one

    def redo(self, request: RedoRequest, picture: CoverImage) -> CoverImage:
        """`picture` with a region painted anew. Raises GeneratorError, and ValueError for a checkpoint that is not loaded."""
        check_torch("painting here", OR_ELSEWHERE)
        from generator.edit import Brush
        from generator.masks import create_rectangular_mask

        if request.checkpoint != self.checkpoint:
            raise ValueError(f"checkpoint: the request asks for {request.checkpoint!r}, loaded is {self.checkpoint!r}")
        brush = Brush(negative=request.negative, steps=request.steps, guidance=request.guidance, seed=request.seed)
        canvas = self.editor.inpaint(self.editor.open(picture), create_rectangular_mask(*request.region), request.prompt, brush)
        return self.editor.render(canvas)[0]

    def generate_many(self, requests: Sequence[CoverRequest],
                      progress: Callable[[int, int], None] | None = None) -> Iterator[CoverImage]:
        """Their pictures in order, in batches as large as the options and the memory allow. progress hears about each."""
        check_torch("painting here", OR_ELSEWHERE)
        from generator.pipeline import Order

        for first in range(0, len(requests), self._options.max_batch):
            batch = [Order(request=request, progress=progress) for request in requests[first:first + self._options.max_batch]]
            yield from (picture for picture in self._painter.generate_batch(batch) if picture is not None)

    @cached_property
    def editor(self) -> "Editor":
        """Edits pictures with these weights."""
        check_torch("painting here", OR_ELSEWHERE)
        from generator.edit import Editor

        return Editor(self._painter)

    @property
    def _batcher(self) -> "Batcher":
        with self._building:  # threads that come together must not build two
            return self._built_batcher

    @property
    def _painter(self) -> "CoverPainter":
        with self._building:
            return self._built_painter

    @cached_property
    def _built_batcher(self) -> "Batcher":
        from generator.batching import Batcher

        return Batcher(self._painter, max_batch=self._options.max_batch)

    @cached_property
    def _built_painter(self) -> "CoverPainter":
        import torch

        from generator.pipeline import CoverPainter

        for name, device in (("device", self._options.device), ("text_device", self._options.text_device)):
            try:
                torch.empty(0, device=device or "cpu")
            except (RuntimeError, AssertionError) as exc:  # what torch raises for an unknown or a missing device
                reason = str(exc).split("\n")[0]
                raise SettingsError(f"setting generator.{name} {device!r}: torch cannot use it: {reason}") from exc
        return CoverPainter(self._folder, self._options)
