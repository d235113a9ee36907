"""What curation looks through besides plain arithmetic: the aesthetic scorer, a reader of text, a finder of faces.

Each is optional: one that is not installed or has no weights is left out, and named in every decision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from generator.curation.measures import shrink

if TYPE_CHECKING:
    from generator.evaluation.judge import Judge

Picture = NDArray[np.uint8]
READ_SHORT_PX = 630
SURE = 0.8
"""Confidence from which a reading counts."""
LEAST_LETTERS = 4
"""Letters and digits in one line below which it is taken for a shape."""
FACE_SHORT_PX, FACE_NEIGHBOURS = 480, 6


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """Callables from a picture [H, W, 3] to a number. None: not configured, for the reason in `missing`."""

    aesthetic: Callable[[Picture], float] | None = None
    text: Callable[[Picture], int] | None = None
    faces: Callable[[Picture], int] | None = None
    missing: dict[str, str]


def load_instruments() -> Instruments:
    """Everything that is there on this machine."""
    missing: dict[str, str] = {}

    def attempt(name: str, load: Callable[[], Callable[[Picture], float]]) -> Callable[[Picture], float] | None:
        try:
            return load()
        except (ImportError, FileNotFoundError) as exc:
            missing[name] = f"not configured: {exc}"
            return None

    aesthetic, text, faces = (attempt("aesthetic", _load_aesthetic), attempt("text", _load_reader), attempt("faces", _load_faces))
    return Instruments(aesthetic=aesthetic, text=_whole(text), faces=_whole(faces), missing=missing)


def _whole(count: Callable[[Picture], float] | None) -> Callable[[Picture], int] | None:
    return None if count is None else lambda picture: int(count(picture))


def _load_aesthetic() -> Callable[[Picture], float]:
    from generator.evaluation.aesthetic import FILE, load_scorer, score

    if not FILE.is_file():
        raise FileNotFoundError(f"it has no weights ({FILE.name})")
    scorer = load_scorer()
    return lambda picture: round(float(score(scorer, picture)), 4)


def _load_reader() -> Callable[[Picture], float]:
    """Letters that can be read. The models ship inside the package rapidocr-onnxruntime."""
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as exc:
        raise ImportError("pip install 'fengmian[watermarks]'") from exc

    engine = RapidOCR()

    def count_letters(picture: Picture) -> int:
        lines, _ = engine(np.ascontiguousarray(shrink(picture, READ_SHORT_PX)[..., ::-1]), use_cls=False)
        lengths = [sum(letter.isalnum() for letter in text) for _, text, sure in lines or () if float(sure) >= SURE]
        return sum(length for length in lengths if length >= LEAST_LETTERS)

    return count_letters


def _load_faces() -> Callable[[Picture], float]:
    """Faces from the front. The cascade ships inside opencv-python-headless before version 5."""
    try:
        import cv2

        folder = Path(cv2.__file__).parent / "data"
        cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))
    except (ImportError, AttributeError) as exc:  # version 5 has no cascades
        raise ImportError("pip install 'fengmian[curation]'") from exc

    def count_faces(picture: Picture) -> int:
        grey = cv2.cvtColor(shrink(picture, FACE_SHORT_PX), cv2.COLOR_RGB2GRAY)
        return len(cascade.detectMultiScale(grey, 1.15, FACE_NEIGHBOURS, minSize=(36, 36)))

    return count_faces


@cache
def _judge() -> "Judge | None":
    from generator.evaluation.judge import load_judge

    try:
        return load_judge()
    except FileNotFoundError:
        return None


def embed(picture: Picture) -> NDArray[np.float32] | None:
    """What the judge's layers see in a picture, pooled over its quarters, of length 1; None without the judge's weights."""
    judge = _judge()
    if judge is None:
        return None
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    from generator.evaluation.judge import make_view

    with torch.inference_mode():
        fine = judge.fine(make_view(np.array(picture))[None])
        pooled = [adaptive_avg_pool2d(features, 2).flatten() for features in (fine, judge.coarse(fine))]
        found = torch.cat([part / part.norm().clamp_min(1e-6) for part in pooled])
    return np.asarray(found / found.norm().clamp_min(1e-6), dtype=np.float32)
