"""Bytes to store. Stores look at names and hashes, never into the picture."""

from integrations.storage.naming import object_name

FINGERPRINT = "ab" * 32
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


def a_name(data: bytes = PICTURE, fingerprint: str = FINGERPRINT, format: str = "png") -> str:
    return object_name(fingerprint, 1200, 630, data, format)
