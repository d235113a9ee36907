"""What can be set for `fengmian gateway`: where it listens, what it keeps where, who may tell it of posts, and how often."""

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from flows.site_settings import Section


class WebhookSettings(Section):
    """Who may tell the gateway that posts of one site have changed."""

    kind: Literal["wordpress", "ghost", "github", "standard"]
    secret: SecretStr = Field(description="whsec_... for wordpress and standard; what was typed into Ghost or GitHub for those")
    old_secret: SecretStr = Field(default=SecretStr(""), description="taken too, while the secret is being changed")
    folder: str = Field(default="", description="for github: the folder of the posts inside the repository")
    pull: bool = Field(default=False, description="for github: bring the site's folder to the pushed commit (git pull --ff-only)")

    @model_validator(mode="after")
    def _complete(self) -> "WebhookSettings":
        if not self.secret.get_secret_value():
            raise ValueError("a webhook needs a secret")
        if self.kind != "github" and (self.folder or self.pull):
            raise ValueError(f"folder and pull are for kind github, not for {self.kind}")
        return self


class GatewaySettings(Section):
    """`fengmian gateway`: webhooks, and covers for other systems."""

    host: str = Field(default="127.0.0.1", description="put a proxy that speaks TLS before it to be reached from elsewhere")
    port: int = Field(default=8200, ge=1, le=65535)
    pepper: SecretStr = Field(default=SecretStr(""), description="secret of at least 16 characters that keys are hashed with")
    redis_url: SecretStr = Field(default=SecretStr(""), description="limits and progress of many gateways; empty: SQLite")
    timeout_s: float = Field(default=5, gt=0, description="for Redis")
    deployment: str = Field(default="cover-post/on-demand", pattern="^[^/]+/[^/]+$", description="what a job is a run of")
    webhooks: dict[str, WebhookSettings] = Field(default={}, description="by the name of the site")
    per_minute: int = Field(default=120, ge=0, description="requests of one key, unless it says otherwise")
    per_day: int = Field(default=200, ge=0, description="covers of one tenant, unless a key says otherwise; by the UTC day")
    max_body_bytes: int = Field(default=1_000_000, ge=1)
    body_timeout_s: float = Field(default=10, gt=0)
