"""Content Credentials: signing a finished file by C2PA, and reading what is signed. The extra `c2pa` brings the library.

Source: C2PA technical specification 2.2; certificates as its trust model asks for them.
"""

import hashlib
import json
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from integrations.errors import Refused
from integrations.labels.carriers import Form
from integrations.labels.xmp import TRAINED

OFFLINE: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
LACKING = "labels: c2pa-python is not installed: pip install 'fengmian[c2pa]'"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a file's credentials say. state: "Trusted", "Valid" or "Invalid". faults: the library's codes."""

    state: str
    faults: tuple[str, ...] = ()
    source_types: tuple[str, ...] = ()


class C2paSigner:
    """certificates: PEM, the signer's first, then those up to the root. key: PEM, PKCS#8 (ES256). root: whom verifying trusts.

    Raises Refused where the library is missing or takes neither.
    """

    def __init__(self, certificates: bytes, key: bytes, root: bytes, generator: str) -> None:
        c2pa = _library()
        self._root, self._generator = root, generator
        self.name = hashlib.sha256(certificates).hexdigest()[:12]
        try:
            info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, certificates, key, None)
            c2pa.Signer.from_info(info).close()
        except (c2pa.C2paError, ValueError) as exc:
            raise Refused(f"labels: the certificate and key for C2PA cannot be used: {exc}") from exc
        self._info = info

    def sign(self, data: bytes, form: Form, title: str, *, has_mark: bool, checkpoint: str) -> bytes:
        """The file with its credentials: made by a trained model and, with `has_mark`, words put upon it. Raises Refused."""
        c2pa = _library()
        actions: list[dict[str, Any]] = [{"action": "c2pa.created", "digitalSourceType": TRAINED,
                                          "softwareAgent": {"name": checkpoint}}]
        if has_mark:
            actions.append({"action": "c2pa.edited", "description": "visible label", "softwareAgent": {"name": self._generator}})
        manifest = {"claim_generator_info": [{"name": self._generator}], "title": title, "format": f"image/{form}",
                    "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}]}
        # A thumbnail would be a second picture in the file, and up to a megabyte.
        settings = c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}, **OFFLINE})
        signed = BytesIO()
        try:
            with (c2pa.Context(settings, c2pa.Signer.from_info(self._info)) as context,
                  c2pa.Builder(json.dumps(manifest), context) as builder):
                builder.sign(f"image/{form}", BytesIO(data), signed)
        except c2pa.C2paError as exc:
            raise Refused(f"labels: {title} cannot be signed: {exc}") from exc
        return signed.getvalue()

    def read(self, data: bytes, form: Form) -> Signature | None:
        """The file's credentials as this signer's root sees them."""
        return read_signature(data, form, self._root)


def read_signature(data: bytes, form: Form, root: bytes) -> Signature | None:
    """The file's credentials; None if it has none. root: PEM of whom to trust, or empty for nobody. Raises Refused."""
    c2pa = _library()
    trust = {"trust": {"trust_anchors": root.decode()}} if root else {}
    settings = c2pa.Settings.from_dict({**trust, "verify": {**OFFLINE["verify"], "verify_trust": bool(root)}})
    try:
        with c2pa.Context(settings) as context, c2pa.Reader(f"image/{form}", BytesIO(data), None, context) as reader:
            content, state = json.loads(reader.json()), reader.get_validation_state()
    except c2pa.C2paError.ManifestNotFound:
        return None
    except (c2pa.C2paError, ValueError) as exc:
        return Signature(state="Invalid", faults=(" ".join(str(exc).split())[:200],))
    failures = content.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    manifest = content.get("manifests", {}).get(content.get("active_manifest"), {})
    actions = [action for assertion in manifest.get("assertions", []) if assertion.get("label", "").startswith("c2pa.actions")
               for action in assertion.get("data", {}).get("actions", [])]
    return Signature(state=str(state), faults=tuple(fault["code"] for fault in failures),
                     source_types=tuple(action["digitalSourceType"] for action in actions if "digitalSourceType" in action))


def is_signed(data: bytes) -> bool:
    """Whether the file carries credentials at all, seen without the library: a box of C2PA's, or the chunk that holds it."""
    return b"jumb" in data and b"c2pa" in data


def _library() -> Any:
    try:
        import c2pa
    except ImportError as exc:
        raise Refused(LACKING) from exc
    return c2pa
