"""Who really sent a message: Standard Webhooks, Ghost and GitHub signatures, checked; Standard Webhooks, made.

Sources: standardwebhooks.com specification 1.0.0; Ghost's webhooks/trigger service; GitHub, "Validating webhook deliveries".
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

from integrations.errors import Refused

TOLERANCE_S = 300
"""How far a message's time may lie from ours."""
_GHOST = re.compile(r"sha256=([0-9a-f]{64}), ?t=([0-9]{10,16})")
_MAX_ID = 256


def check_standard(secrets: Iterable[str], headers: Mapping[str, str], body: bytes, now: float) -> str:
    """The message's id, if one of the secrets signed it and it is not old. Raises Refused."""
    message_id, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or len(message_id) > _MAX_ID or not message_id.isprintable():
        raise Refused(f"signature: webhook-id must have 1 to {_MAX_ID} printable characters")
    _check_moment(moment, 1, now, "webhook-timestamp")
    given = [part[3:] for part in headers.get("webhook-signature", "")[:2000].split(" ") if part.startswith("v1,")]
    signed = f"{message_id}.{moment}.".encode() + body
    expected = [base64.b64encode(_mac(decode_secret(secret), signed)).decode() for secret in secrets]
    _check_any(given, expected, "webhook-signature")
    return message_id


def check_ghost(secrets: Iterable[str], headers: Mapping[str, str], body: bytes, now: float) -> str:
    """An id made of what was signed, for Ghost sends none. Raises Refused."""
    found = _GHOST.fullmatch(headers.get("x-ghost-signature", "")[:200])
    if not found:
        raise Refused("signature: x-ghost-signature must be sha256=HEX, t=MILLISECONDS")
    given, moment = found.groups()
    _check_moment(moment, 1000, now, "t of x-ghost-signature")
    _check_any([given], [_mac(secret.encode(), body + moment.encode()).hex() for secret in secrets], "x-ghost-signature")
    return given


def check_github(secrets: Iterable[str], headers: Mapping[str, str], body: bytes, now: float) -> str:
    """An id made of the body: GitHub signs neither its delivery id nor a time, so a copy under a new id is no new message."""
    given = headers.get("x-hub-signature-256", "")[:200].removeprefix("sha256=")
    _check_any([given], [_mac(secret.encode(), body).hex() for secret in secrets], "x-hub-signature-256")
    return hashlib.sha256(body).hexdigest()


def sign_standard(secret: str, message_id: str, moment: int, body: bytes) -> dict[str, str]:
    """The three headers of a Standard Webhooks message. moment: seconds since the epoch."""
    signature = base64.b64encode(_mac(decode_secret(secret), f"{message_id}.{moment}.".encode() + body)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(moment), "webhook-signature": f"v1,{signature}"}


def derive_secret(pepper: bytes, purpose: str) -> str:
    """A Standard Webhooks secret that need not be kept, for whoever knows the pepper can make it again."""
    return "whsec_" + base64.b64encode(_mac(pepper, purpose.encode())).decode()


def decode_secret(secret: str) -> bytes:
    """The key in whsec_BASE64. Raises ValueError, which does not show it."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 16 <= len(key) <= 128:
        raise ValueError("a Standard Webhooks secret must be whsec_ and 16 to 128 bytes in base64")
    return key


def _check_moment(written: str, per_second: int, now: float, name: str) -> None:
    if not re.fullmatch(r"[0-9]{1,16}", written):
        raise Refused(f"signature: {name} must be a whole number")
    if abs(int(written) / per_second - now) > TOLERANCE_S:
        raise Refused(f"signature: {name} is more than {TOLERANCE_S} s away from now")


def _check_any(given: Iterable[str], expected: Iterable[str], name: str) -> None:
    """In a time that does not tell how much of a signature was right."""
    pairs = [(one.encode("utf-8", "replace"), other.encode()) for one in given for other in expected]
    if not sum(hmac.compare_digest(one, other) for one, other in pairs):  # not any(): every pair is compared
        raise Refused(f"signature: {name} does not fit the message")


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
