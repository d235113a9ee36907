"""How an editor is asked: the run suspends with a form that shows the candidates, and goes on with the answer. Knows Prefect."""

import base64
from io import BytesIO
from typing import Literal

from PIL import Image
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from flows import steps, wiring
from flows.record import Painted
from flows.review import Answer, Proposal
from generator.request import CoverImage
from integrations.contact_sheet import contact_sheet
from integrations.pictures import decode
from integrations.ports import Verdict

SHEET_WIDTH_PX = 1240
SHEET_QUALITY = 80
MAX_CROPS = 2
"""Channel crops beside each candidate; more would be too small to judge."""


class Review(RunInput):
    """What an editor fills in. Checked again when it comes back: the form's own rules do not survive the way."""

    decision: Literal["approve", "ask again", "redo region", "reject"] = Field(
        "approve", title="Decision 决定", description="ask again: new pictures, with the prompt below if you edit it")
    pick: int = Field(1, title="Pick 选图", description="Number of the picture, as on the sheet")
    alt_text: str = Field("", title="Alt text 替代文字", description="Read to those who do not see the cover")
    prompt: str = Field("", title="Prompt 提示词", description="For `ask again` and `redo region`")
    region: str = Field("", title="Region 区域",
                        description="For `redo region`: left top width height in percent, e.g. 50 0 50 100")
    reason: str = Field("", title="Reason 理由", description="For `reject`; shown in the style's report")
    editor: str = Field("", title="Editor 编辑", description="Your name; goes into the ledger")
    sheet: str = Field("", title="Sheet 样张", description="Leave as it is: it names the pictures that you saw")


def ask_editor(proposal: Proposal) -> Answer:
    """Suspend this run until somebody answers; what was answered before is answered at once when the run goes on."""
    key, draft = f"review-{proposal.number}", proposal.draft
    site = wiring.ports().site(draft.source)
    assert site is not None
    story = describe(proposal)
    if not _was_asked(key):
        create_markdown_artifact(key=artifact_key(draft.source, draft.article.id), markdown=story,
                                 description=f"Candidates for {draft.article.title[:100]}")
    form = Review.with_initial_data(description=story, decision="approve", pick=1, alt_text=draft.alt_text,
                                    prompt=draft.prompt.text, region="", reason="", editor="", sheet=proposal.sheet)
    given = suspend_flow_run(wait_for_input=form, timeout=round(site.review.timeout_hours * 3600), key=key)
    return Answer(decision=given.decision, pick=given.pick, alt_text=given.alt_text, prompt=given.prompt, region=given.region,
                  reason=given.reason, editor=given.editor, sheet=given.sheet)


def artifact_key(source: str, post_id: str) -> str:
    """The key under which all sheets of one post are found: small letters, digits and hyphens, as Prefect wants them."""
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in f"{source}-{post_id}".lower())
    return f"review-{letters}"[:200].strip("-")


def _was_asked(key: str) -> bool:
    """Whether this run has come by this question before."""
    context = FlowRunContext.get()
    policy = context.flow_run.empirical_policy if context and context.flow_run else None
    return bool(policy and key in (policy.pause_keys or set()))


def describe(proposal: Proposal) -> str:
    """The question in Markdown, its pictures inside, so that it needs no server of pictures."""
    draft = proposal.draft
    complaint = f"> **This answer could not be taken 无法接受** — {proposal.complaint}\n\n" if proposal.complaint else ""
    seeds = ", ".join(f"{number}: {each.seed}" for number, each in enumerate(proposal.candidates, start=1))
    shown = [*draft.verdicts, *(verdict for each in proposal.candidates for verdict in each.painted.cover.verdicts)]
    return (f"{complaint}## {_plain(draft.article.title)}\n\n{_plain(draft.brief.sentence)}\n\n"
            f"![candidates]({draw_sheet(proposal)})\n\n"
            f"- **Post 文章** {_plain(draft.article.id)} ({_plain(draft.source)}), style {draft.style.name}\n"
            f"- **Prompt 提示词** {_plain(draft.prompt.text)}\n- **Seeds** {seeds}\n- **Verdicts 审核** {_tell(shown)}\n")


def draw_sheet(proposal: Proposal) -> str:
    """The candidates, numbered, each beside its crops for the style's other channels, as a data: URI of a WebP."""
    own = proposal.draft.request.width, proposal.draft.request.height
    sizes = [size for size in proposal.draft.style.sizes if size != own]
    pictures, captions = [], []
    for number, candidate in enumerate(proposal.candidates, start=1):
        picture = _open(candidate.painted)
        pictures.append(picture)
        captions.append(f"{number}")
        for width, height in sizes[:MAX_CROPS]:
            pictures.append(_crop(picture, width, height))
            captions.append(f"{number} · {width}x{height}")
    sheet = Image.open(BytesIO(contact_sheet(pictures, captions, 1 + len(sizes[:MAX_CROPS]))))
    sheet.thumbnail((SHEET_WIDTH_PX, 10_000))
    file = BytesIO()
    sheet.save(file, "WEBP", quality=SHEET_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _open(painted: Painted) -> CoverImage:
    file = next(file for file in painted.cover.files if file.format == "png")
    return decode(steps.whole_file(file), file.name)


def _crop(picture: CoverImage, width: int, height: int) -> CoverImage:
    """The middle of the picture in the shape of a channel."""
    scale = min(picture.width / width, picture.height / height)
    wide, high = max(1, int(width * scale)), max(1, int(height * scale))
    left, top = (picture.width - wide) // 2, (picture.height - high) // 2
    image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb).crop((left, top, left + wide, top + high))
    return CoverImage(width=wide, height=high, rgb=image.tobytes())


def _tell(verdicts: list[Verdict]) -> str:
    told = dict.fromkeys(f"{verdict.check}: {verdict.decision}" for verdict in verdicts)
    return _plain("; ".join(told))


def _plain(text: str) -> str:
    """An article's words as words: nothing in them is Markdown or HTML."""
    escaped = "".join(f"\\{letter}" if letter in "\\`*_{}[]()#+-.!|<>~$" else letter for letter in " ".join(text.split()))
    return escaped.replace("&", "&amp;")
