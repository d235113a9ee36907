"""Writes the held-out prompts of generator.evaluation, and what the studio's own pictures of them measure.

`python -m generator.training.write_prompts`. They come from scenes and captions that no training run draws: their seeds begin
far beyond the shards'.
"""

import json
from random import Random

from generator.evaluation.report import PROMPTS as FILE
from generator.evaluation.report import STUDIO
from generator.evaluation.scores import banding, sharpness
from generator.layout import RELATIONS
from generator.studio.palettes import format_hex
from generator.studio.scene import Scene, paint, sample_scene
from generator.training.captions import TONGUE_SHARES, Tongue, write_caption

FIRST_SEED = 50_000_000
SIZES = ((1200, 630), (1024, 1024), (900, 383), (1280, 720), (1080, 1440), (1200, 900))
GROUPS = (("one", 600), ("count", 240), ("relation", 240))
"""Of one subject, of two to four, and of pairs; in turn in three tongues and all sizes."""
MEASURED = 6
"""One in so many of the studio's pictures is measured."""
TONGUES: tuple[Tongue, ...] = tuple(dict.fromkeys(TONGUE_SHARES))


def group_of(scene: Scene) -> str:
    """The group a scene belongs to."""
    return "one" if scene.arrangement == "one" else "relation" if scene.arrangement in RELATIONS else "count"


def main() -> None:
    """Write both files."""
    seed, lines = FIRST_SEED, []
    measured: dict[str, list[float]] = {"sharpness": [], "banding": []}
    for group, count in GROUPS:
        written = 0
        while written < count:
            seed += 1
            rng = Random(seed)
            scene = sample_scene(rng)
            if group_of(scene) != group:
                continue
            caption = write_caption(scene, rng, TONGUES[written % 3])
            width, height = SIZES[written // 3 % len(SIZES)]
            lines.append({"group": group, "tongue": caption.tongue, "width": width, "height": height, "text": caption.text,
                          "said": caption.said, "colours": [None if c is None else format_hex(c) for c in caption.colours]})
            written += 1
            if written % MEASURED == 0:
                picture = paint(scene, width, height)
                measured["sharpness"].append(sharpness(picture))
                measured["banding"].append(banding(picture))
    FILE.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    STUDIO.write_text(json.dumps({name: sum(values) / len(values) for name, values in measured.items()}, indent=1) + "\n")
    print(f"{len(lines)} prompts in {FILE}")


if __name__ == "__main__":
    main()
