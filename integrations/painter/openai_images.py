"""OpenAIImagesGenerator: paints on another machine that speaks OpenAI's images shape: `fengmian serve`, vLLM-Omni, SGLang, or a
hosted service.
"""

import base64
import binascii
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any, Literal

import httpx
from PIL import Image, ImageOps

from generator.request import CoverImage, CoverRequest, RedoRequest
from integrations.errors import Refused, Unavailable
from integrations.pictures import MAX_FILE_BYTES, decode, encode
from integrations.ports import ImageGenerator

PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers that another try may change. 500 too: a replica that is killed answers so for its requests."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
TOGETHER = 4
"""Requests of generate_many under way at once, so that the service can paint them together."""
CONNECT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class PaintingService:
    """Where, and what to ask for. url: up to and without /v1. model: "" for the one it has loaded. timeout_s: for one picture,
    waiting for a place in the queue and every further try included. dialect "openai": only fields that OpenAI itself knows are
    sent, so no seed. sizes: the only ones it paints; pictures are cut from the nearest. Empty: any.
    """

    url: str
    model: str = ""
    token: str = ""
    timeout_s: float = 100
    dialect: Literal["open", "openai"] = "open"
    sizes: tuple[tuple[int, int], ...] = ()


class OpenAIImagesGenerator(ImageGenerator):
    """One service, over a pool of connections. fetch: gets the picture of an answer that names an address."""

    def __init__(self, service: PaintingService, fetch: Callable[[str], bytes]) -> None:
        """Raises ValueError for an address that is none, or that would carry the token unencrypted into the world."""
        self._service, self._fetch = service, fetch
        url = httpx.URL(service.url.rstrip("/").removesuffix("/v1"))
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"generator.url {service.url!r} is not an http or https address")
        headers = {"Authorization": f"Bearer {service.token}"} if service.token else {}
        self._client = httpx.Client(base_url=url, headers=headers, trust_env=False, follow_redirects=False,
                                    timeout=httpx.Timeout(service.timeout_s, connect=CONNECT_S),
                                    limits=httpx.Limits(max_connections=16))

    @cached_property
    def _model(self) -> dict[str, Any]:
        """The entry of /v1/models that is meant. Raises Unavailable, Refused."""
        found = self._ask("GET", "/v1/models", self._until()).get("data")
        models = [model for model in found if isinstance(model, dict) and isinstance(model.get("id"), str)] \
            if isinstance(found, list) else []
        wanted = self._service.model
        for model in models:
            if model["id"] == wanted or model["id"].partition("@")[0] == wanted or (not wanted and len(models) == 1):
                return model
        names = ", ".join(model["id"] for model in models[:20]) or "none"
        raise Refused(f"generator.model {wanted!r} is not what {self._where} has; it has: {names}")

    @property
    def _where(self) -> str:
        return f"{self._client.base_url.host}:{self._client.base_url.port or self._client.base_url.scheme}"

    @property
    def model(self) -> str:
        """What the service calls the model. Raises Unavailable, Refused."""
        return str(self._model["id"])

    @property
    def checkpoint(self) -> str:
        """Of our own service, name and revision of its weights; of a foreign one, the model and where it is."""
        if self._model.get("owned_by") == "fengmian":
            return self.model
        sizes = "+sizes:" + ",".join(f"{width}x{height}" for width, height in self._service.sizes) if self._service.sizes else ""
        return f"{self.model} at {self._where}{sizes}"

    def generate(self, request: CoverRequest, progress: Callable[[int, int], None] | None = None) -> CoverImage:
        """The picture for `request`. Tries again what may pass, within the time for one picture; progress hears the end.

        Raises Unavailable, Refused.
        """
        width, height = self._size(request)
        body = self._body(request, width, height)
        answer = self._ask("POST", "/v1/images/generations", self._until(), request.fingerprint, json=body)
        picture = self._checked(answer, request.checkpoint, (width, height))
        if progress is not None:
            progress(request.steps, request.steps)
        return picture if not self._service.sizes else _cut(picture, request.width, request.height)

    def redo(self, request: RedoRequest, picture: CoverImage) -> CoverImage:
        """`picture` with a region painted anew; outside of it, its very pixels, whatever the service made of them."""
        mask = Image.new("RGBA", (picture.width, picture.height), (0, 0, 0, 255))
        left, top, width, height = request.region
        mask.paste((0, 0, 0, 0), (left, top, left + width, top + height))
        body = self._body(request, picture.width, picture.height)
        answer = self._ask("POST", "/v1/images/edits", self._until(), request.fingerprint,
                           data={name: str(value) for name, value in body.items()},
                           files={"image": ("image.png", encode(picture, "png")), "mask": ("mask.png", _png(mask))})
        redone = _image(self._checked(answer, request.checkpoint, (picture.width, picture.height)))
        return _cover(Image.composite(_image(picture), redone, mask.getchannel("A")))

    def _until(self) -> float:
        return time.monotonic() + self._service.timeout_s

    def _checked(self, answer: dict[str, Any], checkpoint: str, size: tuple[int, int]) -> CoverImage:
        """The picture of an answer, if the weights that were meant painted it in the size that was meant."""
        painted_by = answer.get("model", self.model)
        if self._model.get("owned_by") == "fengmian" and painted_by != checkpoint:
            self.__dict__.pop("_model", None)
            raise Unavailable(f"generator: {self._where} painted with {painted_by!r}, not with {checkpoint!r}: "
                              f"its weights were changed meanwhile")
        picture = self._picture(answer)
        if (picture.width, picture.height) != size:
            raise Refused(f"generator: {self._where} painted {picture.width}x{picture.height} px, not {size[0]}x{size[1]}; "
                          f"if it cannot paint every size, name those it can in generator.sizes")
        return picture

    def generate_many(self, requests: Sequence[CoverRequest],
                      progress: Callable[[int, int], None] | None = None) -> Iterator[CoverImage]:
        """Their pictures in order; some are asked for at once."""
        with ThreadPoolExecutor(TOGETHER) as pool:
            yield from pool.map(lambda request: self.generate(request, progress), requests)

    def _size(self, request: CoverRequest) -> tuple[int, int]:
        """What to ask for: the size itself, or of those it paints the one of the nearest shape."""
        if not self._service.sizes:
            return request.width, request.height
        shape = math.log(request.width / request.height)
        return min(self._service.sizes, key=lambda size: (round(abs(math.log(size[0] / size[1]) - shape), 3), -size[0]))

    def _body(self, request: CoverRequest | RedoRequest, width: int, height: int) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "prompt": request.prompt, "n": 1, "size": f"{width}x{height}"}
        if self._service.dialect == "openai":
            return body
        return {**body, "response_format": "b64_json", "negative_prompt": request.negative, "seed": request.seed,
                "num_inference_steps": request.steps, "true_cfg_scale": request.guidance}

    def _picture(self, answer: dict[str, Any]) -> CoverImage:
        try:
            first = answer["data"][0]
            data = base64.b64decode(first["b64_json"], validate=True) if first.get("b64_json") else self._fetch(str(first["url"]))
        except (KeyError, IndexError, TypeError, AttributeError, binascii.Error) as exc:
            raise Refused(f"generator: {self._where} answered without a picture in data[0]") from exc
        return decode(data, f"generator: the picture of {self._where}")

    def _ask(self, method: str, path: str, until: float, key: str = "", **body: Any) -> dict[str, Any]:
        """The JSON answer; what may pass is tried again until then. Raises Unavailable, Refused."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return self._ask_once(method, path, until, key, **body)
            except Unavailable as exc:
                asked_s = getattr(exc, "retry_after_s", 0.0)
                pause_s = max(wait_s * random.uniform(0.75, 1.25), asked_s)
                if time.monotonic() + pause_s >= until:
                    raise
                time.sleep(pause_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _ask_once(self, method: str, path: str, until: float, key: str, **body: Any) -> dict[str, Any]:
        left_s = max(until - time.monotonic(), 0.1)
        try:
            with self._client.stream(method, path, **body, headers={"Idempotency-Key": key} if key else {},
                                     timeout=httpx.Timeout(left_s, connect=min(CONNECT_S, left_s))) as response:
                data = _read(response, until)
        except httpx.HTTPError as exc:
            raise Unavailable(f"generator: {self._where} {path}: {str(exc) or type(exc).__name__}") from exc
        if response.status_code in PASSING:
            raise _Passing(f"generator: {self._where} {path} answered {response.status_code}: {_message(response, data)}",
                           _retry_after(response))
        if response.status_code != 200:
            raise Refused(f"generator: {self._where} {path} answered {response.status_code}: {_message(response, data)}")
        try:
            answer = json.loads(data)
        except ValueError as exc:
            raise Refused(f"generator: {self._where} {path} answered with something else than JSON") from exc
        if not isinstance(answer, dict):
            raise Refused(f"generator: {self._where} {path} answered with JSON that is no object")
        return answer


class _Passing(Unavailable):
    """The other side said when to come again."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def _read(response: httpx.Response, until: float) -> bytes:
    """The body, as long as it is no larger than a picture can be and comes in time."""
    pieces, size, most = [], 0, MAX_FILE_BYTES * 4 // 3 + 65_536
    for piece in response.iter_bytes():
        size += len(piece)
        if size > most:
            raise Refused(f"generator: the answer has more than {most} bytes")
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the answer came too slowly")
        pieces.append(piece)
    return b"".join(pieces)


def _message(response: httpx.Response, data: bytes) -> str:
    try:
        error = json.loads(data)["error"]
        return str(error["message"] if isinstance(error, dict) else error)[:300]
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0.0


def _cut(picture: CoverImage, width: int, height: int) -> CoverImage:
    """The middle of a picture, resampled to this size."""
    return _cover(ImageOps.fit(_image(picture), (width, height), Image.Resampling.LANCZOS))


def _image(picture: CoverImage) -> Image.Image:
    return Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)


def _cover(image: Image.Image) -> CoverImage:
    return CoverImage(width=image.width, height=image.height, rgb=image.tobytes())


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
