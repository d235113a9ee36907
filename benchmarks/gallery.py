"""The covers in docs/: the evaluation's articles, in all styles in turn, as the story paints them.

`python -m benchmarks.gallery` writes docs/covers/*.webp at full size, and docs/bundled-model.png, a sheet of them.
"""

from itertools import cycle
from pathlib import Path

from flows import steps
from flows.console import place_sheet
from flows.evaluating import read_articles
from flows.record import Wishes
from flows.wiring import ports
from integrations.pictures import encode
from prompts.style import all_styles

COUNT = 48
FOLDER, SHEET = Path("docs/covers"), Path("docs/bundled-model.png")
SIZES = ((1200, 630), (1200, 630), (1200, 630), (1200, 630), (900, 383), (900, 383), (900, 383), (900, 383),
         (1024, 1024), (1024, 1024), (1024, 1024), (1024, 1024))
"""In turn; the sheet has four in a row."""


def main() -> None:
    """Paint and write."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pictures, captions = [], []
    planned = zip(read_articles()[:COUNT], cycle(all_styles()), cycle(SIZES), strict=False)
    for number, (fitting, style, size) in enumerate(planned):
        article, wishes = fitting.article, Wishes(style=style.name, size=size)
        prompt = steps.write_prompt(steps.summarise(article), style, article, wishes)
        pictures.append(ports().generator.generate(steps.make_request(prompt, style, article, wishes)))
        captions.append(f"{article.title} · {style.name}")
        (FOLDER / f"{number + 1:02}.webp").write_bytes(encode(pictures[-1], "webp"))
        print(f"{number + 1}/{COUNT} {captions[-1]}", flush=True)
    place_sheet(SHEET, pictures, captions)


if __name__ == "__main__":
    main()
