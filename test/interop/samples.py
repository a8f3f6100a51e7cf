"""What the vectors are made of."""

import ed25519_strict as ed
from vectors_of_keys import seed_of

REALM, CALLER, CALLEE = "prod", "eu-lab", "us.ops"
IAT = 1_790_000_000
EXP = IAT + 86_400
AT = IAT * 1000 + 250
NOWHERE = object()

STARTED = {"event": "started", "payload": {"agent": "diagnose", "attempt": 1}, "at": AT}
DELTA = {"event": "textDelta", "payload": {"text": "The disk "}, "at": AT + 1}
DONE = {
    "event": "terminal",
    "payload": {"status": "succeeded", "result": "The disk is full"},
    "at": AT + 9,
}
REFUSED = {
    "event": "terminal",
    "payload": {"status": "refused", "error": {"code": "NOT_GRANTED", "message": "not granted"}},
    "at": AT,
}


def changed(base, *path, to=NOWHERE):
    """`base` with one thing changed, or left out."""
    key, *rest = path
    copy = list(base) if isinstance(base, list) else dict(base)
    if rest:
        copy[key] = changed(copy[key], *rest, to=to)
    elif to is NOWHERE:
        del copy[key]
    else:
        copy[key] = to
    return copy


def card_payload():
    return {
        "v": 1,
        "realm": REALM,
        "gateway": CALLEE,
        "version": 1,
        "keys": [ed.public_key_of(seed_of("callee"))],
        "agents": [{"name": "diagnose", "description": "Finds out why"}, {"name": "restart"}],
        "maxRequestBytes": 1_048_576,
    }
