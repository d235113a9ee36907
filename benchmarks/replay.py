"""Replays a week of requests through the real steps, up to the fingerprint, and counts what the cache saves.

`python -m benchmarks.replay`. Articles are the fifty of the evaluation, in all styles; nothing is painted. Which is asked for
follows Zipf's law; between requests articles are edited: a character in the middle, a sentence at the end, or the title.
"""

import argparse
from dataclasses import replace
from random import Random

from flows import steps
from flows.evaluating import read_articles
from flows.record import Wishes
from prompts.article import Article
from prompts.style import list_styles

EXPONENTS = (0.0, 0.7, 1.0, 1.3)
EDITS = {"none": (), "body": ("character", "sentence"), "body and title": ("character", "sentence", "title")}
EDIT_SHARE = 0.2
"""Of the requests, those that come after an edit of their article."""


def fingerprint(article: Article, style: str, known: dict[tuple[str, str, str], str]) -> str:
    key = article.title, article.text, style
    if key not in known:
        wishes = Wishes(style=style, write=False)
        guide = steps.choose_style(wishes)
        prompt = steps.write_prompt(steps.summarise(article), guide, article, wishes)
        known[key] = steps.make_request(prompt, guide, article, wishes).fingerprint
    return known[key]


def edit(article: Article, kind: str, rng: Random) -> Article:
    if kind == "title":
        return replace(article, title=f"{article.title}{'（更新）' if article.language == 'zh' else ' (updated)'}")
    if kind == "sentence":
        thanks = "感谢阅读，欢迎留言。" if article.language == "zh" else " Thank you for reading."
        return replace(article, text=article.text + thanks)
    at = rng.randrange(len(article.text) // 4, len(article.text))
    return replace(article, text=article.text[:at] + article.text[at + 1:])


def replay(requests: int, exponent: float, kinds: tuple[str, ...], seed: int, known: dict[tuple[str, str, str], str]) -> float:
    """Share of the requests whose picture was there already."""
    rng, styles = Random(seed), list_styles()
    articles = [fitting.article for fitting in read_articles()]
    rng.shuffle(articles)
    weights = [1 / (rank + 1) ** exponent for rank in range(len(articles))]
    tastes = [1 / (rank + 1) ** exponent for rank in range(len(styles))]
    painted: set[str] = set()
    for _ in range(requests):
        number = rng.choices(range(len(articles)), weights)[0]
        if kinds and rng.random() < EDIT_SHARE:
            articles[number] = edit(articles[number], rng.choice(kinds), rng)
        painted.add(fingerprint(articles[number], rng.choices(styles, tastes)[0], known))
    return 1 - len(painted) / requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, nargs="+", default=[350, 1400])
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    known: dict[tuple[str, str, str], str] = {}
    print(f"| requests a week | Zipf exponent | {' | '.join(f'edits: {name}' for name in EDITS)} |")
    print(f"|---:|---:|{'---:|' * len(EDITS)}")
    for requests in chosen.requests:
        for exponent in EXPONENTS:
            shares = [replay(requests, exponent, kinds, chosen.seed, known) for kinds in EDITS.values()]
            print(f"| {requests} | {exponent:g} | {' | '.join(f'{share:.0%}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
