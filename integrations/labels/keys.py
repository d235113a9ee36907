"""Keys for C2PA: a root of one's own, and a signer that it vouches for. Whoever is to trust the pictures is given the root.

Source: C2PA technical specification 2.2, trust model: ECDSA P-256, digitalSignature, and a purpose that is named.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from integrations.errors import Refused, Unavailable

ROOT_DAYS, SIGNER_DAYS = 3650, 365
CERTIFICATE, KEY, ROOT, ROOT_KEY = "signer.crt", "signer.key", "root.crt", "root.key"
MAX_NAME_CHARACTERS = 60


def make_keys(folder: Path, owner: str) -> list[Path]:
    """New keys in `folder`: the signer's certificates and key, the root and its key. Nothing is overwritten.

    owner: whom the certificates name. Raises Refused, Unavailable.
    """
    if not 1 <= len(owner.strip()) <= MAX_NAME_CHARACTERS or not owner.isprintable():
        raise Refused(f"labels: the name {owner[:80]!r} must have 1 to {MAX_NAME_CHARACTERS} printable characters")
    if there := [name for name in (CERTIFICATE, KEY, ROOT, ROOT_KEY) if (folder / name).exists()]:
        raise Refused(f"labels: {folder / there[0]} exists; give another folder, or take it away first")
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certify_root(root_key, owner.strip())
    signer = _certify_signer(key, owner.strip(), root, root_key)
    files = {CERTIFICATE: _pem(signer) + _pem(root), KEY: _pem_key(key), ROOT: _pem(root), ROOT_KEY: _pem_key(root_key)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            mode = 0o600 if name.endswith(".key") else 0o644
            with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
    except OSError as exc:
        raise Unavailable(f"labels: {folder} takes no keys: {exc.strerror}") from exc
    return [folder / name for name in files]


def expiry(certificates: bytes) -> datetime:
    """When the first certificate of a PEM file ends. Raises Refused."""
    try:
        return x509.load_pem_x509_certificates(certificates)[0].not_valid_after_utc
    except (ValueError, IndexError) as exc:
        raise Refused(f"labels: the certificate file holds no certificate: {exc}") from exc


def root_of(certificates: bytes) -> bytes:
    """The last certificate of a PEM file, as PEM: whom all the others lead to. Raises Refused."""
    try:
        return _pem(x509.load_pem_x509_certificates(certificates)[-1])
    except (ValueError, IndexError) as exc:
        raise Refused(f"labels: the certificate file holds no certificate: {exc}") from exc


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False))


def _certify_root(key: ec.EllipticCurvePrivateKey, owner: str) -> x509.Certificate:
    name = _name(owner, f"{owner} root")
    return (_builder(name, name, key.public_key(), ROOT_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(certifies=True), critical=True).sign(key, hashes.SHA256()))


def _certify_signer(key: ec.EllipticCurvePrivateKey, owner: str, root: x509.Certificate,
                    root_key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (_builder(_name(owner, owner), root.subject, key.public_key(), SIGNER_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(certifies=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
            .sign(root_key, hashes.SHA256()))


def _usage(*, certifies: bool) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature=not certifies, key_cert_sign=certifies, crl_sign=certifies, content_commitment=False,
                         key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                         decipher_only=False)


def _name(organisation: str, common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                      x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
