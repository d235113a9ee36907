"""The story: one post in, one cover out, readable from top to bottom.

Every step is a plain function of flows/steps.py. `run` decides how a step is called: as it is (command line), or as a
Prefect task with retries (flows/engine.py).
"""

from collections.abc import Callable
from typing import TypeVar

from flows import steps
from flows.record import CoverRecord, Stopwatch, Wishes
from integrations.ports import Written

Step = TypeVar("Step", bound=Callable[..., object])
Runner = Callable[[Step], Step]


def plainly(step: Step) -> Step:
    """The runner of the command line: the step itself."""
    return step


def cover_post(source: str, post_id: str, wishes: Wishes, run: Runner = plainly) -> CoverRecord:  # type: ignore[type-arg]
    """Give one post its cover. Every step can run twice: the same post and wishes name the same picture.

    Raises CoverRejected when a screen says no; Unavailable for what is worth trying again; Refused, NotFound,
    PromptError, GeneratorError otherwise.
    """
    steps.check_wishes(source, wishes)
    watch = Stopwatch()
    with watch.timing("fetch"):
        article = run(steps.fetch)(source, post_id)
    if wishes.leaves_alone(article.cover):
        return CoverRecord(id=article.id, title=article.title, status="kept", timings_s=watch.seconds)
    if wishes.write:
        run(steps.check_writable)(source, article.id)

    with watch.timing("screen"):
        verdicts = steps.screen_article(article)
    with watch.timing("summarise"):
        brief = run(steps.summarise)(article)
    with watch.timing("render"):
        style = steps.choose_style(wishes)
        prompt = steps.write_prompt(brief, style, article, wishes)
        request = steps.make_request(prompt, style, article, wishes)
    with watch.timing("screen"):
        verdicts += steps.screen_prompt(prompt)

    painted = run(steps.paint_once)(request)
    watch.add(painted.seconds)
    verdicts += painted.cover.verdicts
    alt_text = steps.write_alt_text(brief)
    with watch.timing("write"):
        files = run(steps.deliver)(painted.cover, article, wishes)
        cover, written = "", Written(changed=False)
        if wishes.write:
            cover = steps.refer_to(source, painted.cover, files, article)
            written = run(steps.write_into_post)(source, article, painted.cover.files[0], cover, alt_text, wishes.force)
    return CoverRecord(
        id=article.id, title=article.title, status="covered", brief=steps.describe_brief(brief), prompt=prompt.text,
        negative=prompt.negative, style=style.name, fingerprint=request.fingerprint, seed=request.seed,
        checkpoint=request.checkpoint, cached=painted.cached, verdicts=verdicts, alt_text=alt_text,
        cover=written.address or cover, files=files, written=written.changed, timings_s=watch.seconds)
