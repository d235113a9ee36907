"""What an editor is shown, what may be answered, and what follows from it. How the question is put is flows/review_form.py's."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from flows import steps, wiring
from flows.errors import BadInput, CoverRejected
from flows.record import Painted
from generator.request import MAX_PROMPT_CHARACTERS, CoverRequest, RedoRequest
from generator.topics import motifs_of
from integrations.ports import Entry, Verdict
from prompts.article import Article
from prompts.brief import Brief
from prompts.render import Prompt
from prompts.style import StyleGuide

Decision = Literal["approve", "ask again", "redo region", "reject"]
MAX_ROUNDS = 12
"""Questions about one post, after which nothing is published."""
MAX_ALT_CHARACTERS = 300
MAX_REASON_CHARACTERS = 1000


@dataclass(frozen=True, kw_only=True)
class Draft:
    """All that is settled before the first picture. source: where the post is from. verdicts: on the article's words."""

    source: str
    article: Article
    brief: Brief
    style: StyleGuide
    prompt: Prompt
    request: CoverRequest
    alt_text: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A picture that can be chosen, and the prompt and seed that it was painted from. verdict: on the prompt."""

    painted: Painted
    prompt: Prompt
    seed: int
    verdict: Verdict

    @property
    def fingerprint(self) -> str:
        """Names the picture."""
        return self.painted.cover.fingerprint

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """On the prompt and on the picture."""
        return self.verdict, *self.painted.cover.verdicts


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What an editor is asked. number: of the question, from 1. complaint: why the last answer could not be taken, or ""."""

    draft: Draft
    candidates: tuple[Candidate, ...]
    number: int = 1
    complaint: str = ""

    @property
    def sheet(self) -> str:
        """Names the pictures on the sheet, so that an answer given to other ones is noticed: the post may change meanwhile."""
        return hashlib.sha256("\n".join(each.fingerprint for each in self.candidates).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered, not yet checked. pick: from 1. region: left, top, width and height in percent of the picture.
    sheet: of the pictures that were looked at.
    """

    decision: Decision = "approve"
    pick: int = 1
    alt_text: str = ""
    prompt: str = ""
    region: str = ""
    reason: str = ""
    editor: str = ""
    sheet: str = ""


Reviewer = Callable[[Proposal], Answer]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The cover that is to be published, and its alt text. editor: who chose it; "" for nobody."""

    candidate: Candidate
    alt_text: str
    editor: str = ""


def is_reviewed(source: str, post_id: str) -> bool:
    """Whether the site wants a person to look at this post's cover. A canary is always the same posts."""
    site = wiring.ports().site(source)
    if site is None or site.review.policy == "never":
        return False
    share = int.from_bytes(hashlib.sha256(f"{source}\n{post_id}".encode("utf-8", "surrogatepass")).digest()[:4], "big") / 2**32
    return site.review.policy == "always" or share < site.review.share


def choose(draft: Draft, run: Callable[[Any], Any], review: Reviewer | None) -> Choice:
    """The cover of this draft: the first picture, or with a reviewer the one that an editor takes, after as many rounds as asked
    for. Raises CoverRejected where an editor rejects them all, and as painting does.
    """
    if review is None:
        return Choice(candidate=_paint(draft, draft.prompt, draft.request.seed, run), alt_text=draft.alt_text)
    candidates, complaint = _paint_several(draft, _vary_prompt(draft), run, turn=0), ""
    for number in range(1, MAX_ROUNDS + 1):
        proposal = Proposal(draft=draft, candidates=candidates, number=number, complaint=complaint)
        answer = review(proposal)
        complaint = find_fault(answer, proposal)
        if complaint:
            continue
        _note(draft, candidates, answer, number)
        if answer.decision == "approve":
            return Choice(candidate=candidates[answer.pick - 1], alt_text=answer.alt_text.strip(), editor=answer.editor.strip())
        if answer.decision == "reject":
            raise CoverRejected(f"{draft.article.id}: {answer.editor.strip()} rejected its covers: {answer.reason.strip()}")
        draft = replace(draft, alt_text=answer.alt_text.strip())
        if answer.decision == "ask again":
            prompt = replace(draft.prompt, text=answer.prompt.strip())
            draft = replace(draft, prompt=prompt)
            candidates = _paint_several(draft, [prompt], run, turn=number)
        else:
            redone = _redo(draft, candidates[answer.pick - 1], answer, number, run)
            candidates = (redone, *(each for each in candidates if each.fingerprint != redone.fingerprint))
    raise CoverRejected(f"{draft.article.id}: {MAX_ROUNDS} questions brought no answer that could be taken; last: {complaint}")


def find_fault(answer: Answer, proposal: Proposal) -> str:
    """Why the answer cannot be taken, naming value and rule; "" where it can."""
    count, draft = len(proposal.candidates), proposal.draft
    if answer.sheet != proposal.sheet and answer.decision != "reject":
        return f"sheet: {answer.sheet[:20]!r} is not {proposal.sheet!r}; the post has changed meanwhile, please look again"
    if not answer.editor.strip():
        return "editor: it is empty; say who decides"
    if answer.decision in ("approve", "redo region") and not 1 <= answer.pick <= count:
        return f"pick: {answer.pick} is not from 1 to {count}"
    if answer.decision == "reject" and not answer.reason.strip():
        return "reason: it is empty; say why, so that the style can be mended"
    if len(answer.reason) > MAX_REASON_CHARACTERS:
        return f"reason: it has {len(answer.reason)} characters; at most {MAX_REASON_CHARACTERS} are allowed"
    if answer.decision != "reject" and not 1 <= len(answer.alt_text.strip()) <= MAX_ALT_CHARACTERS:
        return f"alt text: it has {len(answer.alt_text.strip())} characters; 1 to {MAX_ALT_CHARACTERS} are needed"
    paints = answer.decision in ("ask again", "redo region")
    if paints and not 1 <= len(answer.prompt.strip()) <= MAX_PROMPT_CHARACTERS:
        return f"prompt: it has {len(answer.prompt.strip())} characters; 1 to {MAX_PROMPT_CHARACTERS} are needed"
    try:
        if answer.decision != "reject":
            steps.screen_text(answer.alt_text, "alt text")
        if paints:
            steps.screen_text(answer.prompt, "prompt")
        if answer.decision == "redo region":
            read_region(answer.region, draft.request.width, draft.request.height)
    except (BadInput, CoverRejected) as exc:
        return str(exc)
    return ""


def read_region(text: str, width: int, height: int) -> tuple[int, int, int, int]:
    """ "50 0 50 100" (left, top, width, height in percent) in pixels of a picture. Raises BadInput."""
    parts = text.replace(",", " ").replace("%", " ").replace("，", " ").split()
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):
        raise BadInput(f"region: {text[:40]!r} is not four whole percentages, left, top, width and height, such as 50 0 50 100")
    left, top, wide, high = map(int, parts)
    if not (wide and high and left + wide <= 100 and top + high <= 100):
        raise BadInput(f"region: {text[:40]!r} is empty or reaches beyond the picture: left + width and top + height end at 100")
    x0, y0 = round(left * width / 100), round(top * height / 100)
    return x0, y0, round((left + wide) * width / 100) - x0, round((top + high) * height / 100) - y0


def _paint(draft: Draft, prompt: Prompt, seed: int, run: Callable[[Any], Any]) -> Candidate:
    verdict = steps.screen_text(prompt.text, "prompt")
    painted = run(steps.paint_once)(replace(draft.request, prompt=prompt.text, seed=seed))
    steps.note_painting(draft.source, draft.article.id, painted)
    return Candidate(painted=painted, prompt=prompt, seed=seed, verdict=verdict)


def _vary_prompt(draft: Draft) -> list[Prompt]:
    """The draft's prompt, then one about each further subject that a cover can show: an editor wants to choose between ideas, not
    between seeds.
    """
    prompts, shown = [draft.prompt], set(motifs_of(draft.brief.subjects[0].name)) if draft.brief.subjects else set()
    for subject in draft.brief.subjects[1:]:
        if new := motifs_of(subject.name) - shown:
            shown |= new
            brief = replace(draft.brief, sentence=subject.name, subjects=(subject,))
            prompts.append(steps.render_prompt(brief, draft.style, draft.prompt.language))
    return prompts


def _paint_several(draft: Draft, prompts: Sequence[Prompt], run: Callable[[Any], Any], turn: int) -> tuple[Candidate, ...]:
    """As many candidates as the site shows, of the prompts one after another, without those that a screen rejects. turn: each has
    seeds of its own. Raises CoverRejected where a screen rejects them all.
    """
    site, found, rejected = wiring.ports().site(draft.source), [], None
    count = site.review.candidates if site else 1
    for number in range(count):
        seed = (draft.request.seed + turn * count + number) % 2**63
        try:
            found.append(_paint(draft, prompts[number % len(prompts)], seed, run))
        except CoverRejected as exc:
            rejected = exc
    if not found and rejected:
        raise rejected
    return tuple(found)


def _redo(draft: Draft, base: Candidate, answer: Answer, number: int, run: Callable[[Any], Any]) -> Candidate:
    asked, prompt = draft.request, replace(draft.prompt, text=answer.prompt.strip())
    verdict = steps.screen_text(prompt.text, "prompt")
    region = read_region(answer.region, asked.width, asked.height)
    request = RedoRequest(cover=base.fingerprint, region=region, width=asked.width, height=asked.height,
                          prompt=prompt.text, negative=asked.negative, steps=asked.steps, guidance=asked.guidance,
                          seed=(asked.seed + number) % 2**63, checkpoint=asked.checkpoint)
    painted = run(steps.redo_once)(request, base.painted.cover)
    steps.note_painting(draft.source, draft.article.id, painted)
    return Candidate(painted=painted, prompt=prompt, seed=request.seed, verdict=verdict)


def _note(draft: Draft, candidates: tuple[Candidate, ...], answer: Answer, number: int) -> None:
    """Who, when, what and why, once: a run that goes on after a pause comes by here again."""
    shown = [candidate.fingerprint for candidate in candidates]
    content = {"question": number, "decision": answer.decision, "pick": answer.pick, "shown": shown,
               "editor": answer.editor.strip(), "reason": answer.reason.strip(), "alt_text": answer.alt_text.strip(),
               "prompt": answer.prompt.strip(), "region": answer.region.strip(), "style": draft.style.name,
               "version": steps.tell_version(draft.source, draft.article.id)}
    ledger, source, post_id = wiring.ports().ledger, draft.source, draft.article.id
    happening: Literal["rejected", "reviewed"] = "rejected" if answer.decision == "reject" else "reviewed"
    told = ledger.entries(site=source, post_id=post_id, happening=happening)
    if not any(entry.content == content for entry in told):
        fingerprint = shown[answer.pick - 1] if answer.decision in ("approve", "redo region") else ""
        ledger.append(Entry(site=source, post_id=post_id, happening=happening, fingerprint=fingerprint, content=content))
