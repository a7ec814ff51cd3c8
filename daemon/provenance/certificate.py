"""The key that signs manifests: the studio's own, or one made here when the first take is signed.

The profile is what the C2PA library accepts without settings of its own: ES256, an end-entity certificate
with key usage digitalSignature and extended key usage emailProtection, issued by a root that is given with
it. The root's own key is thrown away once it has signed, so nothing else can ever be issued under it.
"""

import stat
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemon.config import ProvenanceConfig
from daemon.connection import write_private
from daemon.protocol.errors import MachineError

YEARS = 10
OURS = "certificate.pem"
"""Leaf, root and the leaf's key in one file of the configuration folder's `provenance`, mode 0600."""


@dataclass(frozen=True)
class Credentials:
    """A certificate chain, leaf first, and the leaf's private key, in PEM; the algorithm in C2PA's words."""

    chain: str
    key: str
    algorithm: str


def load_credentials(config: ProvenanceConfig, folder: Path) -> Credentials:
    """Return the studio's credentials if the settings name them, else ours, made if need be.

    Raises MachineError `provenance.certificate` when the studio's cannot be read.
    """
    if config.certificate is not None and config.key is not None:
        return _studio(config.certificate, config.key, config.algorithm)
    path = folder / OURS
    if not path.is_file() or not _is_private(path):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        chain, key = make_certificate()
        write_private(path, (chain + key).encode())
    text = path.read_text(encoding="ascii")
    begins = text.index("-----BEGIN PRIVATE KEY")
    return Credentials(text[:begins], text[begins:], "es256")


def make_certificate() -> tuple[str, str]:
    """Return a new chain of leaf and root, and the leaf's private key, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Dubwright"),
                x509.NameAttribute(NameOID.COMMON_NAME, text),
            ]
        )

    def usage(*, signs: bool) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=signs, key_cert_sign=not signs, crl_sign=not signs, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    begins = datetime.now(UTC) - timedelta(days=1)  # a clock that is a little slow elsewhere
    issuer = name("Dubwright on this machine, root")

    def certificate(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, is_root: bool) -> str:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(usage(signs=not is_root), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
            )
        )
        if not is_root:
            mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(mail, critical=False)
        return builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    leaf = certificate(name("Dubwright on this machine"), key.public_key(), is_root=False)
    root = certificate(issuer, root_key.public_key(), is_root=True)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return leaf + root, private.decode()


def _studio(certificate: str, key: str, algorithm: str) -> Credentials:
    try:
        chain = Path(certificate).expanduser().read_text(encoding="ascii")
        private = Path(key).expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(
            "provenance.certificate", f"The studio's certificate cannot be read: {error}."
        ) from error
    return Credentials(chain, private, algorithm)


def _is_private(path: Path) -> bool:
    return sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
