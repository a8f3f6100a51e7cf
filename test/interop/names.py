"""Names, keys of the store, run ids and digests as SPEC.md has them."""

import base64
import hashlib
import re

from cbor_profile import write

LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
RESERVED = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


def is_label(text):
    return re.fullmatch(LABEL, text) is not None and not RESERVED.fullmatch(text)


def is_gateway(text):
    return len(text.encode()) <= 100 and all(is_label(part) for part in text.split("."))


def is_run_id(text):
    return re.fullmatch("[a-z2-7]{52}", text) is not None


def is_nonce(text):
    return re.fullmatch("[a-z2-7]{26}", text) is not None


def base32(data):
    return base64.b32encode(data).decode().lower().rstrip("=")


def from_base32(text):
    """The bytes, or None when the text is not the one spelling of any."""
    if not re.fullmatch("[a-z2-7]*", text) or len(text) % 8 in (1, 3, 6):
        return None
    data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    return data if base32(data) == text else None


# Keys of the store

NAME = r"[a-z0-9.-]+"
KEY_PATTERNS = [
    ("card", rf"({NAME})/card/([0-9]{{10}})", ("gateway", "version")),
    ("owner", rf"({NAME})/owner/([0-9]{{10}})", ("gateway", "generation")),
    ("probe", rf"({NAME})/probe/([a-z2-7]{{26}})", ("gateway", "id")),
    ("request", rf"({NAME})/inbox/({NAME})/([a-z2-7]{{52}})", ("to", "from", "runId")),
    (
        "cancel",
        rf"({NAME})/inbox/({NAME})/([a-z2-7]{{52}})\.([a-z2-7]{{16}})\.cancel",
        ("to", "from", "runId", "digest16"),
    ),
    (
        "frames",
        rf"({NAME})/frames/({NAME})/([a-z2-7]{{52}})/([a-z2-7]{{16}})/([0-9]{{4}})-([0-9]{{10}})",
        ("to", "from", "runId", "digest16", "attempt", "seq"),
    ),
]
COUNTED_FROM = {"version": 1, "generation": 1, "attempt": 1, "seq": 0}


def parse_key(key):
    """{"kind", ...} or None."""
    for kind, pattern, fields in KEY_PATTERNS:
        match = re.fullmatch(pattern, key)
        if match is None:
            continue
        name = dict(zip(fields, match.groups()))
        for field, least in COUNTED_FROM.items():
            if field in name:
                name[field] = int(name[field])
                if name[field] < least:
                    return None
        if all(is_gateway(name[field]) for field in ("gateway", "to", "from") if field in name):
            return {"kind": kind, **name}
    return None


def key_of(name):
    kind = name["kind"]
    if kind in ("card", "owner"):
        number = name["version"] if kind == "card" else name["generation"]
        return f"{name['gateway']}/{kind}/{number:010}"
    if kind == "probe":
        return f"{name['gateway']}/probe/{name['id']}"
    if kind == "request":
        return f"{name['to']}/inbox/{name['from']}/{name['runId']}"
    if kind == "cancel":
        return f"{name['to']}/inbox/{name['from']}/{name['runId']}.{name['digest16']}.cancel"
    place = f"{name['runId']}/{name['digest16']}/{name['attempt']:04}-{name['seq']:010}"
    return f"{name['to']}/frames/{name['from']}/{place}"


# Run id and digests


def run_id(realm, caller, tenant, callee, idempotency_key):
    named = ["postern/v1/run", realm, caller, tenant or "", callee, idempotency_key]
    return base32(hashlib.sha256(write(named)).digest())


def digest_of(data):
    return base32(hashlib.sha256(data).digest())


def intent_digest(payload):
    return digest_of(write({name: value for name, value in payload.items() if name != "deadline"}))
