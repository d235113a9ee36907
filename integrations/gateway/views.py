"""What callers say and what they are told: the bodies of the API, as OpenAPI describes them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from generator.request import MAX_SIDE_PX, MIN_SIDE_PX
from integrations.gateway.ports import Job

Address = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[!-~]*)?$")]
Side = Annotated[int, Field(ge=MIN_SIDE_PX, le=MAX_SIDE_PX)]
MaybeText = str | SkipJsonSchema[None]
"""Of a header that may be left out; there is no header that is null."""
NO_CONTROLS = r"^[^\x00-\x1f\x7f]+$"


class Strict(BaseModel):
    """A body that may hold nothing we do not know, in no other type than we ask for."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Size(Strict):
    """In pixels."""

    width: Side
    height: Side


class Wanted(Strict):
    """How the cover is to be; what is left out is left to the site."""

    style: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")] | None = Field(
        default=None, description="Name of a style guide.")
    seed: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(  # as far as every reader of JSON counts exactly
        default=None, description="Same seed, same picture.")
    size: Size | None = None
    language: Literal["zh", "en", "auto"] = Field(default="auto", description="Of the prompt; auto: the article's.")
    callback_url: Address | None = Field(
        default=None, description="Where a signed message (Standard Webhooks) is sent when the job is over.")


class PostWanted(Wanted):
    """A cover for a post of a site that the gateway knows."""

    site: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=NO_CONTROLS)]
    post_id: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=NO_CONTROLS)]
    force: bool = Field(default=False, description="Replace a cover that the post has.")


class PageWanted(Wanted):
    """A cover for a page of the public web, which stays as it is."""

    url: Address


class PictureView(BaseModel):
    """A finished picture."""

    url: str = Field(description="Where it lies; a path on the site's own machine where pictures are kept in a folder.")
    width: int
    height: int
    format: str
    sha256: str


class JobView(BaseModel):
    """A job as its owner sees it."""

    id: str
    status: Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
    created_at: datetime
    ended_at: datetime | None
    post_id: str
    reason: str = Field(description="Of a failure.")
    title: str
    alt_text: str
    cover: str = Field(description="How the post names its cover, where it was written into the post.")
    pictures: list[PictureView]

    @classmethod
    def of(cls, job: Job) -> "JobView":
        """The view of a job."""
        pictures = [PictureView(url=each.url, width=each.width, height=each.height, format=each.format, sha256=each.sha256)
                    for each in job.pictures]
        return cls(id=job.id, status=job.status, created_at=_moment(job.created_at),
                   ended_at=None if job.ended_at is None else _moment(job.ended_at), post_id=job.post_id, reason=job.reason,
                   title=job.title, alt_text=job.alt_text, cover=job.cover, pictures=pictures)


class Accepted(BaseModel):
    """The job that was started."""

    job_id: str
    status: str
    url: str
    events_url: str


class Received(BaseModel):
    """What became of a webhook. posts: how many posts it is about. new: how many of them were not known yet."""

    posts: int
    new: int


class Health(BaseModel):
    """The gateway answers."""

    status: Literal["ok"] = "ok"


class Problem(BaseModel):
    """What is wrong, in OpenAI's shape."""

    message: str
    type: str
    code: str
    param: str | None = None


class ErrorView(BaseModel):
    """Every answer that is no success."""

    error: Problem


def problem(message: str, code: str, kind: str = "invalid_request_error", param: str | None = None) -> dict[str, Any]:
    """The body of an answer that is no success."""
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
