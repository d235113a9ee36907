"""Fresh buckets on the real S3 server."""

import uuid
from dataclasses import dataclass
from typing import Any

from integrations.storage.s3 import S3Account, S3ImageStore, make_client


def account_of(gateway, **changes) -> S3Account:
    ours = {"endpoint_url": gateway.endpoint_url, "region": gateway.region, "key": gateway.key}
    return S3Account(**{**ours, "secret": gateway.secret, "addressing": "path", **changes})


@dataclass
class Bucket:
    name: str
    client: Any
    store: S3ImageStore


def make_bucket(gateway, prefix: str = "covers") -> Bucket:
    client, name = make_client(account_of(gateway)), f"b-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    return Bucket(name, client, S3ImageStore(client, name, f"{gateway.endpoint_url}/{name}", prefix))
