"""Makes client certificates as files, the form in which the SDK takes them."""

import datetime
import hashlib
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Certificate(NamedTuple):
    """A certificate with its key, and after it in the file what is needed to verify it."""

    chain_file: Path
    key_file: Path
    thumbprints: dict[str, str]
    """Upper-case hex, by the name of the hash function."""


class Authority:
    """A certificate authority: a root, or an intermediate signed by `above`."""

    def __init__(self, name, above=None):
        self._name = _named(name)
        self._key = _new_key()
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = _builder(name, self._key).add_extension(constraints, critical=True)
        self.certificate = _signed(builder, above or self)
        self._chain = [] if above is None else [self.certificate, *above._chain]

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def certify(self, folder, name):
        """A certificate for a device; `name` is its common name."""
        key = _new_key()
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        leaf = _signed(_builder(name, key).add_extension(usage, critical=False), self)
        return _written(folder, key, [leaf, *self._chain])


def self_signed(folder, name):
    key = _new_key()
    builder = _builder(name, key).issuer_name(_named(name))
    return _written(folder, key, [builder.sign(key, hashes.SHA256())])


def _new_key():
    return ec.generate_private_key(ec.SECP256R1())


def _named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(name, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(_named(name)).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - DAY).not_valid_after(now + DAY)


def _signed(builder, authority):
    return builder.issuer_name(authority._name).sign(authority._key, hashes.SHA256())


def _written(folder, key, chain):
    stem = Path(folder, f"{chain[0].serial_number:x}")
    encoding = serialization.Encoding.PEM
    chain_file, key_file = stem.with_suffix(".pem"), stem.with_suffix(".key")
    chain_file.write_bytes(b"".join(each.public_bytes(encoding) for each in chain))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(encoding, *plain))
    leaf = chain[0].public_bytes(serialization.Encoding.DER)
    thumbprints = {kind: hashlib.new(kind, leaf).hexdigest().upper() for kind in ("sha1", "sha256")}
    return Certificate(chain_file, key_file, thumbprints)
