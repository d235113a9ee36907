"""What `fengmian train brand` does: reads a team's approved covers, learns their look, writes the LoRA and shows what it does."""

import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.brand_files import LEAST_PICTURES, check_out, find_pictures, is_strangers, open_covers, write_card
from flows.console import Watcher, errors, place_sheet, print_json
from flows.errors import FlowError
from flows.parsing import bad
from flows.steps import place_file
from flows.wiring import ports
from generator.options import LoraFile, ModelOptions
from generator.request import MAX_SIDE_PX, MIN_SIDE_PX, CoverImage, CoverRequest
from generator.revision import BUNDLED_FOLDER
from integrations.models.licence import CARD, read_file_provenance

if TYPE_CHECKING:
    from torch import Tensor

    from generator.house import House
    from generator.training.brand import Learned, Standing
    from generator.training.brand_lessons import Lesson

PRIOR_SHARE = 0.1
"""Of the time, for the checkpoint's own pictures that are learned beside the brand's."""
PROBES = ("山峦与湖", "the history of the bridge", "时钟", "a rocket", "读书笔记", "a cup of coffee", "一棵幼苗", "city at night")
"""Topics alone: what should come out in the brand's look."""
SHOWN = 4
PROBE_LONG_SIDE_PX = 1280


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the command line asks for. out: the LoRA file. minutes: how long it may learn."""

    out: Path
    minutes: float
    rank: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Material:
    """What was read of the covers. house: what they share. views: as the distances are measured on. size: of the pictures that
    are painted to compare.
    """

    lessons: "list[Lesson]"
    house: "House | None"
    views: "list[Tensor]"
    size: tuple[int, int]


def train_brand(folder: Path, plan: Plan, *, as_json: bool) -> None:
    """Learn the look of the pictures in `folder`, write `plan.out`, its card and a sheet. Raises BadInput, FlowError,
    GeneratorError; Ctrl-C writes what was learned so far, where that is better than nothing, and goes on up.
    """
    from generator.pipeline import CoverPainter
    from generator.training.brand_lessons import paint_priors

    started = time.monotonic()
    files = find_pictures(folder)
    check_out(plan.out, folder)
    checkpoint, options = ports().checkpoint_folder or BUNDLED_FOLDER, _options()
    painter = CoverPainter(checkpoint, options)
    material = _read_material(painter, files)
    before = _paint(painter, material.size, "before")
    began = time.monotonic()
    priors = paint_priors(painter, material.lessons, PRIOR_SHARE * plan.minutes * 60, plan.seed)
    spent = (time.monotonic() - began) / 60
    plan = replace(plan, minutes=max(plan.minutes - spent, plan.minutes / 2))
    del painter  # its transformer, before another is loaded to learn beside
    gc.collect()
    learned = _learn(checkpoint, options, material, priors, plan)
    _place(plan, checkpoint, learned, len(material.lessons))
    after = _paint(CoverPainter(checkpoint, replace(options, loras=(LoraFile(file=plan.out),))), material.size, "after")
    sheet = plan.out.with_name(f"{plan.out.stem}-sheet.png")
    place_sheet(sheet, [picture for pair in zip(before[:SHOWN], after[:SHOWN], strict=True) for picture in pair],
                [f"{when}: {topic}" for topic in PROBES[:SHOWN] for when in ("before", "after")])
    _tell({"pictures": len(material.lessons), **_summarise(learned), **_compare(material.views, before, after),
           "seconds": round(time.monotonic() - started, 1), "file": str(plan.out), "sheet": str(sheet)}, as_json)


def _options() -> ModelOptions:
    """The configured device and precision, without LoRAs and shortcuts. Raises BadInput, SettingsError."""
    chosen = ports().settings.generator
    if chosen.dtype == "float8":
        bad("setting generator.dtype 'float8': float8 weights cannot be learned beside; use bfloat16")
    _ = ports().painter.editor  # raises SettingsError for a device that is not there, and loads no weights
    return ModelOptions(device=chosen.device, text_device=chosen.text_device, precision=chosen.dtype, offload=chosen.offload,
                        max_batch=chosen.max_batch, tile_px=chosen.tile_px)


def _read_material(painter: Any, files: Sequence[Path]) -> Material:
    from generator.training.brand_distance import take_view
    from generator.training.brand_house import find_house, find_palette
    from generator.training.brand_lessons import make_lesson, make_sketch

    sketches, views, sizes = [], [], Counter[tuple[int, int]]()
    with Watcher("reading covers"):
        for cover in open_covers(files):
            sketches.append(make_sketch(painter, cover))
            views.append(take_view(cover.picture))
            sizes[cover.picture.width, cover.picture.height] += 1
    if len(sketches) < LEAST_PICTURES:
        bad(f"folder: {len(sketches)} of its {len(files)} pictures can be read; at least {LEAST_PICTURES} are needed")
    width, height = sizes.most_common(1)[0][0]
    scale = min(1.0, PROBE_LONG_SIDE_PX / max(width, height))
    sides = [min(max(round(side * scale), MIN_SIDE_PX), MAX_SIDE_PX) for side in (width, height)]
    with Watcher("comparing covers with what the model would paint"):
        house = find_house(painter.parts, sketches, find_palette(views))
        lessons = [make_lesson(painter, sketch, house) for sketch in sketches]
    return Material(lessons=lessons, house=house, views=views, size=(sides[0], sides[1]))


def _paint(painter: Any, size: tuple[int, int], when: str) -> list[CoverImage]:
    """The probes, by these weights."""
    chosen, pictures = ports().settings.generator, []
    for number, topic in enumerate(PROBES):
        errors.print(f"painting {number + 1}/{len(PROBES)} {when} learning", markup=False)
        pictures.append(painter.generate(CoverRequest(
            prompt=topic, negative="", width=size[0], height=size[1], steps=chosen.steps, guidance=chosen.guidance, seed=number,
            checkpoint=painter.checkpoint)))
    return pictures


def _learn(checkpoint: Path, options: ModelOptions, material: Material, priors: "list[Lesson]", plan: Plan) -> "Learned":
    """What was learned. Raises FlowError where that is nothing."""
    from generator.training.brand import BrandPlan, learn_brand

    told = [-1]

    def hear(standing: "Standing") -> None:
        if (twentieth := int(standing.share * 20)) > told[0]:
            told[0] = twentieth
            errors.print(f"{standing.share:4.0%}  step {standing.step}  loss {standing.loss:.4f}  "
                         f"held out {standing.held_out:.4f}  {standing.minutes_left:.1f} minutes left", markup=False)

    learned = learn_brand(checkpoint, options, material.lessons, priors,
                          BrandPlan(minutes=plan.minutes, rank=plan.rank, seed=plan.seed), hear, material.house)
    if not learned.file:
        if not learned.is_whole:
            errors.print("stopped before anything was learned; nothing is written", markup=False)
            raise KeyboardInterrupt
        raise FlowError(f"brand: the loss on held-out covers did not fall below {learned.held_out_before:.4f} in {learned.steps} "
                        "steps; nothing is written: give more minutes, or more covers of one look")
    return learned


def _place(plan: Plan, checkpoint: Path, learned: "Learned", count: int) -> None:
    """Write the LoRA and its card; go on up with Ctrl-C where that ended the learning."""
    place_file(plan.out, learned.file)
    card = plan.out.with_name(CARD)
    if is_strangers(card):
        licence = read_file_provenance(plan.out).licence
        errors.print(f"{card} is there and stays as it is; by it the LoRA has {licence.id if licence else 'no stated licence'}",
                     markup=False)
    else:
        place_file(card, write_card(plan.out.stem, plan.rank, checkpoint, learned, count).encode())
    if not learned.is_whole:
        errors.print(f"stopped: {plan.out} holds what was learned in {learned.steps} steps; held-out loss "
                     f"{learned.held_out_before:.4f} to {learned.held_out_after:.4f}", markup=False)
        raise KeyboardInterrupt


def _summarise(learned: "Learned") -> dict[str, Any]:
    return {"steps": learned.steps, "loss_first": round(learned.loss_first, 4), "loss_last": round(learned.loss_last, 4),
            "held_out_loss_before": round(learned.held_out_before, 4), "held_out_loss_after": round(learned.held_out_after, 4)}


def _compare(brand_views: "Sequence[Tensor]", before: Sequence[CoverImage], after: Sequence[CoverImage]) -> dict[str, float]:
    from generator.training.brand_distance import describe, palette_distance, style_distance, take_view

    brand, found = describe(brand_views), {}
    for when, pictures in (("before", before), ("after", after)):
        look = describe([take_view(picture) for picture in pictures])
        found[f"palette_distance_{when}"] = round(palette_distance(look, brand), 2)
        found[f"style_distance_{when}"] = round(style_distance(look, brand), 3)
    return found


def _tell(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(summary)
        return
    print(f"{summary['file']}\n{summary['sheet']}")
    for name in ("held_out_loss", "palette_distance", "style_distance"):
        print(f"  {name.replace('_', ' ')}: {summary[f'{name}_before']} before, {summary[f'{name}_after']} after")
    print(f"  use it: generator.loras: [{{file: {os.path.abspath(summary['file'])}}}]", file=sys.stderr)
