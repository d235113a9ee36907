"""What can be set for each site: where its posts are, how its covers look, who looks at them, what they may cost."""

from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

SITE = "site:"
"""How a source names a site of the settings: "site:blog"."""


def _check_address(address: str) -> str:
    if "@" in address.partition("://")[2].partition("/")[0]:
        raise ValueError("an address must not carry a user name or password, which would be shown with it")
    return address


Address = Annotated[str, AfterValidator(_check_address)]
"""A web address that may be shown."""


class Section(BaseModel):
    """A group of settings that refuses names it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ReviewSettings(Section):
    """Who looks at a cover before it is published."""

    policy: Literal["never", "always", "canary"] = "never"
    share: float = Field(default=0.1, gt=0, le=1, description="for canary: the share of posts; always the same posts")
    candidates: int = Field(default=4, ge=1, le=8, description="pictures an editor can choose from")
    timeout_hours: float = Field(default=48, gt=0, description="how long an answer is waited for")
    remind_hours: float = Field(default=24, gt=0, description="when the sweep reminds of an open question")
    on_no_answer: Literal["leave", "publish"] = Field(default="leave", description="what becomes of the post then")


class GitSettings(Section):
    """How covers become commits of a checked-out branch; folder is the repository."""

    posts: str = Field(default="", description="folder of the posts inside the repository, such as content/posts")
    pictures: str = Field(default="static/covers", description="folder of the pictures inside it")
    address: str = Field(default="/covers", description="how posts name that folder")
    branch: str = "main"
    remote: str = Field(default="", description="where commits are pushed, such as origin; empty: nowhere")
    name: str = Field(default="Fengmian", description="who commits")
    mail: str = "fengmian@localhost"


class SiteSettings(Section):
    """One site."""

    kind: Literal["wordpress", "ghost", "markdown", "git"]
    url: Address = Field(default="", description="for wordpress: the site's address; for ghost: where its /ghost/ is")
    user: str = ""
    password: SecretStr = Field(default=SecretStr(""), description="for wordpress: an application password")
    admin_key: SecretStr = Field(default=SecretStr(""), description="for ghost: the Admin API key of a custom integration")
    statuses: tuple[str, ...] = Field(default=(), description="for wordpress and ghost: posts that get covers; empty: published")
    figure: bool = Field(default=False, description="for wordpress: also put the cover on top of the text")
    social: bool = Field(default=False, description="for ghost: also be the picture of shared links (og_image, twitter_image)")
    allow_http: bool = Field(default=False, description="for wordpress and ghost: send password or key unencrypted elsewhere")
    folder: Path | None = Field(default=None, description="for markdown: the folder of posts; for git: the repository")
    out: str = Field(default="", description="for markdown: the folder that gets the pictures")
    git: GitSettings = GitSettings()
    style: str = Field(default="", description="style guide; empty: the setting style")
    size: str = Field(default="", description="WxH; empty: the style's first size")
    language: Literal["zh", "en", "auto"] = "auto"
    budget_s: float = Field(default=0, ge=0, description="seconds of painting a day, by the clock of UTC; 0: no limit")
    review: ReviewSettings = ReviewSettings()
    schedule: str = Field(default="", pattern=r"^(\S+( \S+){4})?$",
                          description="when posts without a cover get theirs, as cron has it: 30 3 * * *; empty: when asked for")
    timezone: str = Field(default="UTC", description="of the schedule, such as Asia/Shanghai")

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("it is no time zone, such as Asia/Shanghai") from None
        return name

    @model_validator(mode="before")
    @classmethod
    def _plain_policy(cls, given: Any) -> Any:
        """`review: always` stands for its policy."""
        if isinstance(given, dict) and isinstance(given.get("review"), str):
            return {**given, "review": {"policy": given["review"]}}
        return given

    @model_validator(mode="after")
    def _complete(self) -> "SiteSettings":
        needed = {"wordpress": ("url", "user", "password"), "ghost": ("url", "admin_key"), "markdown": ("folder",),
                  "git": ("folder",)}[self.kind]
        for name in needed:
            value = getattr(self, name)
            if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
                raise ValueError(f"kind {self.kind} needs {name}")
        if self.figure and self.kind == "ghost":
            raise ValueError("figure is for kind wordpress; on a Ghost the theme shows the feature image")
        return self
