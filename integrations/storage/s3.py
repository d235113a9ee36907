"""S3ImageStore: pictures in a bucket of any S3 service (AWS, Ceph RadosGW, Cloudflare R2, MinIO, Aliyun OSS)."""

import base64
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

from integrations.errors import Refused, Unavailable
from integrations.ports import ImageStore
from integrations.storage.naming import check_base_url, check_name, check_put, holds, is_name, public_address

logger = logging.getLogger(__name__)

# A name never gets other bytes, so whoever has the file may keep it for good.
CACHE_CONTROL = "public, max-age=31536000, immutable"
BROKEN_LINES = (ConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError)
TRY_AGAIN = {"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "RequestLimitExceeded"}


@dataclass(frozen=True, kw_only=True)
class S3Account:
    """Where the bucket is and who we are there.

    addressing: "path" for servers without wildcard DNS (RadosGW, MinIO), "virtual" for Aliyun OSS.
    create_only: the header by which the service never overwrites. OSS answers 501 to If-None-Match, and Tencent COS
    has its own spelling too; their documents say so, but neither was tried here.
    """

    endpoint_url: str
    region: str
    key: str
    secret: str = field(repr=False)
    timeout_s: float = 10.0
    addressing: Literal["auto", "path", "virtual"] = "auto"
    create_only: Literal["If-None-Match", "x-oss-forbid-overwrite", "x-cos-forbid-overwrite"] = "If-None-Match"


def make_client(account: S3Account) -> Any:
    """A boto3 client that gives up after `timeout_s` and never retries. Raises ValueError for a bad endpoint URL."""
    client = boto3.client(
        "s3",
        endpoint_url=account.endpoint_url,
        region_name=account.region,
        aws_access_key_id=account.key,
        aws_secret_access_key=account.secret,
        config=Config(
            signature_version="s3v4",
            connect_timeout=account.timeout_s,
            read_timeout=account.timeout_s,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": account.addressing},
            # The CRC trailers boto3 adds by itself since 1.36 are refused by RadosGW 16, OSS and others.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    if account.create_only != "If-None-Match":
        client.meta.events.register("before-sign.s3.PutObject", _spell_create_only(account.create_only))
    return client


class S3ImageStore(ImageStore):
    """client: as made by make_client. base_url: what readers see for the bucket. prefix: put before every name."""

    def __init__(self, client: Any, bucket: str, base_url: str, prefix: str = "") -> None:
        check_base_url(base_url)
        self._client = client
        self._bucket = bucket
        self._base_url = base_url
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def put(self, name: str, data: bytes, content_type: str) -> str:
        """Store `data` once and return its public address; only an object that is damaged is ever replaced."""
        check_put(name, data, content_type)
        key = self._prefix + name
        upload = {
            "Bucket": self._bucket,
            "Key": key,
            "Body": data,
            "ContentType": content_type,
            "CacheControl": CACHE_CONTROL,
            "ContentMD5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
        }
        with self._translated(f"PUT {key}"):
            try:
                self._client.put_object(**upload, IfNoneMatch="*")
            except ClientError as exc:
                if _status(exc) not in (409, 412):
                    raise
                if not holds(name, self._read_there(key)):
                    logger.warning("s3: %s/%s was damaged and is stored anew", self._bucket, key)
                    self._client.put_object(**upload)
        return self.address(name)

    def address(self, name: str) -> str:
        """The public address."""
        return public_address(self._base_url, self._prefix + name)

    def get(self, name: str) -> bytes | None:
        """The bytes stored under `name`; None if there are none, or damaged ones."""
        check_name(name)
        key = self._prefix + name
        with self._translated(f"GET {key}"):
            try:
                data = bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())
            except ClientError as exc:
                if _code(exc) == "NoSuchKey":
                    return None
                raise
        if holds(name, data):
            return data
        logger.warning("s3: %s/%s holds other bytes than its name says and counts as missing", self._bucket, key)
        return None

    def list_names(self, older_than: float) -> Iterator[str]:
        """The pictures stored before that moment, in seconds since the epoch. Read in pages of a thousand."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        with self._translated(f"LIST {self._prefix}*"):
            for page in pages:
                for entry in page.get("Contents", []):
                    name = entry["Key"].removeprefix(self._prefix)
                    if is_name(name) and entry["LastModified"].timestamp() < older_than:
                        yield name

    def delete(self, name: str) -> None:
        """Take the object away, if it is there."""
        check_name(name)
        with self._translated(f"DELETE {self._prefix}{name}"):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    def _read_there(self, key: str) -> bytes:
        """What lies under `key` and kept us from storing."""
        try:
            return bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())
        except ClientError as exc:
            if _status(exc) == 404:  # 409 also means another upload of the name is on its way
                raise Unavailable(f"s3: PUT {self._bucket}/{key}: another upload of it is under way") from exc
            raise

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Their errors as ours: what may pass by itself is Unavailable, the rest Refused."""
        where = f"s3: {what} in {self._bucket}"
        try:
            yield
        except ClientError as exc:
            passing = _status(exc) >= 500 or _status(exc) == 429 or _code(exc) in TRY_AGAIN
            reason = exc.response.get("Error", {}).get("Message") or "no message"
            error = Unavailable if passing and _status(exc) != 501 else Refused
            raise error(f"{where}: {_status(exc)} {_code(exc)}: {reason}") from exc
        except BROKEN_LINES as exc:
            raise Unavailable(f"{where}: {exc}") from exc
        except BotoCoreError as exc:
            raise Refused(f"{where}: {exc}") from exc


def _spell_create_only(header: str) -> Callable[..., None]:
    def spell(request: Any, **_: Any) -> None:
        if "If-None-Match" in request.headers:
            del request.headers["If-None-Match"]
            request.headers[header] = "true"

    return spell


def _status(exc: ClientError) -> int:
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))
