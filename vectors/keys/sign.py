"""Prints the signature of an update manifest, made with the keys of this folder.

python3 sign.py MANIFEST [ROOT]     ROOT is 1 (unless given) or 2; `openssl` must be installed.
"""

import base64
import hashlib
import json
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent


def openssl(*arguments, data=b""):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


def url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def modulus(name):
    text = openssl("rsa", "-in", str(FOLDER / name), "-noout", "-modulus").decode()
    return bytes.fromhex(text.strip().partition("=")[2])


def jws(header, payload, name):
    compact = lambda value: url(json.dumps(value, separators=(",", ":")).encode())
    signed = f"{compact(header)}.{compact(payload)}"
    signature = openssl("dgst", "-sha256", "-sign", str(FOLDER / name), data=signed.encode())
    return f"{signed}.{url(signature)}"


def sign(manifest, root):
    key = {
        "kty": "RSA",
        "n": base64.b64encode(modulus("signing.pem")).decode(),
        "e": "AQAB",
        "alg": "RS256",
        "kid": "twinspec.signing",
    }
    nested = jws({"alg": "RS256", "kid": f"twinspec.root.{root}"}, key, f"root-{root}.pem")
    digest = base64.b64encode(hashlib.sha256(manifest).digest()).decode()
    return jws({"alg": "RS256", "sjwk": nested}, {"sha256": digest}, "signing.pem")


if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
print(sign(pathlib.Path(sys.argv[1]).read_bytes(), sys.argv[2] if len(sys.argv) == 3 else "1"))
