"""How an editor is asked: the run suspends with a form that shows the candidates, and goes on with the answer. Knows Prefect."""

from typing import Literal

from PIL import Image, ImageOps
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from flows import wiring
from flows.artifacts import as_picture_uri, open_stored, plain_key
from flows.review import Answer, Candidate, Proposal
from integrations.ports import Verdict

STRIP_PX, GAP_PX = 300, 8
MAX_CROPS = 2
"""Channel crops beside each candidate; more would be too small to judge."""
CENTRES = {"left": (0.0, 0.5), "right": (1.0, 0.5), "top": (0.5, 0.0), "bottom": (0.5, 1.0), "centre": (0.5, 0.5)}
HOW_TO = """- **approve 通过**: pick, alt text, editor (your name) 选图编号、替代文字、编辑姓名
- **ask again 重画**: prompt (left as it is: other seeds), editor 提示词（不改则换种子）、编辑
- **redo region 局部重画**: pick, region (left top width height in percent: 50 0 50 100), prompt, editor 选图、区域、提示词
- **reject 退回**: reason, editor 理由、编辑姓名"""


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
        create_markdown_artifact(key=plain_key(f"review-{draft.source}-{draft.article.id}"), markdown=story,
                                 description=f"Candidates for {draft.article.title[:100]}")
    form = Review.with_initial_data(description=story, decision="approve", pick=1, alt_text=draft.alt_text,
                                    prompt=draft.prompt.text, region="", reason="", editor="", sheet=proposal.sheet)
    given = suspend_flow_run(wait_for_input=form, timeout=round(site.review.timeout_hours * 3600), key=key)
    return Answer(decision=given.decision, pick=given.pick, alt_text=given.alt_text, prompt=given.prompt, region=given.region,
                  reason=given.reason, editor=given.editor, sheet=given.sheet)


def _was_asked(key: str) -> bool:
    """Whether this run has come by this question before."""
    context = FlowRunContext.get()
    policy = context.flow_run.empirical_policy if context and context.flow_run else None
    return bool(policy and key in (policy.pause_keys or set()))


def describe(proposal: Proposal) -> str:
    """The question in Markdown, its pictures inside, so that it needs no server of pictures."""
    draft = proposal.draft
    complaint = f"> **This answer could not be taken 无法接受** — {proposal.complaint}\n\n" if proposal.complaint else ""
    sheet = "\n\n".join(f"**{number}**\n\n![{number}]({draw_strip(proposal, each)})"
                        for number, each in enumerate(proposal.candidates, start=1))
    prompts = "\n".join(f"{number}. {_plain(each.prompt.text)} (seed {each.seed})"
                        for number, each in enumerate(proposal.candidates, start=1))
    shown = [*draft.verdicts, *(verdict for each in proposal.candidates for verdict in each.verdicts)]
    return (f"{complaint}## {_plain(draft.article.title)}\n\n{_plain(draft.brief.sentence)}\n\n"
            f"{sheet}\n\n{HOW_TO}\n\n"
            f"**Post 文章** {_plain(draft.article.id)} ({_plain(draft.source)}), style {draft.style.name}\n\n"
            f"**Verdicts 审核** {_tell(shown)}\n\n**Prompts 提示词**\n\n{prompts}\n")


def draw_strip(proposal: Proposal, candidate: Candidate) -> str:
    """A candidate beside its crops for the style's other channels, all of one height, as a data: URI of a WebP."""
    own = proposal.draft.request.width, proposal.draft.request.height
    others = [size for size in proposal.draft.style.sizes if size != own][:MAX_CROPS]
    picture = open_stored(candidate.painted.cover.files[0])
    pieces = [piece.resize((round(STRIP_PX * piece.width / piece.height), STRIP_PX), Image.Resampling.LANCZOS)
              for piece in (picture, *(crop(picture, *size, CENTRES[proposal.draft.style.subject]) for size in others))]
    strip = Image.new("RGB", (sum(piece.width for piece in pieces) + GAP_PX * len(others), STRIP_PX), "white")
    left = 0
    for piece in pieces:
        strip.paste(piece, (left, 0))
        left += piece.width + GAP_PX
    return as_picture_uri(strip)


def crop(picture: Image.Image, width: int, height: int, centre: tuple[float, float]) -> Image.Image:
    """The picture in the shape of a channel, cut where the subject is not. centre: of what stays, 0..1 of width and height."""
    scale = min(picture.width / width, picture.height / height)
    return ImageOps.fit(picture, (max(1, int(width * scale)), max(1, int(height * scale))), centering=centre)


def _tell(verdicts: list[Verdict]) -> str:
    told = dict.fromkeys(f"{verdict.check}: {verdict.decision}" for verdict in verdicts)
    return _plain("; ".join(told))


def _plain(text: str) -> str:
    """An article's words as words: nothing in them is Markdown or HTML."""
    escaped = "".join(f"\\{letter}" if letter in "\\`*_{}[]()#+-.!|<>~$" else letter for letter in " ".join(text.split()))
    return escaped.replace("&", "&amp;")
