"""Builds every adapter from Settings on first use. The one seam that tests replace; only this file reaches torch."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flows.errors import BadInput, CoverRejected, SettingsError
from flows.painter import LazyPainter, check_torch
from flows.parsing import parse_size
from flows.settings import Settings, load_settings
from flows.site_settings import SITE, SiteSettings
from generator.errors import CheckpointError
from generator.options import LoraFile, ModelOptions
from generator.revision import BUNDLED_FOLDER
from integrations.http import FetchLimits, GuardedClient
from integrations.models.catalogue import Kind, catalogue
from integrations.models.hub import ModelHub
from integrations.models.licence import Provenance, read_file_provenance, read_provenance
from integrations.models.shelf import ModelShelf
from integrations.ports import CoverCache, ImageGenerator, ImageStore, Ledger, PictureScreen, PostSource, Summarizer, WordScreen

if TYPE_CHECKING:
    from flows.cover_backlog import Outcome
    from integrations.labels.labeller import PictureLabeller
    from integrations.painter.openai_images import OpenAIImagesGenerator

PICTURE_TYPES = frozenset(("image/png", "image/webp", "image/jpeg"))


@contextmanager
def _building(section: str) -> Iterator[None]:
    """An adapter that refuses its values names the section of the settings they came from."""
    try:
        yield
    except ValueError as exc:
        raise SettingsError(f"settings, section {section}: {exc}") from exc


@dataclass
class Ports:
    """Every adapter of one site.

    Where somebody watches, progress(step, steps) hears about painting and tell(outcome) about each post of a backlog.
    fence() raises Superseded where this process was taken for dead, and another may do its work by now.
    """

    settings: Settings
    progress: Callable[[int, int], None] | None = None
    tell: "Callable[[Outcome], None] | None" = None
    fence: Callable[[], None] | None = None
    _opened: dict[str, PostSource] = field(default_factory=dict)

    @cached_property
    def client(self) -> GuardedClient:
        """The one way to fetch from the web."""
        fetch = self.settings.fetch
        with _building("fetch"):
            return GuardedClient(
                FetchLimits(
                    deadline_s=fetch.deadline_s,
                    max_bytes=fetch.max_bytes,
                    ports=frozenset(fetch.ports),
                    networks=fetch.allow_networks,
                )
            )

    def check_current(self) -> None:
        """Raise Superseded where this process may do no more. Asked where what it would do is seen outside."""
        if self.fence:
            self.fence()

    def open_source(self, source: str) -> PostSource:
        """The posts behind a file, folder, page or feed; opened once. Raises IntegrationError, BadInput."""
        if source not in self._opened:
            self._opened[source] = self._open(source)
        return self._opened[source]

    def _open(self, source: str) -> PostSource:
        if source.startswith(SITE):
            return self._open_site(self.site(source))
        if "://" in source:
            from integrations.cms.web import open_web
            return open_web(source, self.client)
        from integrations.cms.markdown_posts import MarkdownPosts
        if not source.strip():
            raise BadInput("source: it is empty; give a file, a folder or a web address")
        return MarkdownPosts(Path(source))

    def site(self, source: str) -> SiteSettings | None:
        """The settings of the site that `source` names; None for a source that is no site. Raises BadInput."""
        name = source.removeprefix(SITE)
        if name == source:
            return None
        if name not in self.settings.sites:
            names = ", ".join(self.settings.sites) or "none"
            raise BadInput(f"source: {source[:60]!r} is not one of the configured sites: {names}")
        return self.settings.sites[name]

    @staticmethod
    def _open_site(site: SiteSettings | None) -> PostSource:
        assert site is not None
        if site.kind == "wordpress":
            from integrations.cms.wordpress import WordPressPosts
            from integrations.cms.wordpress_client import WordPressClient
            with _building("sites"):
                client = WordPressClient(site.url, site.user, site.password.get_secret_value(), allow_http=site.allow_http)
            return WordPressPosts(client, site.statuses or ("publish",), figure=site.figure)
        if site.kind == "ghost":
            from integrations.cms.ghost import GhostPosts
            from integrations.cms.ghost_client import GhostClient
            with _building("sites"):
                keyed = GhostClient(site.url, site.admin_key.get_secret_value(), allow_http=site.allow_http)
                return GhostPosts(keyed, site.statuses or ("published",), social=site.social)
        assert site.folder is not None
        if site.kind == "git":
            from integrations.cms.git_posts import GitPosts, Repository
            with _building("sites"):
                return GitPosts(Repository(folder=site.folder, **site.git.model_dump()))
        from integrations.cms.markdown_posts import MarkdownPosts
        return MarkdownPosts(site.folder)

    @cached_property
    def ledger(self) -> Ledger:
        """What happened to every post: SQLite in the state folder, or PostgreSQL."""
        from integrations.ledger.sql import SqlLedger
        chosen = self.settings.database_url.get_secret_value()
        with _building("database_url"):
            return SqlLedger(chosen or f"sqlite:///{(self.settings.state_folder / 'ledger.sqlite').absolute()}")

    @cached_property
    def models(self) -> ModelShelf:
        """The folder of pulled models."""
        return ModelShelf(self.settings.models.folder or self.settings.state_folder / "models")

    @cached_property
    def hub(self) -> ModelHub:
        """Where models are pulled from."""
        chosen, token = self.settings.models, self.settings.models.token.get_secret_value()
        if chosen.source == "modelscope":
            from integrations.models.modelscope import ModelScopeHub
            return ModelScopeHub(chosen.endpoint, token, chosen.timeout_s)
        from integrations.models.huggingface import HuggingFaceHub
        return HuggingFaceHub(chosen.endpoint, token, chosen.timeout_s)

    def _pulled(self, setting: str, named: str, kind: Kind) -> str:
        """The folder of the pulled model that a setting names; anything else as it stands. Raises SettingsError, Refused."""
        if "/" in named or os.sep in named or os.path.exists(named):
            return named
        record = self.models.find(named)
        if record and record.kind != kind:
            raise SettingsError(f"setting {setting} {named!r}: it is a {record.kind}, not a {kind}")
        if record and record.whole:
            return str(self.models.folder / named)
        if record or named in catalogue():
            raise SettingsError(f"setting {setting} {named!r}: not pulled{' to the end' if record else ''}: "
                                f"run `fengmian models pull {named}`")
        return named

    @cached_property
    def checkpoint_folder(self) -> Path | None:
        """The configured weights, pulled by name or in a folder; None for the bundled ones. Raises SettingsError."""
        chosen = self.settings.generator.checkpoint
        return None if chosen is None else Path(self._pulled("generator.checkpoint", str(chosen), "checkpoint"))

    @staticmethod
    def _hush_loading() -> None:
        """No bars about loaded weights between our lines; read by huggingface_hub as it is imported."""
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

    @cached_property
    def summarizer(self) -> Summarizer:
        """The extractive one, or T5 where one is configured."""
        chosen = self.settings.summarizer
        if chosen.kind == "t5":
            check_torch("summarizer.kind t5", ", or set it to extractive")
            self._hush_loading()
            from integrations.summarizer.t5 import T5Settings, T5Summarizer
            return T5Summarizer(
                T5Settings(
                    model=self._pulled("summarizer.model", chosen.model, "summarizer"),
                    asking=chosen.asking,
                    question=chosen.question,
                    revision=chosen.revision or None,
                    local_files_only=chosen.local_files_only,
                    safetensors_only=chosen.safetensors_only,
                )
            )
        from integrations.summarizer.extractive import ExtractiveSummarizer
        return ExtractiveSummarizer()

    @cached_property
    def words(self) -> WordScreen:
        """Our own word list and the site's."""
        from integrations.safety.word_list import bundled_lists, load_words
        from integrations.safety.words import WordListScreen
        return WordListScreen(load_words([*bundled_lists(), *self.settings.safety.word_lists]))

    @cached_property
    def pictures(self) -> PictureScreen | None:
        """The picture screen, or None where none is configured."""
        safety = self.settings.safety
        if not safety.nsfw_model:
            return None
        check_torch("safety.nsfw_model")
        self._hush_loading()
        from integrations.safety.nsfw import PictureRules, TransformersPictureScreen
        with _building("safety"):
            rules = PictureRules(review_at=safety.nsfw_review_at, block_at=safety.nsfw_block_at)
        model = self._pulled("safety.nsfw_model", safety.nsfw_model, "picture_screen")
        return TransformersPictureScreen(model, rules, revision=safety.nsfw_revision or None,
                                         weights_sha256=safety.nsfw_sha256, local_files_only=safety.local_files_only)

    @cached_property
    def labeller(self) -> "PictureLabeller":
        """Labels pictures as the settings say."""
        from flows.label_wiring import build_labeller
        return build_labeller(self.settings.labels)

    @cached_property
    def generator(self) -> ImageGenerator:
        """The embedded generator with the bundled or the configured weights, or the one behind generator.url."""
        return self.distant or self.painter

    @cached_property
    def distant(self) -> "OpenAIImagesGenerator | None":
        """The generator behind generator.url, None where this process paints. Raises SettingsError."""
        chosen = self.settings.generator
        if not chosen.url:
            return None
        from integrations.painter.openai_images import OpenAIImagesGenerator, PaintingService
        with _building("generator"):
            service = PaintingService(
                url=chosen.url,
                model=chosen.model,
                token=chosen.token.get_secret_value(),
                timeout_s=chosen.timeout_s,
                dialect=chosen.dialect,
                sizes=tuple(parse_size(size) for size in chosen.sizes),
            )
            return OpenAIImagesGenerator(service, lambda url: self.client.get(url, PICTURE_TYPES).body)

    @cached_property
    def painter(self) -> LazyPainter:
        """The same, with all that it can do beside covers: edits, batches, LoRAs."""
        chosen = self.settings.generator
        with _building("generator"):
            options = ModelOptions(
                device=chosen.device,
                text_device=chosen.text_device,
                precision=chosen.dtype,
                offload=chosen.offload,
                loras=self.loras,
                switch_loras=chosen.switch_loras,
                shift=chosen.shift,
                step_cache=chosen.step_cache,
                compile=chosen.compile,
                max_batch=chosen.max_batch,
                tile_px=chosen.tile_px,
                prompt_cache=self.settings.state_folder / "prompts" if chosen.prompt_cache else None,
            )
        return LazyPainter(self.checkpoint_folder or BUNDLED_FOLDER, options)

    @cached_property
    def loras(self) -> tuple[LoraFile, ...]:
        """The configured LoRAs. Raises SettingsError."""
        return tuple(LoraFile(file=self._lora_file(each.file), weight=each.weight) for each in self.settings.generator.loras)

    def _lora_file(self, named: Path) -> Path:
        """The file itself, or the one file of a pulled LoRA. Raises SettingsError."""
        place = Path(self._pulled("generator.loras", str(named), "lora"))
        if not place.is_dir():
            return place
        files = sorted(place.rglob("*.safetensors"))
        if len(files) != 1:
            raise SettingsError(f"setting generator.loras {str(named)!r}: its folder holds {len(files)} LoRA files; name one")
        return files[0]

    @cached_property
    def cache(self) -> CoverCache:
        """SQLite in the state folder, or Redis."""
        chosen = self.settings.cache
        if chosen.kind == "redis":
            from integrations.cache.redis import RedisCoverCache, make_client
            with _building("cache"):
                return RedisCoverCache(
                    make_client(chosen.redis_url.get_secret_value(), chosen.timeout_s), chosen.prefix
                )
        from integrations.cache.sqlite import SqliteCoverCache
        return SqliteCoverCache(self.settings.state_folder / "covers.sqlite")

    @cached_property
    def store(self) -> ImageStore:
        """A folder, or S3."""
        chosen = self.settings.store
        if chosen.kind == "s3":
            from integrations.storage.s3 import S3Account, S3ImageStore, make_client

            account = S3Account(
                endpoint_url=chosen.endpoint_url,
                region=chosen.region,
                key=chosen.access_key.get_secret_value(),
                secret=chosen.secret_key.get_secret_value(),
                timeout_s=chosen.timeout_s,
                addressing=chosen.addressing,
                create_only=chosen.create_only,
            )
            with _building("store"):
                return S3ImageStore(make_client(account), chosen.bucket, chosen.base_url, chosen.prefix)
        from integrations.storage.folder import FolderImageStore
        with _building("store"):
            return FolderImageStore(chosen.folder or self.settings.state_folder / "covers", chosen.base_url or None)

    def check_publishable(self) -> None:
        """Raise CoverRejected where these weights may not publish, by their licence or for want of a picture screen."""
        self.check_licence()
        self.check_screened()

    def check_licence(self) -> str:
        """The licences of the weights and where they are from. Raises CoverRejected unless they or the site let them publish."""
        if self.distant and not self._is_known(self.distant):
            return self._check_distant(self.distant)
        folder = self.checkpoint_folder
        told = ["apache-2.0, ours"] if folder is None else [
            self._check_licence("checkpoint", folder.resolve().name, read_provenance(folder))]
        told += [self._check_licence("LoRA", lora.name, read_file_provenance(lora.file)) for lora in self.loras]
        return "; ".join(told)

    def _check_licence(self, what: str, name: str, found: Provenance) -> str:
        allowed = self.settings.safety.publish_licences
        licence = found.licence.id if found.licence else "no stated licence"
        origin = f", {found.repo} at {found.revision[:12]}" if found.revision else ""
        is_allowed = name in allowed or licence in allowed
        if not is_allowed and not (found.licence and found.licence.commercial):
            raise CoverRejected(
                f"{what} {name!r} may not publish: it has {licence}" + (f" ({found.told_by})" if found.told_by else "")
                + f"; if you may publish what it paints, add {(licence if found.licence else name)!r} to safety.publish_licences")
        told_by = "safety.publish_licences allows it" if is_allowed else found.told_by
        return f"{licence} ({told_by}){origin}"

    def _check_distant(self, distant: "OpenAIImagesGenerator") -> str:
        if distant.model not in self.settings.safety.publish_licences:
            raise CoverRejected(f"model {distant.model!r} at {self.settings.generator.url} may not publish: its licence is not "
                                f"known; if you may publish what it paints, add {distant.model!r} to safety.publish_licences")
        return f"{distant.model} (safety.publish_licences allows it)"

    def _is_known(self, distant: "OpenAIImagesGenerator") -> bool:
        """Whether it paints with the very weights that this process would: the bundled ones, or those configured here too."""
        try:
            return distant.checkpoint == self.painter.checkpoint
        except (SettingsError, CheckpointError):  # configured, but not on this machine
            return False

    def check_screened(self) -> None:
        """Raise CoverRejected where these weights may not publish without a picture screen.

        Only the bundled model, which paints abstract shapes, does without one, unless the site allows another checkpoint
        by name.
        """
        safety = self.settings.safety
        if safety.nsfw_model:
            return
        distant = self.distant if self.distant and not self._is_known(self.distant) else None
        folder = self.checkpoint_folder
        if not distant and folder is None:
            return
        name = distant.model if distant else folder.resolve().name if folder else ""
        if not name or safety.publish_unscreened != name:
            raise CoverRejected(f"checkpoint {name!r} may not publish without a picture screen: set safety.nsfw_model, "
                                f"or safety.publish_unscreened to {name!r}")


_ports: Ports | None = None


def ports() -> Ports:
    """The adapters of this process, built from the settings on first use."""
    global _ports
    if _ports is None:
        _ports = Ports(load_settings())
    return _ports


def use(replacement: Ports | None) -> None:
    """Replace the adapters of this process; None builds them anew from the settings next time."""
    global _ports
    _ports = replacement
