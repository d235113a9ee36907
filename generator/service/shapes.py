"""What is asked and answered, in OpenAI's shapes for images and in the shorter one of /v1/generate. Free of torch.

Fields beyond OpenAI's carry the names that vLLM-Omni gives them.
Source: OpenAI API reference, Images; vLLM-Omni, Image Generation API.
"""

import secrets
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from generator.request import MAX_PROMPT_CHARACTERS, MAX_STEPS, CoverRequest

MAX_COUNT = 10
DEFAULT_SIZE = "1024x1024"
FileFormat = Literal["png", "webp"]
Answer = Literal["b64_json", "url"]


def read_size(text: str) -> tuple[int, int]:
    """(width, height) of "1200x630"; "auto" is 1024x1024. Raises ValueError."""
    sides = (DEFAULT_SIZE if text == "auto" else text).lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() and len(side) <= 5 for side in sides):
        raise ValueError(f"size {text[:20]!r} is not WIDTHxHEIGHT in pixels, such as 1200x630")
    return int(sides[0]), int(sides[1])


def _check_size(text: str) -> str:
    read_size(text)
    return text


Size = Annotated[str, AfterValidator(_check_size)]


class Shape(BaseModel):
    """A body that refuses fields it does not know, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Sampling(Shape):
    """What both of OpenAI's calls have in common. The fields without a meaning here are taken and have no effect."""

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS)
    model: str | None = Field(default=None, description="name of the loaded checkpoint, with or without its revision")
    n: int = Field(default=1, ge=1, le=MAX_COUNT)
    size: Size = DEFAULT_SIZE
    response_format: Answer = "b64_json"
    output_format: FileFormat = "png"
    negative_prompt: str = Field(default="", max_length=MAX_PROMPT_CHARACTERS)
    seed: int | None = Field(default=None, ge=0, lt=2**62, description="of the first picture; the next ones count up")
    num_inference_steps: int | None = Field(default=None, ge=1, le=MAX_STEPS)
    true_cfg_scale: float | None = Field(default=None, ge=1, le=30, description="classifier-free guidance")
    guidance_scale: float | None = Field(default=None, ge=1, le=30, description="the same; true_cfg_scale wins")
    user: str | None = Field(default=None, max_length=256, description="shares the queue fairly with other users")
    quality: str | None = Field(default=None, description="no effect")
    style: str | None = Field(default=None, description="no effect")
    background: Literal["auto", "opaque"] | None = Field(default=None, description="no effect: covers are opaque")
    moderation: str | None = Field(default=None, description="no effect: screening is the caller's")

    @property
    def guidance(self) -> float | None:
        """The guidance asked for, if any."""
        return self.true_cfg_scale or self.guidance_scale

    @model_validator(mode="after")
    def _has_words(self) -> "Sampling":
        if not self.prompt.strip():
            raise ValueError("prompt: it is empty")
        return self


class Generation(Sampling):
    """POST /v1/images/generations."""


class Edit(Sampling):
    """POST /v1/images/edits, without its files."""

    size: Size = "auto"
    strength: float = Field(default=0.6, gt=0, le=1, description="how much of a picture without a mask is painted anew")


class ShortGeneration(Shape):
    """POST /v1/generate."""

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS)
    negative_prompt: str = Field(default="", max_length=MAX_PROMPT_CHARACTERS)
    resolution: Size = DEFAULT_SIZE
    guidance_scale: float | None = Field(default=None, ge=1, le=30)
    steps: int | None = Field(default=None, ge=1, le=MAX_STEPS)
    seed: int | None = Field(default=None, ge=0, lt=2**62)
    output_format: Literal["url", "b64"] = "url"

    def as_generation(self) -> Generation:
        """The same in OpenAI's shape."""
        return Generation(prompt=self.prompt, negative_prompt=self.negative_prompt, size=self.resolution, seed=self.seed,
                          guidance_scale=self.guidance_scale, num_inference_steps=self.steps,
                          response_format="url" if self.output_format == "url" else "b64_json")


class Picture(BaseModel):
    """One picture of an answer."""

    b64_json: str | None = None
    url: str | None = None
    seed: int
    fingerprint: str
    width: int
    height: int


class Pictures(BaseModel):
    """OpenAI's answer. model: name and revision of the weights that painted."""

    created: int = Field(description="seconds since the epoch")
    model: str
    output_format: FileFormat
    data: list[Picture]


class ShortAnswer(BaseModel):
    """image_url: an address, or for b64 a data: URI."""

    image_url: str
    seed: int
    fingerprint: str
    model: str


class Problem(BaseModel):
    """OpenAI's error."""

    error: dict[str, Any] = Field(description="message, type, code and param")


def draw_seed() -> int:
    """For who asks for none."""
    return secrets.randbelow(2**32)


def make_requests(asked: Sampling, checkpoint: str, steps: int, guidance: float) -> list[CoverRequest]:
    """The n requests. steps, guidance: where none are asked for. Raises ValueError naming the value and the rule."""
    width, height = read_size(asked.size)
    seed = draw_seed() if asked.seed is None else asked.seed
    return [CoverRequest(prompt=asked.prompt, negative=asked.negative_prompt, width=width, height=height, seed=seed + number,
                         steps=asked.num_inference_steps or steps, guidance=asked.guidance or guidance,
                         checkpoint=checkpoint) for number in range(asked.n)]
