"""Manifest signatures and root key packages in Python, without any library for keys:
`twinspec vectors run --family manifest-signature,root-key-package -- python3 vectors/examples/signature.py`.
"""

import base64
import hashlib
import json
import re
import sys

PKCS1_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


class Refused(Exception):
    """A refusal: a word, and the code that agents report where one is known."""

    def __init__(self, word, code=None):
        super().__init__(word)
        self.answer = {"refused": word} if code is None else {"refused": word, "code": code}


def url(text):
    """base64url without padding, nothing else; None for other texts."""
    if not isinstance(text, str) or not re.fullmatch("[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return data if base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text else None


def either(text):
    """Any form of base64; None for other texts."""
    return url(text.rstrip("=").replace("+", "-").replace("/", "_")) if isinstance(text, str) else None


def holds(key, message, signature):
    """RS256: the whole block is rebuilt and compared, so nothing can hide in it."""
    modulus, exponent = key
    size = (modulus.bit_length() + 7) // 8
    if signature is None or len(signature) != size or int.from_bytes(signature, "big") >= modulus:
        return False
    end = PKCS1_SHA256 + hashlib.sha256(message).digest()
    block = b"\x00\x01" + b"\xff" * (size - len(end) - 3) + b"\x00" + end
    return pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big") == block


def number(data):
    return int.from_bytes(data, "big")


def keys_of(roots):
    return {kid: (number(url(key["n"])), number(url(key["e"]))) for kid, key in roots.items()}


def der(tag, content):
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def pkcs1_hash(key):
    """What disabledSigningKeys names."""
    integers = b"".join(der(2, part.to_bytes(part.bit_length() // 8 + 1, "big")) for part in key)
    return hashlib.sha256(der(0x30, integers)).digest()


def obj(text):
    """A JSON object in base64url; None for anything else."""
    try:
        value = json.loads(url(text))
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def split(jws):
    parts = jws.split(".")
    if len(parts) != 3 or "" in parts:
        raise Refused("structure", "A0200002")
    header = obj(parts[0])
    if header is None:
        raise Refused("header", "A0200008")
    return header, parts


def member(header, name):
    if not isinstance(header.get(name), str):
        raise Refused("header-member")
    return header[name]


def verify_part(header, parts, key, word):
    if header.get("alg") != "RS256":
        raise Refused("algorithm")
    if not holds(key, f"{parts[0]}.{parts[1]}".encode(), url(parts[2])):
        raise Refused(word, "A0200004")


def root_key(kid, case, roots):
    if "stored" not in case:
        stored = None
    elif case["stored"] is None:
        raise Refused("store-unreadable", "A0200007")
    else:
        stored = json.loads(case["stored"])["protected"]
        if kid in stored["disabledRootKeys"]:
            raise Refused("root-key-disabled", "A0200005")
        for other, key in stored["rootKeys"].items():
            roots.setdefault(other, (number(url(key["n"])), key["e"]))
    if kid not in roots:
        raise Refused("root-key-unknown", "A0200006")
    return roots[kid], stored


def signature(case):
    if case["signature"] is None:
        raise Refused("no-text", "80300001")
    header, outer = split(case["signature"])
    inner_header, inner = split(member(header, "sjwk"))
    kid = member(inner_header, "kid")
    root, stored = root_key(kid, case, keys_of(case["roots"]))
    verify_part(inner_header, inner, root, "key-signature")
    jwk = obj(inner[1]) or {}
    modulus = either(jwk.get("n"))
    if jwk.get("kty") != "RSA" or jwk.get("e") != "AQAB" or modulus is None:
        raise Refused("key-payload", "A0200009")
    signing = (number(modulus), 65537)
    disabled = [] if stored is None else stored["disabledSigningKeys"]
    if pkcs1_hash(signing) in [either(entry["hash"]) for entry in disabled]:
        raise Refused("signing-key-disabled", "A0000005")
    verify_part(header, outer, signing, "signature")
    expected = (obj(outer[1]) or {}).get("sha256")
    if not isinstance(expected, str) or len(expected) != 44 or len(either(expected) or b"") != 32:
        raise Refused("payload")
    if case["manifest"] is None:
        raise Refused("no-text", "80300001")
    if hashlib.sha256(case["manifest"].encode()).digest() != either(expected):
        raise Refused("hash-mismatch", "80300001")
    return {"verified": True, "root": kid}


def compact(value):
    """As C agents write JSON: no white space, members in order, slashes escaped."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace("/", "\\/")


def need(holder, name, kind):
    if name not in holder:
        raise Refused("missing")
    if not isinstance(holder[name], kind) or isinstance(holder[name], bool):
        raise Refused("wrong-type")
    return holder[name]


def read_package(text):
    try:
        package = json.loads(text)
    except ValueError:
        raise Refused("not-json", "A0000001") from None
    protected = need(package, "protected", dict)
    for name in ("version", "published"):
        if need(protected, name, int) == 0:
            raise Refused("value")
    need(protected, "disabledRootKeys", list)
    for entry in need(protected, "disabledSigningKeys", list):
        if len(either(entry["hash"]) or b"") != 32:
            raise Refused("hash")
    for name, holder, kind in (("rootKeys", protected, dict), ("signatures", package, list)):
        if not need(holder, name, kind):
            raise Refused("count")
    return package


def root_key_package(case):
    package = read_package(case["package"])
    protected, signatures = package["protected"], package["signatures"]
    is_test = protected.get("isTest", False)
    if is_test and case["build"] == "production":
        raise Refused("test-package", "A0000007")
    if not is_test and case["build"] == "test":
        raise Refused("production-package", "A0000006")
    order = list(protected["rootKeys"])
    for kid, key in sorted(keys_of(case["roots"]).items()):
        at = order.index(kid) if kid in order else len(signatures)
        if at >= len(signatures):
            raise Refused("package-signature", "80600004")
        if signatures[at]["alg"] != "RS256":
            raise Refused("algorithm", "80600004")
        if not holds(key, compact(protected).encode(), url(signatures[at]["sig"])):
            raise Refused("package-signature", "80600004")
    if "stored" in case:
        stored = json.loads(case["stored"])
        if protected["version"] < stored["protected"]["version"]:
            raise Refused("rollback")
        if compact(stored) == compact(package):
            return {"accepted": True, "store": "unchanged", "code": "A0000FFF"}
    return {"accepted": True, "store": "replaced", "code": "A0000008"}


FAMILIES = {"manifest-signature": signature, "root-key-package": root_key_package}

for line in sys.stdin:
    request = json.loads(line)
    answer = {"id": request["id"]}
    if request["family"] in FAMILIES:
        try:
            answer["expect"] = FAMILIES[request["family"]](request["input"])
        except Refused as refusal:
            answer["expect"] = refusal.answer
    else:
        answer["unsupported"] = "this example verifies signatures only"
    print(json.dumps(answer), flush=True)
