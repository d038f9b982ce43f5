"""Who may deploy: root key packages and manifest signatures (JWS with a nested, root-signed key)."""

import base64
import binascii
import hashlib
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class Refused(Exception):
    """Something is not to be trusted; carries the extended result code and a text."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def url_bytes(text):
    """Decodes base64url without padding, strictly."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise ValueError("no base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def any_bytes(text):
    """Decodes either alphabet: genuine signing keys use the standard one."""
    return url_bytes(text.rstrip("=").replace("+", "-").replace("/", "_"))


def public_key(modulus, exponent=65537):
    number = int.from_bytes(any_bytes(modulus), "big")
    if isinstance(exponent, str):
        exponent = int.from_bytes(any_bytes(exponent), "big")
    return rsa.RSAPublicNumbers(exponent, number).public_key()


def check_signature(key, signature, text, code):
    try:
        key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise Refused(code, "a signature does not fit") from None


def load_root_keys(path):
    """Key id to key, of the file that tells the agent whom to trust."""
    with open(path, encoding="utf-8") as file:
        keys = json.load(file)
    return {kid: public_key(key["n"], key["e"]) for kid, key in keys.items()}


def check_package(text, roots):
    """A root key package: every root that is built in must have signed it. Returns what it disables."""
    try:
        package = json.loads(text)
        protected = package["protected"]
        signed = json.dumps(protected, separators=(",", ":"), ensure_ascii=False).replace("/", "\\/")
        names = list(protected["rootKeys"])
        version, published = protected["version"], protected["published"]
        disabled_roots = list(protected.get("disabledRootKeys", []))
        disabled = {any_bytes(key["hash"]) for key in protected.get("disabledSigningKeys", [])}
        entries = [(entry["alg"], url_bytes(entry["sig"])) for entry in package["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(0xA0000001, f"root key package: {error!r}") from None
    is_number = [isinstance(n, int) and not isinstance(n, bool) for n in (version, published)]
    if not all(is_number) or version <= 0 or published <= 0 or not names:
        raise Refused(0x80600004, "root key package: version, published or rootKeys")
    if protected.get("isTest", False) is not False:
        raise Refused(0xA0000007, "a test package")
    for kid, key in roots.items():
        # The signature at the place of the key belongs to it.
        place = names.index(kid) if kid in names else len(entries)
        if place >= len(entries) or entries[place][0] != "RS256":
            raise Refused(0x80600004, f"root key package: no signature of {kid}")
        check_signature(key, entries[place][1], signed.encode(), 0x80600004)
    return {"version": version, "roots": disabled_roots, "signers": [d.hex() for d in disabled]}


def _parts(compact):
    parts = compact.split(".")
    if len(parts) != 3 or not all(parts):
        raise Refused(0xA0200002, "the signature has not three parts")
    try:
        header, payload = (json.loads(url_bytes(part)) for part in parts[:2])
        signature = url_bytes(parts[2])
    except (ValueError, binascii.Error):
        raise Refused(0xA0200002, "the signature is not readable") from None
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise Refused(0xA0200002, "the signature is not readable")
    if header.get("alg") != "RS256":
        raise Refused(0xA0200004, f"algorithm {header.get('alg')!r}")
    return header, payload, signature, f"{parts[0]}.{parts[1]}".encode()


def check_manifest(manifest, signature, roots, disabled):
    """The chain root → signing key → manifest hash."""
    if not isinstance(manifest, str) or not isinstance(signature, str) or not signature:
        raise Refused(0x80300001, "manifest or signature is no text")
    header, payload, outer, outer_signed = _parts(signature)
    nested_header, jwk, nested, nested_signed = _parts(str(header.get("sjwk", "")))
    kid = nested_header.get("kid")
    if kid in disabled["roots"]:
        raise Refused(0xA0200005, f"root key {kid} is disabled")
    if kid not in roots:
        raise Refused(0xA0200006, f"root key {kid} is unknown")
    check_signature(roots[kid], nested, nested_signed, 0xA0200004)
    try:
        signer = public_key(jwk["n"], jwk["e"])
    except (ValueError, KeyError, TypeError):
        raise Refused(0xA0200009, "the signing key is not readable") from None
    der = signer.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    if hashlib.sha256(der).hexdigest() in disabled["signers"]:
        raise Refused(0xA0000005, "the signing key is disabled")
    check_signature(signer, outer, outer_signed, 0xA0200004)
    hashed = base64.b64encode(hashlib.sha256(manifest.encode()).digest()).decode()
    if payload.get("sha256") != hashed:
        raise Refused(0x80300001, "the signature is that of another manifest")
