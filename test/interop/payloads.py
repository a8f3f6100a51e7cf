"""Payloads and cards as SPEC.md has them: what is read of one, unknown keys left out."""

import re

import ed25519_strict as ed
from cbor_profile import MOST_BYTES, MOST_INTEGER, Refused, is_integer, read
from envelopes import Envelope
from names import base32, from_base32, is_gateway, is_label, is_nonce, is_run_id, key_of


def require(condition, what):
    if not condition:
        raise Refused("PAYLOAD_INVALID", what)


def text(least, most):
    return lambda value: isinstance(value, str) and least <= len(value.encode()) <= most


def integer(least, most=MOST_INTEGER):
    return lambda value: is_integer(value) and least <= value <= most


def named(is_name):
    return lambda value: isinstance(value, str) and is_name(value)


def one_of(*choices):
    return lambda value: isinstance(value, str) and value in choices


def is_boolean(value):
    return isinstance(value, bool)


def is_json(value):
    if isinstance(value, list):
        return all(is_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_json(item) for key, item in value.items())
    return not isinstance(value, bytes)


def fields(value, where, needed, optional=None):
    """The named fields of a map, each as its check wants it."""
    require(isinstance(value, dict), f"{where} is a map")
    found = {}
    for name, check in needed.items():
        require(name in value and check(value[name]), f"{where}.{name}")
        found[name] = value[name]
    for name, check in (optional or {}).items():
        if name in value:
            require(check(value[name]), f"{where}.{name}")
            found[name] = value[name]
    return found


def payload_map(data):
    value = read(data)
    require(isinstance(value, dict) and integer(1)(value.get("v")), "v")
    if value["v"] != 1:
        raise Refused("VERSION_UNSUPPORTED", "another version")
    return value


ID = text(1, 128)
LONG = text(0, MOST_BYTES)
NUMBER = integer(1, 9_999_999_999)


def read_request(data):
    value = payload_map(data)
    found = fields(
        value,
        "request",
        {"v": integer(1), "agentTarget": named(is_label), "idempotencyKey": text(1, 256)},
        {"remoteRunId": named(is_run_id), "deadline": integer(0), "meta": is_json, "via": is_via},
    )
    found["callerIdentity"] = fields(
        value.get("callerIdentity"),
        "callerIdentity",
        {"gateway": named(is_gateway)},
        {"agent": ID, "operator": ID, "tenant": ID},
    )
    kinds = [kind for kind in ("prompt", "toolCall", "approvalGrant") if kind in value]
    require(len(kinds) == 1, "exactly one kind")
    if kinds == ["prompt"]:
        found["prompt"] = fields(value["prompt"], "prompt", {"text": LONG})
    elif kinds == ["toolCall"]:
        found["toolCall"] = fields(value["toolCall"], "toolCall", {"name": ID, "input": is_json})
    else:
        require(isinstance(value["approvalGrant"], bytes), "approvalGrant")
        found["approvalGrant"] = value["approvalGrant"]
    return found


def is_via(value):
    if not isinstance(value, list) or len(value) > 4:
        return False
    return all(named(is_gateway)(item) for item in value) and len(set(value)) == len(value)


def read_cancel(data):
    needed = {"v": integer(1), "runId": named(is_run_id), "requestDigest": named(is_run_id)}
    return fields(payload_map(data), "cancel", needed)


def read_owner(data):
    needed = {"v": integer(1), "generation": NUMBER, "nonce": named(is_nonce)}
    return fields(payload_map(data), "owner", needed)


def read_card(data):
    value = payload_map(data)
    keys = value.get("keys")
    require(isinstance(keys, list) and 1 <= len(keys) <= 8, "keys")
    for key in keys:
        require(isinstance(key, bytes), "a key")
        ed.vet(key)
    needed = {
        "v": integer(1),
        "realm": named(is_label),
        "gateway": named(is_gateway),
        "version": NUMBER,
        "maxRequestBytes": integer(1),
    }
    found = fields(value, "card", needed)
    agents = value.get("agents")
    require(isinstance(agents, list) and len(agents) <= 256, "agents")
    found["agents"] = [
        fields(agent, "agent", {"name": named(is_label)}, {"description": text(0, 512)})
        for agent in agents
    ]
    found["keys"] = keys
    return found


ERROR = {"code": text(1, 64), "message": text(0, 4096)}
STATUSES = ("succeeded", "failed", "cancelled", "refused", "expired", "interrupted")
COUNT = integer(0)
EVENTS = {
    "started": ({"agent": named(is_label), "attempt": integer(1, 9999)}, {}),
    "textDelta": ({"text": LONG}, {}),
    "tokenUsage": (
        {"inputTokens": COUNT, "outputTokens": COUNT, "totalTokens": COUNT},
        {"model": text(0, 128)},
    ),
    "toolCall": ({"id": ID, "name": ID, "input": is_json}, {}),
    "toolResult": ({"id": ID, "output": is_json, "isError": is_boolean}, {}),
    "phaseEnd": ({"phase": ID}, {}),
    "error": ({**ERROR, "retryable": is_boolean}, {}),
    "terminal": ({"status": one_of(*STATUSES)}, {"result": is_json}),
}


def read_frames(data):
    value = payload_map(data)
    needed = {
        "v": integer(1),
        "runId": named(is_run_id),
        "requestDigest": named(is_run_id),
        "attempt": integer(1, 9999),
        "seq": integer(0, 9_999_999_999),
        "prev": lambda prev: isinstance(prev, bytes) and len(prev) == 32,
    }
    found = fields(value, "frames", needed)
    listed = value.get("frames")
    require(isinstance(listed, list) and 1 <= len(listed) <= 1024, "frames")
    found["frames"] = [read_frame(frame) for frame in listed]
    require(found["seq"] + len(listed) - 1 <= 9_999_999_999, "numbers beyond the last")
    require(found["seq"] > 0 or found["prev"] == bytes(32), "prev at seq 0")
    for index, frame in enumerate(found["frames"]):
        number = found["seq"] + index
        if frame["event"] == "started":
            require(number == 0 and frame["payload"]["attempt"] == found["attempt"], "started")
        if frame["event"] == "terminal":
            require(index == len(listed) - 1, "terminal")
        require(number > 0 or frame["event"] in ("started", "terminal"), "the first frame")
    return found


def read_frame(value):
    found = fields(value, "frame", {"event": one_of(*EVENTS), "at": integer(0)})
    needed, optional = EVENTS[found["event"]]
    payload = fields(value.get("payload"), found["event"], needed, optional)
    if found["event"] == "terminal":
        said = "error" in value["payload"]
        require(
            said == (payload["status"] != "succeeded"), "error, exactly when it did not succeed"
        )
        if said:
            payload["error"] = fields(value["payload"]["error"], "error", ERROR)
    return {**found, "payload": payload}


READERS = {
    "request": read_request,
    "cancel": read_cancel,
    "frames": read_frames,
    "card": read_card,
    "owner": read_owner,
}


def card_text(envelope):
    return "postern1" + base32(envelope)


def envelope_of_card_text(shown):
    """Raises Refused with CARD_INVALID."""
    tight = re.sub("[ \t\r\n]", "", shown)
    data = from_base32(tight.removeprefix("postern1")) if tight.startswith("postern1") else None
    if not data:
        raise Refused("CARD_INVALID", "not a card's text")
    return data


def open_card(data, realm=None):
    """A card that nobody vouches for yet: what it says, and that its own first key signed it."""
    envelope = Envelope("card", data)
    card = read_card(envelope.payload)
    if card["gateway"] != envelope.claims["iss"] or realm not in (None, card["realm"]):
        raise Refused("CARD_INVALID", "a card of another gateway or realm")
    key = key_of({"kind": "card", "gateway": card["gateway"], "version": card["version"]})
    envelope.verify(card["keys"][0], card["realm"], key)
    return card
