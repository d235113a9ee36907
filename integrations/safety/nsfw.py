"""TransformersPictureScreen: judges a picture with an image classifier from the transformers library, on this machine.

Such models know nudity at best; none of them judges violence, politics, maps or flags.
"""

import hashlib
import math
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from generator.request import CoverImage
from integrations.checkpoints import FAILURES, list_strays
from integrations.errors import IntegrationError, NotFound, Refused
from integrations.ports import Decision, PictureScreen, Verdict

CHECK = "nsfw"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
UNSAFE_LABELS = ("nsfw", "porn", "sexy", "hentai", "nude", "nudity", "explicit", "unsafe")


@dataclass(frozen=True, kw_only=True)
class PictureRules:
    """When a picture needs a person, and when it is out.

    review_at, block_at: the summed probability of the unsafe labels from which on, 0 < review_at <= block_at <= 1.
    unsafe_labels: compared without case; labels a model does not have are ignored.
    """

    review_at: float = 0.5
    block_at: float = 0.85
    unsafe_labels: tuple[str, ...] = UNSAFE_LABELS

    def __post_init__(self) -> None:
        if not 0 < self.review_at <= self.block_at <= 1:
            rule = "0 < review_at <= block_at <= 1"
            raise ValueError(f"nsfw: review_at is {self.review_at} and block_at {self.block_at}; the rule is {rule}")
        if not self.unsafe_labels:
            raise ValueError("nsfw: unsafe_labels is empty; at least one label must count as unsafe")

    def decide(self, unsafe: float) -> Decision:
        """The decision on a picture that is unsafe with this probability."""
        return "block" if unsafe >= self.block_at else "review" if unsafe >= self.review_at else "pass"


DEFAULT_RULES = PictureRules()


@dataclass(frozen=True)
class _Classifier:
    network: Any
    processor: Any
    labels: list[str]
    name: str


class TransformersPictureScreen(PictureScreen):
    """model: a folder with config.json, preprocessor_config.json and safetensors, or a hub id "owner/name".

    revision: commit or tag of a hub id. weights_sha256: if given, other weights are refused. Loads on first use.
    """

    def __init__(
        self,
        model: str,
        rules: PictureRules = DEFAULT_RULES,
        *,
        revision: str | None = None,
        local_files_only: bool = True,
        weights_sha256: str = "",
    ) -> None:
        self._model = model
        self._rules = rules
        self._revision = revision
        self._local_files_only = local_files_only
        self._weights_sha256 = weights_sha256
        self._classifier: _Classifier | None = None
        self._lock = threading.Lock()

    @property
    def policy(self) -> str:
        """The model as named in the settings, its pins, and the bounds. Loads nothing."""
        pins = "".join(f"@{pin}" for pin in (self._revision, self._weights_sha256) if pin)
        return f"{self._model}{pins}; review from {self._rules.review_at:g}, block from {self._rules.block_at:g}"

    def check(self, picture: CoverImage) -> Verdict:
        """The verdict; whatever goes wrong is decision "error" with its reason in `detail`, never a pass."""
        began = time.perf_counter()
        try:
            classifier = self._loaded()
            scores = _scores(classifier, picture)
        except (IntegrationError, *FAILURES) as exc:
            reason = str(exc) if isinstance(exc, IntegrationError) else f"nsfw: {type(exc).__name__}: {exc}"
            return Verdict(check=CHECK, decision="error", model=self._short_name, policy=self.policy,
                           detail=" ".join(reason.split()))
        unsafe = sum(score for label, score in scores.items() if _is_unsafe(label, self._rules))
        return Verdict(
            check=CHECK,
            decision=self._rules.decide(unsafe),
            scores=scores,
            model=classifier.name,
            policy=self.policy,
            milliseconds=(time.perf_counter() - began) * 1000,
            detail=f"unsafe {unsafe:.3f}; review from {self._rules.review_at:g}, block from {self._rules.block_at:g}",
        )

    def load(self) -> None:
        """Load the model now. Raises NotFound, Refused (no safetensors, no unsafe label, other weights than pinned)."""
        try:
            self._loaded()
        except FAILURES as exc:
            raise Refused(f"nsfw: {self._short_name} cannot be loaded: {' '.join(str(exc).split())}") from exc

    @property
    def _short_name(self) -> str:
        return Path(self._model).name if Path(self._model).is_absolute() else self._model

    def _loaded(self) -> _Classifier:
        with self._lock:
            if self._classifier is None:
                self._classifier = self._load()
            return self._classifier

    def _load(self) -> _Classifier:
        folder = self._folder()
        digest = _digest(folder, self._short_name)
        if self._weights_sha256 not in ("", digest):
            raise Refused(f"nsfw: {self._short_name} has weights {digest}; {self._weights_sha256} are pinned")
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        options = {"local_files_only": True, "trust_remote_code": False}
        # Missing tensors are filled with random numbers; the report names them and the misshapen ones, and we refuse.
        network, report = AutoModelForImageClassification.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
        if strays := list_strays(report):
            raise Refused(f"nsfw: {self._short_name} lacks {len(strays)} tensors of its kind, {strays[0]} for one")
        processor = AutoImageProcessor.from_pretrained(folder, **options)
        labels = [str(network.config.id2label[index]) for index in range(network.config.num_labels)]
        self._check_labels(labels, network.config.problem_type)
        return _Classifier(network.eval(), processor, labels, f"{self._short_name}@sha256:{digest}")

    def _check_labels(self, labels: list[str], problem_type: str | None) -> None:
        if not any(_is_unsafe(label, self._rules) for label in labels):
            known = ", ".join(self._rules.unsafe_labels)
            raise Refused(f"nsfw: {self._short_name} has the labels {', '.join(labels)}; none is unsafe ({known})")
        if problem_type == "multi_label_classification":
            raise Refused(f"nsfw: {self._short_name} is a multi-label model; its labels must exclude one another")

    def _folder(self) -> Path:
        """Where the files are. A hub id is looked up among what was downloaded before, unless downloads are allowed."""
        folder = Path(self._model)
        if folder.is_dir():
            return folder
        if folder.is_absolute() or not HUB_ID.fullmatch(self._model):
            raise NotFound(f"nsfw: {self._model}: there is no such folder")
        from huggingface_hub import snapshot_download

        return Path(
            snapshot_download(
                self._model,
                revision=self._revision,
                local_files_only=self._local_files_only,
                allow_patterns=["*.json", "*.safetensors"],
            )
        )


def _digest(folder: Path, name: str) -> str:
    """SHA-256 over the safetensors files of `folder`, in the order of their names."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise Refused(f"nsfw: {name} has no safetensors files; other formats can run code and are not loaded")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while part := file.read(2**20):
                digest.update(part)
    return digest.hexdigest()


def _scores(classifier: _Classifier, picture: CoverImage) -> dict[str, float]:
    """The probability of each label. Raises ValueError if they are no probabilities."""
    import torch

    image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
    with torch.inference_mode():
        inputs = classifier.processor(images=image, return_tensors="pt")
        logits = classifier.network(**inputs).logits[0].float()  # [labels]
    scores = dict(zip(classifier.labels, logits.softmax(-1).tolist(), strict=True))
    if not all(math.isfinite(score) for score in scores.values()):
        raise ValueError("the model's scores are not numbers; its weights are damaged")
    return scores


def _is_unsafe(label: str, rules: PictureRules) -> bool:
    return label.casefold() in {known.casefold() for known in rules.unsafe_labels}
