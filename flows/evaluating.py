"""What `fengmian eval` does: scores the generator on held-out prompts and on articles, beside its goals."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.table import Table

from flows import steps
from flows.console import make_bar, make_console, place_sheet, print_json
from flows.errors import BadInput
from flows.record import Wishes
from flows.wiring import ports
from generator.request import CoverImage
from prompts.article import Article, detect_language

if TYPE_CHECKING:
    from generator.evaluation.scores import Picture
    from generator.pipeline import CoverPainter

SHEET = 48
STYLE_COVERS = 20
"""Covers of one style that are compared with each other."""
GOALS: dict[str, tuple[str, float]] = {
    "motif": (">=", 0.95), "place": (">=", 0.95), "relation": (">=", 0.85), "count": (">=", 0.90), "quiet": (">=", 0.95),
    "palette": ("<=", 6.0)}


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """An article, and the motifs that a picture editor would accept for it, the most fitting first."""

    article: Article
    motifs: tuple[str, ...]


def evaluate_generator(limit: int | None, articles: str | None, sheet: Path | None, as_json: bool) -> None:
    """Paint, score, print. articles: posts of one's own to be judged by the lexicon, beside those that ship.

    Raises BadInput.
    """
    if find_spec("pdqhash") is None:
        raise BadInput("eval: pdqhash is not installed: pip install 'fengmian[curation]'")
    from generator.evaluation.report import evaluate, read_prompts

    if sheet is not None and sheet.suffix != ".png":
        raise BadInput(f"sheet: {str(sheet)!r} does not end in .png")
    painter: CoverPainter = ports().painter.editor.painter
    settings, prompts = ports().settings.generator, read_prompts(limit)
    own = read_posts(articles)[:limit] if articles else []
    with make_bar(transient=True) as bar:
        task = bar.add_task("held-out prompts", total=len(prompts))
        report, pictures = evaluate(painter, prompts, settings.steps, settings.guidance,
                                    lambda done, total: bar.update(task, completed=done, total=total))
        task = bar.add_task("articles", total=None)
        judged, report["articles"] = judge_articles(read_articles()[:limit])
        if own:
            _, report["own_articles"] = judge_articles(own)
        bar.update(task, completed=1, total=1)
    report["one_style"] = compare_covers(judged[:STYLE_COVERS])
    if sheet is not None:
        chosen = [index * len(pictures) // min(SHEET, len(pictures)) for index in range(min(SHEET, len(pictures)))]
        chosen.sort(key=lambda index: pictures[index].shape[0] / pictures[index].shape[1])
        place_sheet(sheet, [_as_image(pictures[index]) for index in chosen], [prompts[index].text for index in chosen])
    print_json(report) if as_json else print_table(report)


def read_articles() -> list[Fitting]:
    """The articles that ship with the evaluation."""
    import generator.evaluation

    file = Path(generator.evaluation.__file__).with_name("articles.yaml")
    return [Fitting(article=Article(id=each["id"], title=each["title"], text=each["text"], source=str(file),
                                    language=detect_language(each["text"])), motifs=tuple(each["motifs"]))
            for each in yaml.safe_load(file.read_text(encoding="utf-8"))]


def read_posts(source: str) -> list[Fitting]:
    """Posts with the motifs that the lexicon has for the first subject of their brief that it knows; where it knows none, only
    the generic one fits.
    """
    from generator.topics import GENERIC, motifs_of

    fittings = []
    for post_id in ports().open_source(source).list_posts():
        article = steps.fetch(source, post_id)
        known = (sorted(motifs_of(subject.name)) for subject in steps.summarise(article).subjects)
        fittings.append(Fitting(article=article, motifs=tuple(next(filter(None, known), [GENERIC]))))
    if not fittings:
        raise BadInput(f"articles: {source!r} holds no posts")
    return fittings


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The cover of an article, as the story would paint it, and the motif that the judge sees in it; "nothing" for none."""

    fitting: Fitting
    cover: "Picture"
    shown: str


def judge_articles(fittings: Sequence[Fitting]) -> tuple[list[Judged], dict[str, Any]]:
    """Covers of articles, and how many show a motif that fits."""
    from generator.evaluation.judge import find, load_judge
    from generator.evaluation.report import as_array, sum_up

    judge, wishes, judged = load_judge(), Wishes(), []
    style = steps.choose_style(wishes)
    for fitting in fittings:
        prompt = steps.write_prompt(steps.summarise(fitting.article), style, fitting.article, wishes)
        cover = as_array(ports().generator.generate(steps.make_request(prompt, style, fitting.article, wishes)))
        found = find(judge, cover)
        judged.append(Judged(fitting=fitting, cover=cover, shown=found[0].motif if found else "nothing"))
    fits = [one.shown in one.fitting.motifs for one in judged]
    missed = [f"{one.fitting.article.id}: {one.shown}" for one, fit in zip(judged, fits, strict=True) if not fit]
    return judged, {"fit": asdict(sum_up([float(fit) for fit in fits], is_share=True)), "missed": missed}


def compare_covers(judged: Sequence[Judged]) -> dict[str, Any]:
    """Covers of one style beside each other: how far their palettes spread, and whether different topics look different."""
    import numpy as np

    from generator.curation.duplicates import take_print
    from generator.curation.examine import find_duplicates
    from generator.curation.rules import Policy
    from generator.evaluation.colours import ciede2000, dominant_colours

    palettes = [dominant_colours(one.cover) for one in judged]
    spread = [float(ciede2000(one[:, None], other[None]).min(1).mean())
              for row, one in enumerate(palettes) for other in palettes[:row]]
    repeats = find_duplicates([take_print(one.cover) for one in judged], Policy())
    return {"covers": len(judged), "palette_spread": float(np.mean(spread)) if spread else 0.0,
            "motifs": dict(Counter(one.shown for one in judged)), "topics": len({one.fitting.motifs[0] for one in judged}),
            "near_duplicates": len(repeats) / max(len(judged), 1)}


def print_table(report: dict[str, Any]) -> None:
    """Every score beside its goal, tongue by tongue."""
    table = Table("score", "all", "95 %", "zh", "en", "mixed", "gap", "goal", "", box=None, pad_edge=False)
    for name, score in report["scores"].items():
        whole, goal = score["all"], GOALS.get(name)
        values = [_format(score[tongue]["mean"]) for tongue in ("zh", "en", "mixed")]
        is_met = goal is None or (whole["mean"] >= goal[1] if goal[0] == ">=" else whole["mean"] <= goal[1])
        table.add_row(name, f"{whole['mean']:.3f}", f"{whole['low']:.3f} to {whole['high']:.3f}", *values, f"{score['gap']:.3f}",
                      f"{goal[0]} {goal[1]:g}" if goal else "", "" if goal is None else "met" if is_met else "missed")
    console = make_console()
    console.print(table)
    for name in report["not_configured"]:
        console.print(f"{name}: not configured: its weights are not there")
    for name, change in report["against_studio"].items():
        console.print(f"{name} against the studio: {change:+.1%}")
    console.print(f"same seed, same bytes: {report['same_bytes']:.0%}")
    for key, title in (("articles", "articles"), ("own_articles", "your articles")):
        if key in report:
            fit = report[key]["fit"]
            console.print(f"{title}: {fit['mean']:.1%} of {fit['count']} fit" + "".join(
                f"\n  {missed}" for missed in report[key]["missed"]))
    style = report["one_style"]
    console.print(f"{style['covers']} covers of one style: {len(style['motifs'])} motifs for {style['topics']} topics, palettes "
                  f"{style['palette_spread']:.1f} apart, near-duplicates {style['near_duplicates']:.1%}")


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _as_image(picture: "Picture") -> CoverImage:
    return CoverImage(width=picture.shape[1], height=picture.shape[0], rgb=picture.tobytes())
