"""EditDesk: edits asked of a service, one after another, in a thread of their own."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from generator.edit import Brush, Editor
from generator.masks import Mask, create_drawn_mask
from generator.request import SAMPLER_VERSION, CoverImage
from generator.service.desk import Busy, Painted
from generator.service.shapes import Edit, FileFormat, draw_seed, read_size


@dataclass(frozen=True, kw_only=True)
class PictureFiles:
    """How pictures become files and files pictures, and where those lie that are asked for by address: keep gives the name that
    find finds, as long as they are kept. decode and decode_mask raise ValueError, starting with the name given.

    decode_mask: white where to paint: of a picture with transparency what is transparent, else what is white; None where it
    is neither (no transparency in a picture that was not given as a mask).
    """

    encode: Callable[[CoverImage, FileFormat], bytes]
    keep: Callable[[Painted, bytes, FileFormat], str]
    find: Callable[[str], bytes | None]
    decode: Callable[[bytes, str], CoverImage]
    decode_mask: Callable[[bytes, str, bool], CoverImage | None]


class EditDesk:
    """Takes edits for one editor. max_waiting: how many may wait."""

    def __init__(self, editor: Callable[[], Editor], files: PictureFiles, steps: int, guidance: float,
                 max_waiting: int = 16) -> None:
        self._editor, self._files, self._steps, self._guidance = editor, files, steps, guidance
        self._max_waiting, self._waiting = max_waiting, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="edits")

    async def edit(self, asked: Edit, picture: bytes, mask: bytes | None) -> list[Painted]:
        """The edited pictures. Raises Busy, Cancelled, ValueError naming the value and the rule."""
        if self._waiting >= self._max_waiting:
            raise Busy(f"edits: {self._max_waiting} wait already; ask again later", retry_after_s=2)
        self._waiting += 1
        gone = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._edit, asked, picture, mask, gone.is_set)
        finally:
            gone.set()
            self._waiting -= 1

    def _edit(self, asked: Edit, picture: bytes, mask: bytes | None,
              cancelled: Callable[[], bool]) -> list[Painted]:
        master = self._files.decode(picture, "image")
        where = self._read_mask(picture, mask)
        if asked.size != "auto" and read_size(asked.size) != (master.width, master.height):
            raise ValueError(f"size: {asked.size} is not the picture's {master.width}x{master.height}; leave it out, or say auto")
        editor, ends = self._editor(), []
        canvas, first = editor.open(master), draw_seed() if asked.seed is None else asked.seed
        steps, guidance = asked.num_inference_steps or self._steps, asked.guidance or self._guidance
        for number in range(asked.n):
            brush = Brush(negative=asked.negative_prompt, steps=steps, guidance=guidance, seed=first + number,
                          cancelled=cancelled, strength=asked.strength if where is None else 1.0)
            painted = (editor.img2img(canvas, asked.prompt, brush) if where is None
                       else editor.inpaint(canvas, where, asked.prompt, brush))
            ends.append(Painted(picture=editor.render(painted)[0], seed=brush.seed, checkpoint=editor.checkpoint,
                                fingerprint=_fingerprint(asked, brush, editor.checkpoint, picture, mask or b"")))
        return ends

    def _read_mask(self, picture: bytes, mask: bytes | None) -> Mask | None:
        """The mask given, else where the picture itself is transparent, else None: everywhere."""
        drawn = self._files.decode_mask(picture if mask is None else mask, "image" if mask is None else "mask", mask is not None)
        return None if drawn is None else create_drawn_mask(drawn, "mask")


def _fingerprint(asked: Edit, brush: Brush, checkpoint: str, picture: bytes, mask: bytes) -> str:
    """SHA-256, in hex, over everything that decides the edited pixels."""
    parts = [asked.prompt, brush.negative, brush.steps, brush.guidance, brush.seed, brush.strength, checkpoint, SAMPLER_VERSION,
             hashlib.sha256(picture).hexdigest(), hashlib.sha256(mask).hexdigest()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
