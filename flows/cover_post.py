"""The story: one post in, one cover out, readable from top to bottom.

Every step is a plain function of flows/steps.py. `run` decides how a step is called: as it is (command line), or as a
Prefect task with retries (flows/engine.py).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from flows import publishing, steps
from flows.errors import BadInput
from flows.record import CoverRecord, Stopwatch, Wishes
from flows.review import Draft, Reviewer, choose, is_reviewed

Step = TypeVar("Step", bound=Callable[..., object])
Runner = Callable[[Step], Step]


def plainly(step: Step) -> Step:
    """The runner of the command line: the step itself."""
    return step


def cover_post(source: str, post_id: str, wishes: Wishes, run: Runner = plainly,  # type: ignore[type-arg]
               review: Reviewer | None = None) -> CoverRecord:
    """Give one post its cover. Every step can run twice: the same post and wishes name the same picture.

    review: asks an editor, for a post that its site wants looked at; without one the first picture is taken.
    Raises CoverRejected when a screen or an editor says no; Unavailable for what is worth trying again; OverBudget, Refused,
    NotFound, PromptError, GeneratorError otherwise.
    """
    wishes = steps.fill_wishes(source, wishes)
    steps.check_wishes(source, wishes)
    watch = Stopwatch()
    with watch.timing("fetch"):
        article = run(steps.fetch)(source, post_id)
    if wishes.leaves_alone(article.cover) or (wishes.only_missing and steps.was_rejected(source, article.id)):
        publishing.settle(source, article.id)
        return CoverRecord(id=article.id, title=article.title, status="kept", timings_s=watch.seconds)
    if wishes.write:
        run(steps.check_writable)(source, article.id)
    if review is None and not wishes.waive_review and is_reviewed(source, article.id):
        raise BadInput(f"{source}: the site wants this cover to be reviewed; run it on a Prefect server, where editors are asked")

    with watch.timing("screen"):
        verdicts = steps.screen_article(article)
    with watch.timing("summarise"):
        brief = run(steps.summarise)(article)
    with watch.timing("render"):
        style = steps.choose_style(wishes)
        prompt = steps.write_prompt(brief, style, article, wishes)
        request = steps.make_request(prompt, style, article, wishes)
    steps.check_budget(source)
    draft = Draft(source=source, article=article, brief=brief, style=style, prompt=prompt, request=request,
                  alt_text=steps.write_alt_text(brief), verdicts=verdicts)
    choice = choose(draft, run, review)
    painted = choice.candidate.painted
    watch.add(painted.seconds)
    verdicts += choice.candidate.verdicts
    with watch.timing("write"):
        files = run(steps.deliver)(painted.cover, article, wishes)
        record = CoverRecord(
            id=article.id, title=article.title, status="covered", brief=steps.describe_brief(brief),
            prompt=choice.candidate.prompt.text, negative=prompt.negative, style=style.name,
            fingerprint=choice.candidate.fingerprint, seed=choice.candidate.seed,
            checkpoint=request.checkpoint, cached=painted.cached, verdicts=verdicts, alt_text=choice.alt_text,
            cover=steps.refer_to(source, painted.cover, files, article) if wishes.write else "", files=files,
            editor=choice.editor)
        if wishes.write:
            written = run(publishing.write_into_post)(source, record, painted.cover.files[0], wishes.force)
            record = replace(record, cover=written.address or record.cover, written=written.changed)
    return replace(record, timings_s=watch.seconds)
