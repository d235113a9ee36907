"""Settings: one class, read from fengmian.yaml and from FENGMIAN_ variables (which win). Built once, in wiring.py.

A nested value is FENGMIAN_STORE__KIND=s3, or in YAML `store: {kind: s3}`; lists are JSON. Unknown names are refused.
"""

import difflib
import json
import os
import re
from pathlib import Path
from typing import Any, Literal, get_origin

import yaml
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from flows.errors import SettingsError
from flows.fleet_settings import FleetSettings, RetentionSettings
from flows.gateway_settings import GatewaySettings
from flows.label_settings import LabelSettings
from flows.site_settings import Address, Section, SiteSettings

PREFIX = "FENGMIAN_"
FILE_NAME = "fengmian.yaml"
FILE_VARIABLE = "FENGMIAN_SETTINGS_FILE"


class LoraSettings(Section):
    """A LoRA file (or the name of a pulled one) and how strongly it acts."""

    file: Path
    weight: float = Field(default=1.0, ge=-4, le=4)


BUNDLED = {"steps": 8, "guidance": 1.0}
"""What the bundled model is made for."""


class GeneratorSettings(Section):
    """Which weights paint, and how."""

    checkpoint: Path | None = Field(default=None, description="folder, or name of a pulled checkpoint; none: the bundled model")
    url: Address = Field(default="", description="paint elsewhere: `fengmian serve`, or any service that speaks OpenAI's images")
    model: str = Field(default="", description="for url: the model to ask for; empty: what the service says it has loaded")
    token: SecretStr = Field(default=SecretStr(""), description="for url: what the service wants to be brought")
    timeout_s: float = Field(default=100, gt=0, description="for url: for one picture, waiting included; below cache.hold_s")
    dialect: Literal["open", "openai"] = Field(
        default="open", description="for url: open sends seed and steps; openai only what OpenAI itself takes"
    )
    sizes: tuple[str, ...] = Field(
        default=(), description="for url: the only sizes it paints, such as 1536x1024; covers are cut from the nearest"
    )
    device: str = "cpu"
    text_device: str = Field(default="", description="of the text encoder, if not the same device")
    dtype: Literal["float32", "bfloat16", "float8"] = "float32"
    offload: Literal["none", "in_turn"] = Field(
        default="none", description="in_turn: text encoder and transformer are never in memory at once"
    )
    loras: tuple[LoraSettings, ...] = ()
    switch_loras: bool = Field(default=False, description="keep the LoRAs apart, for `--lora NAME`; else all are merged in")
    shift: float | None = Field(default=None, ge=0.1, le=20, description="fixed shift of the noise levels; Lightning wants 3")
    step_cache: float = Field(default=0, ge=0, lt=1, description="steps that change less than this are not computed; 0: exact")
    compile: Literal["off", "blocks", "graphs"] = Field(
        default="off", description="compile the transformer's blocks (needs a C++ compiler); graphs: with CUDA graphs"
    )
    max_batch: int = Field(default=4, ge=1, le=64, description="at most so many pictures are painted together")
    tile_px: int = Field(default=2048, ge=256, le=16384, description="larger pictures are decoded in tiles of this side")
    prompt_cache: bool = Field(default=True, description="keep what the text encoder said of a prompt, in the state folder")
    steps: int = Field(default=24, ge=1, le=200,
                       description="denoising steps, unless the style guide gives them; 8 with the bundled model")
    guidance: float = Field(default=3.0, ge=1, le=30,
                            description="guidance scale, unless the style guide gives it; 1 with the bundled model")

    @model_validator(mode="before")
    @classmethod
    def _suit_the_bundled_model(cls, given: Any) -> Any:
        is_bundled = isinstance(given, dict) and not given.get("checkpoint") and not given.get("url")
        return {**BUNDLED, **given} if is_bundled else given


class ServiceSettings(Section):
    """`fengmian serve`: the generator for other machines."""

    host: str = "127.0.0.1"
    port: int = Field(default=8100, ge=1, le=65535)
    grpc_port: int = Field(default=0, ge=0, le=65535, description="0: no gRPC")
    token: SecretStr = Field(default=SecretStr(""), description="what callers must bring; needed beyond 127.0.0.1")
    public_url: Address = Field(default="", description="how callers reach it, in addresses of pictures; empty: as they asked")
    max_queue: int = Field(default=64, ge=1, le=10_000, description="requests that may wait; further ones are told 429")
    deadline_s: float = Field(default=600, gt=0, description="for one request, waiting included")
    keep_hours: float = Field(default=24, gt=0, description="how long pictures asked for by address are kept")

    @model_validator(mode="after")
    def _closed(self) -> "ServiceSettings":
        if self.host not in ("127.0.0.1", "::1", "localhost") and not self.token.get_secret_value():
            raise ValueError(f"service.host {self.host!r} is open to other machines and needs service.token")
        return self


class SummarizerSettings(Section):
    """Who writes the brief."""

    kind: Literal["extractive", "t5"] = "extractive"
    model: str = Field(default="", description="folder, id, or name of a pulled T5 checkpoint, for kind t5")
    asking: Literal["cloze", "prefix"] = "cloze"
    question: str = Field(default="", description="what the model is asked, if not the usual: with {gap} for cloze")
    revision: str = Field(default="", description="commit or tag of a model id")
    local_files_only: bool = True
    safetensors_only: bool = Field(default=True, description="refuse pickled weights, which can run code")

    @model_validator(mode="after")
    def _complete(self) -> "SummarizerSettings":
        if self.kind == "t5" and not self.model:
            raise ValueError("kind t5 needs summarizer.model")
        return self


class CacheSettings(Section):
    """Where finished covers are remembered."""

    kind: Literal["sqlite", "redis"] = "sqlite"
    redis_url: SecretStr = Field(default=SecretStr(""), description="for kind redis: redis://host:6379/0 or unix:///path")
    prefix: str = "fengmian:"
    hold_s: float = Field(
        default=120,
        gt=0,
        description="how long one process may hold the right to paint a cover; longer than that takes",
    )
    timeout_s: float = Field(default=5, gt=0)

    @model_validator(mode="after")
    def _complete(self) -> "CacheSettings":
        if self.kind == "redis" and not self.redis_url.get_secret_value():
            raise ValueError("kind redis needs cache.redis_url")
        return self


class StoreSettings(Section):
    """Where picture files are kept."""

    kind: Literal["folder", "s3"] = "folder"
    folder: Path | None = Field(default=None, description="for kind folder; none: covers/ in the state folder")
    base_url: Address = Field(default="", description="public address in front of object names, usually the CDN's")
    bucket: str = ""
    prefix: str = ""
    endpoint_url: Address = ""
    region: str = "us-east-1"
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    addressing: Literal["auto", "path", "virtual"] = Field(
        default="auto", description="path for RadosGW and MinIO, virtual for Aliyun OSS"
    )
    create_only: Literal["If-None-Match", "x-oss-forbid-overwrite", "x-cos-forbid-overwrite"] = "If-None-Match"
    timeout_s: float = Field(default=10, gt=0)

    @model_validator(mode="after")
    def _complete(self) -> "StoreSettings":
        if self.kind == "s3":
            for name in ("endpoint_url", "bucket", "base_url", "access_key", "secret_key"):
                value = getattr(self, name)
                if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
                    raise ValueError(f"kind s3 needs store.{name}")
        return self


class SafetySettings(Section):
    """What must not be published."""

    word_lists: tuple[Path, ...] = Field(default=(), description="more word lists (CSV), beside our own")
    on_review: Literal["hold", "publish"] = Field(
        default="hold", description="what happens to a cover that a screen wants a person to see"
    )
    nsfw_model: str = Field(default="", description="folder, id, or name of a pulled image classifier")
    nsfw_revision: str = Field(default="", description="commit or tag of a model id")
    nsfw_sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$", description="digest of its weights; others are refused")
    nsfw_review_at: float = Field(default=0.5, ge=0, le=1)
    nsfw_block_at: float = Field(default=0.85, ge=0, le=1)
    local_files_only: bool = True
    publish_unscreened: str = Field(
        default="", description="name of the checkpoint folder that may publish without a picture screen"
    )
    publish_licences: tuple[str, ...] = Field(
        default=(), description="licences, or names of checkpoints and LoRAs, that may publish though we cannot tell so"
    )


class ModelSettings(Section):
    """Where models are pulled from, and where they are kept."""

    folder: Path | None = Field(default=None, description="none: models/ in the state folder")
    source: Literal["huggingface", "modelscope"] = "huggingface"
    endpoint: Address = Field(default="", description="a mirror that speaks like the source; empty: the source itself")
    token: SecretStr = Field(default=SecretStr(""), description="for repositories that ask for one")
    timeout_s: float = Field(default=30, gt=0, description="for connecting, and for waiting for the next bytes")

    @model_validator(mode="after")
    def _complete(self) -> "ModelSettings":
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError("models.endpoint must begin with http:// or https://")
        return self


class FetchSettings(Section):
    """Limits on what is fetched from the web."""

    deadline_s: float = Field(default=30, gt=0)
    max_bytes: int = Field(default=10_000_000, gt=0)
    ports: tuple[int, ...] = (80, 443)
    allow_networks: tuple[str, ...] = Field(
        default=(), description="private networks that may be fetched from, such as 127.0.0.0/8"
    )


class Settings(BaseSettings):
    """Everything a site can set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True, extra="forbid", frozen=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What wins: code, environment, then the YAML file."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)

    state_folder: Path = Field(default_factory=lambda: Path.home() / ".fengmian", description="cache and covers")
    style: str = Field(default="modern-minimal", description="style guide, unless --style names another")
    brand_folder: Path | None = Field(default=None, description="the site's own style guides and brand.yaml")
    template_folder: Path | None = Field(default=None, description="the site's own prompt templates")
    out_url: Address = Field(default="", description="where the site serves the folder of --out, e.g. /covers")
    prefect_api_url: Address = Field(default="", description="run as Prefect flows on this server, e.g. http://127.0.0.1:4200/api")
    database_url: SecretStr = Field(default=SecretStr(""), description="of the ledger: postgresql+psycopg://...; empty: SQLite")
    sites: dict[str, SiteSettings] = Field(default={}, description="sites by name; a source `site:NAME` means one of them")
    generator: GeneratorSettings = GeneratorSettings()
    service: ServiceSettings = ServiceSettings()
    gateway: GatewaySettings = GatewaySettings()
    fleet: FleetSettings = FleetSettings()
    retention: RetentionSettings = RetentionSettings()
    summarizer: SummarizerSettings = SummarizerSettings()
    cache: CacheSettings = CacheSettings()
    store: StoreSettings = StoreSettings()
    safety: SafetySettings = SafetySettings()
    labels: LabelSettings = LabelSettings()
    models: ModelSettings = ModelSettings()
    fetch: FetchSettings = FetchSettings()

    @field_validator("sites")
    @classmethod
    def _named(cls, sites: dict[str, SiteSettings]) -> dict[str, SiteSettings]:
        for name in sites:
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
                raise ValueError(f"the name {name[:60]!r} is not 1 to 40 small letters, digits and hyphens")
        return sites

    @model_validator(mode="after")
    def _agree(self) -> "Settings":
        if self.generator.url and self.generator.timeout_s >= self.cache.hold_s:
            raise ValueError(f"cache.hold_s {self.cache.hold_s:g} must be above generator.timeout_s "
                             f"{self.generator.timeout_s:g}, or a second process paints what the first still waits for")
        waiting = max((site.review.timeout_hours for site in self.sites.values()), default=0)
        if waiting >= self.retention.pictures_days * 24:
            raise ValueError(f"retention.pictures_days {self.retention.pictures_days:g} must be more than the {waiting:g} hours "
                             f"that a review waits, or its pictures are deleted meanwhile")
        return self


def load_settings(folder: Path | None = None) -> Settings:
    """Settings from the environment over the YAML file (FENGMIAN_SETTINGS_FILE, or fengmian.yaml in `folder`).

    Raises SettingsError naming the setting, its value unless that may be a secret, and the rule.
    """
    file = settings_file(folder)
    if FILE_VARIABLE in os.environ and not file.is_file():
        raise SettingsError(f"{FILE_VARIABLE}: {file} is not a file")
    unknown = [variable.removeprefix(PREFIX).lower() for variable in os.environ
               if variable.startswith(PREFIX) and variable != FILE_VARIABLE
               and variable.removeprefix(PREFIX).lower().partition("__")[0] not in Settings.model_fields]
    if unknown:
        raise SettingsError(_unknown(unknown[0].replace("__", ".")))
    try:
        return _with_file(file)()
    except ValidationError as exc:
        raise SettingsError("; ".join(_explain(error) for error in exc.errors(include_url=False))) from None
    except SourceError as exc:
        raise SettingsError(_broken_list() or str(exc)) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise SettingsError(f"{file}: not readable as YAML settings: {' '.join(str(exc).split())}") from None
    except (ValueError, TypeError, AttributeError):  # what becomes of YAML that is no mapping
        raise SettingsError(f"{file}: not readable as YAML settings: it must hold lines `name: value`") from None


def settings_file(folder: Path | None = None) -> Path:
    """The YAML file that is read, whether or not it is there."""
    named = os.environ.get(FILE_VARIABLE)
    return Path(named) if named else (folder or Path.cwd()) / FILE_NAME


def _with_file(file: Path) -> type[Settings]:
    class FileSettings(Settings):
        model_config = SettingsConfigDict(yaml_file=file)
    return FileSettings


def _explain(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return _unknown(name)
    value = error.get("input")
    told = (
        f" {value!r}" if isinstance(value, str | int | float) and "@" not in str(value) and not _is_secret(name) else ""
    )
    return f"setting {name or 'file'}{told}: {error['msg'].removeprefix('Value error, ')}"


def _broken_list() -> str:
    """What is wrong with the first variable that should hold a list and does not."""
    for section, field in Settings.model_fields.items():
        for leaf, inner in getattr(field.annotation, "model_fields", {}).items():
            value = os.environ.get(f"{PREFIX}{section}__{leaf}".upper())
            if value and get_origin(inner.annotation) is tuple:
                try:
                    json.loads(value)
                except ValueError:
                    return f"setting {section}.{leaf} {value!r}: a list must be JSON, such as [\"first\", \"second\"]"
    return ""


def _is_secret(name: str) -> bool:
    section, _, leaf = name.partition(".")
    fields = (
        getattr(Settings.model_fields[section].annotation, "model_fields", {})
        if section in Settings.model_fields
        else {}
    )
    return leaf not in fields or fields[leaf].annotation is SecretStr


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, _all_names(), n=1, cutoff=0.4)
    return f"setting {name} is unknown" + (f"; did you mean {near[0]}?" if near else "")


def _all_names() -> list[str]:
    names = []
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        names += [name, *(f"{name}.{leaf}" for leaf in inner or ())]
    return names
