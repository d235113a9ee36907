"""Names of stored pictures: made from the fingerprint and the file's own bytes, so one name means one content."""

import hashlib
import re
from typing import Literal

from integrations.errors import Refused

CONTENT_TYPES = {"png": "image/png", "webp": "image/webp"}
NAME = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})-[1-9][0-9]{0,4}x[1-9][0-9]{0,4}-([0-9a-f]{12})\.(png|webp)")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
RULE = "<2 hex>/<64 hex>-<width>x<height>-<12 hex>.png or .webp"


def object_name(fingerprint: str, width: int, height: int, data: bytes, format: Literal["png", "webp"]) -> str:
    """The name under which `data`, one file of the cover `fingerprint`, is stored. Raises ValueError.

    fingerprint: 64 hex digits. width, height: px.
    """
    if not FINGERPRINT.fullmatch(fingerprint):
        raise ValueError(f"fingerprint: {fingerprint!r} is not 64 lower-case hex digits")
    name = f"{fingerprint[:2]}/{fingerprint}-{width}x{height}-{_digest(data)}.{format}"
    if not NAME.fullmatch(name):
        raise ValueError(f"name: {name!r} is not {RULE}")
    return name


def check_name(name: str) -> None:
    """Raise Refused unless `name` is one that object_name makes: no other can be trusted as a path or key."""
    if not is_name(name):
        raise Refused(f"storage: the name {name!r} is not {RULE}")


def is_name(name: str) -> bool:
    """Whether object_name makes such names. Anything else in a folder or bucket is not ours."""
    return NAME.fullmatch(name) is not None


def fingerprint_in(name: str) -> str:
    """The fingerprint of the cover that a stored file belongs to. Raises Refused for a name that is not ours."""
    check_name(name)
    return name[3:67]


def check_put(name: str, data: bytes, content_type: str) -> None:
    """Raise Refused unless name, bytes and content type belong together."""
    check_name(name)
    if not holds(name, data):
        raise Refused(f"storage: {name} names other bytes than the {len(data)} given, whose hash is {_digest(data)}")
    expected = CONTENT_TYPES[name.rpartition(".")[2]]
    if content_type != expected:
        raise Refused(f"storage: {name} was given as {content_type!r}; it must be {expected}")


def holds(name: str, data: bytes) -> bool:
    """Whether `data` is what `name` promises. name: one that passed check_name."""
    return name.rpartition(".")[0].endswith(f"-{_digest(data)}")


def public_address(base_url: str, name: str) -> str:
    """Where readers find `name` under `base_url`."""
    return f"{base_url.rstrip('/')}/{name}"


def check_base_url(base_url: str) -> None:
    """Raise ValueError unless `base_url` is a place a web page can point at."""
    if not base_url.startswith(("http://", "https://", "/")):
        raise ValueError(f"storage: base_url is {base_url!r}; it must start with http://, https:// or /")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
