"""Evaluation: paints held-out prompts, scores every picture, and sums up with confidence intervals, tongue by tongue."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from generator.evaluation.aesthetic import FILE as SCORER
from generator.evaluation.aesthetic import Scorer, load_scorer, score
from generator.evaluation.colours import palette_distance
from generator.evaluation.judge import Judge, find, load_judge
from generator.evaluation.scores import (
    COUNTS,
    QUIET_ENERGY,
    Picture,
    banding,
    canvas_of,
    is_related,
    place_of,
    quiet_ratio,
    sharpness,
)
from generator.pipeline import CoverPainter, Order
from generator.request import CoverImage, CoverRequest

PROMPTS = Path(__file__).with_name("prompts.jsonl")
STUDIO = Path(__file__).with_name("studio.json")
"""Sharpness and banding of the studio's own pictures, by canvas."""
TONGUES = ("zh", "en", "mixed")
Z95 = 1.96
SAME_BYTES = 8
"""Prompts of which it is checked that the same seed gives the same bytes."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A held-out prompt and what it asks for. said: names by scene field; colours: background, main and accents, or None."""

    group: str
    tongue: str
    width: int
    height: int
    text: str
    said: dict[str, str]
    colours: tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, kw_only=True)
class Score:
    """A mean with its 95 % confidence interval; None of nothing."""

    mean: float | None
    low: float | None
    high: float | None
    count: int


Rows = list[dict[str, float]]


def read_prompts(limit: int | None = None) -> list[Prompt]:
    """The held-out prompts; with a limit, that many, evenly spread over groups and, as they lie in turn, over tongues."""
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()
    if limit is not None and limit < len(lines):
        turn = len(TONGUES) if len(lines) >= len(TONGUES) * limit else 1
        lines = [lines[int(index * len(lines) / limit) + index % turn] for index in range(limit)]
    prompts = []
    for line in lines:
        content = json.loads(line)
        colours = tuple(None if code is None else tuple(bytes.fromhex(code[1:])) for code in content["colours"])
        prompts.append(Prompt(**{**content, "colours": colours}))
    return prompts


def paint_prompts(painter: CoverPainter, prompts: Sequence[Prompt], steps: int, guidance: float,
                  progress: Callable[[int, int], None] | None = None) -> list[Picture]:
    """A picture [H, W, 3] of each prompt; the seed is its number."""
    pictures = []
    for number, prompt in enumerate(prompts):
        pictures.append(as_array(painter.generate(make_request(painter, prompt, number, steps, guidance))))
        if progress is not None:
            progress(number + 1, len(prompts))
    return pictures


def make_request(painter: CoverPainter, prompt: Prompt, seed: int, steps: int, guidance: float) -> CoverRequest:
    """What is asked of the painter."""
    return CoverRequest(prompt=prompt.text, negative="", width=prompt.width, height=prompt.height, steps=steps, guidance=guidance,
                        seed=seed, checkpoint=painter.checkpoint)


def as_array(image: CoverImage) -> Picture:
    """[H, W, 3] of a finished picture."""
    return np.frombuffer(image.rgb, np.uint8).reshape(image.height, image.width, 3)


def score_picture(judge: Judge, scorer: Scorer | None, prompt: Prompt, picture: Picture) -> dict[str, float]:
    """What is measured of one picture; only what its prompt asks for."""
    said, found = prompt.said, find(judge, picture)
    row: dict[str, float] = {}
    own = next((finding for finding in found if finding.motif == said["motif"]), None)
    if prompt.group == "relation":
        row["relation"] = is_related(found, said["motif"], said["second"], said["arrangement"])
    else:
        row["motif"] = own is not None and own is found[0]
        row["count"] = own is not None and own.count == COUNTS[said["arrangement"]]
    if "place" in said and prompt.group == "one":
        row["place"] = place_of(found, canvas_of(picture)) == said["place"]
        row["quiet"] = quiet_ratio(picture, said["place"]) <= QUIET_ENERGY
    asked = [colour for colour in prompt.colours[:2] if colour is not None]
    if asked:
        row["palette"] = palette_distance(picture, asked)
    row["sharpness"], row["banding"] = sharpness(picture), banding(picture)
    if scorer is not None:
        row["aesthetic"] = score(scorer, picture)
    return {name: float(value) for name, value in row.items()}


def sum_up(values: Sequence[float], is_share: bool) -> Score:
    """Mean and 95 % interval: Wilson's for shares, the normal one for measures."""
    count = len(values)
    if not count:
        return Score(mean=None, low=None, high=None, count=0)
    mean = float(np.mean(values))
    if is_share:
        middle = (mean + Z95**2 / (2 * count)) / (1 + Z95**2 / count)
        reach = Z95 * math.sqrt(mean * (1 - mean) / count + Z95**2 / (4 * count**2)) / (1 + Z95**2 / count)
        return Score(mean=mean, low=middle - reach, high=middle + reach, count=count)
    reach = Z95 * float(np.std(values)) / math.sqrt(count)
    return Score(mean=mean, low=mean - reach, high=mean + reach, count=count)


SHARES = ("motif", "place", "relation", "count", "quiet")
MEASURES = ("palette", "sharpness", "banding", "aesthetic")


def tabulate(prompts: Sequence[Prompt], rows: Rows) -> dict[str, dict[str, Any]]:
    """Every score of which there is anything, in all and by tongue, and the largest gap between two tongues."""
    table: dict[str, dict[str, Any]] = {}
    for name in (*SHARES, *MEASURES):
        def select(tongue: str | None, name: str = name) -> list[float]:
            return [row[name] for prompt, row in zip(prompts, rows, strict=True)
                    if name in row and tongue in (None, prompt.tongue)]
        by_tongue = {tongue: sum_up(select(tongue), name in SHARES) for tongue in TONGUES}
        means = [score.mean for score in by_tongue.values() if score.mean is not None]
        if not means:
            continue
        table[name] = {"all": asdict(sum_up(select(None), name in SHARES)),
                       **{tongue: asdict(score) for tongue, score in by_tongue.items()},
                       "gap": max(means) - min(means)}
    return table


def same_bytes(painter: CoverPainter, prompts: Sequence[Prompt], steps: int, guidance: float) -> float:
    """Share of prompts that give the same bytes again: in a second run, at every place of a batch, and in another process."""
    requests = [make_request(painter, prompt, number, steps, guidance) for number, prompt in enumerate(prompts[:SAME_BYTES])]
    runs = [_digests(painter, requests), _digests(painter, requests)]
    turned = painter.generate_batch([Order(request=request) for request in reversed(requests)])
    runs.append([_digest(image) for image in reversed(turned) if image is not None])
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        runs.append(other.submit(_digests_of, painter.folder, requests).result())
    return sum(len(set(digests)) == 1 for digests in zip(*runs, strict=True)) / len(requests)


def _digests_of(folder: Path, requests: Sequence[CoverRequest]) -> list[str]:
    return _digests(CoverPainter(folder), requests)


def _digests(painter: CoverPainter, requests: Sequence[CoverRequest]) -> list[str]:
    return [_digest(painter.generate(request)) for request in requests]


def _digest(image: CoverImage) -> str:
    return hashlib.sha256(image.rgb).hexdigest()


def evaluate(painter: CoverPainter, prompts: Sequence[Prompt], steps: int, guidance: float,
             progress: Callable[[int, int], None] | None = None) -> tuple[dict[str, Any], list[Picture]]:
    """The whole report, and the pictures it speaks of."""
    pictures = paint_prompts(painter, prompts, steps, guidance, progress)
    judge, scorer = load_judge(), load_scorer() if SCORER.exists() else None
    rows = [score_picture(judge, scorer, prompt, picture) for prompt, picture in zip(prompts, pictures, strict=True)]
    studio = json.loads(STUDIO.read_text(encoding="utf-8"))
    table = tabulate(prompts, rows)
    return {"prompts": len(prompts), "steps": steps, "guidance": guidance, "checkpoint": painter.checkpoint, "scores": table,
            "against_studio": {name: table[name]["all"]["mean"] / studio[name] - 1 for name in ("sharpness", "banding")},
            "not_configured": [] if scorer else ["aesthetic"],
            "same_bytes": same_bytes(painter, prompts, steps, guidance)}, pictures
