"""The vectors of request.json, cancel.json, owner.json and card.json."""

import ed25519_strict as ed
from cbor_profile import MOST_INTEGER, to_plain, write
from names import base32, digest_of
from payloads import READERS
from samples import CALLER, EXP, IAT, card_payload, changed
from vectors_of_cbor import invalid
from vectors_of_keys import seed_of, small_order_points


def payload_vectors(kind, about, good, bad, more_bad=()):
    read = READERS[kind]
    rows = []
    for name, value in good:
        data = write(value)
        # `value` is what is read: unknown keys are left out.
        rows.append(
            {
                "name": name,
                "hex": data.hex(),
                "value": to_plain(read(data)),
                "exact": write(read(data)) == data,
            }
        )
    refused = [invalid(name, "PAYLOAD_INVALID", write(value)) for name, value in bad]
    base = good[0][1]
    refused += [
        invalid("version 2", "VERSION_UNSUPPORTED", write(changed(base, "v", to=2))),
        invalid("a version far away", "VERSION_UNSUPPORTED", write({"v": MOST_INTEGER})),
        invalid("version 0", "PAYLOAD_INVALID", write(changed(base, "v", to=0))),
        invalid("version -1", "PAYLOAD_INVALID", write(changed(base, "v", to=-1))),
        invalid("a version that is a text", "PAYLOAD_INVALID", write(changed(base, "v", to="1"))),
        invalid("a version that is a float", "PAYLOAD_INVALID", write(changed(base, "v", to=1.5))),
        invalid("a version that is true", "PAYLOAD_INVALID", write(changed(base, "v", to=True))),
        invalid("no version", "PAYLOAD_INVALID", write(changed(base, "v"))),
        invalid("no map", "PAYLOAD_INVALID", write([base])),
        invalid("nothing but null", "PAYLOAD_INVALID", write(None)),
        invalid("an empty map", "PAYLOAD_INVALID", write({})),
        invalid("no bytes", "CBOR_MALFORMED", b""),
        invalid("a byte after it", "CBOR_MALFORMED", write(base) + b"\0"),
        invalid("cut off", "CBOR_MALFORMED", write(base)[:-1]),
        invalid("a tag before it", "CBOR_FORBIDDEN", b"\xd9\xd9\xf7" + write(base)),
        invalid(
            "the version in a long head", "CBOR_NOT_CANONICAL", write({"v": 1})[:-1] + b"\x18\x01"
        ),
        *more_bad,
    ]
    return {
        "about": f"SPEC.md, {about}. `exact`: writing `value` gives `hex` again.",
        "valid": rows,
        "invalid": refused,
    }


def request_vectors():
    prompt = {
        "v": 1,
        "agentTarget": "diagnose",
        "idempotencyKey": "order-1",
        "callerIdentity": {"gateway": CALLER},
        "prompt": {"text": "Why is the queue full?"},
    }
    without = changed(prompt, "prompt")
    call = {
        **without,
        "toolCall": {"name": "ping", "input": {"hosts": ["a", "b"], "every": 0.5, "limit": None}},
    }
    run = digest_of(b"an earlier run")
    full = {
        **prompt,
        "callerIdentity": {
            "gateway": CALLER,
            "agent": "planner",
            "operator": "Ana",
            "tenant": "acme",
        },
        "remoteRunId": run,
        "deadline": EXP,
        "via": ["eu-edge", "hub.example.org"],
        "meta": {"trace": ["a", 1, -1.5, True, None, {}], "": ""},
    }
    good = [
        ("a prompt", prompt),
        ("a tool call", call),
        ("everything that there is", full),
        ("an empty prompt", changed(prompt, "prompt", "text", to="")),
        ("an input of null", changed(call, "toolCall", "input", to=None)),
        (
            "an input with a key named __proto__",
            changed(call, "toolCall", "input", to={"__proto__": {"a": 1}}),
        ),
        (
            "great and small numbers",
            changed(call, "toolCall", "input", to=[MOST_INTEGER, -MOST_INTEGER, 2.0**53, 5e-324]),
        ),
        ("a key of 256 bytes", changed(prompt, "idempotencyKey", to="ä" * 128)),
        ("an empty via", {**prompt, "via": []}),
        ("a via of four", {**prompt, "via": ["a", "b", "c", "d"]}),
        ("meta that is null", {**prompt, "meta": None}),
        ("a deadline of 0", {**prompt, "deadline": 0}),
        ("an approval grant (reserved)", {**without, "remoteRunId": run, "approvalGrant": b"\xd2"}),
        ("unknown keys", {**prompt, "urgency": 3, 7: b"", "prompt": {"text": "", "html": ""}}),
        ("unknown keys in the identity", changed(prompt, "callerIdentity", "role", to="admin")),
        ("a tenant of 128 bytes", changed(prompt, "callerIdentity", "tenant", to="t" * 128)),
    ]
    bad = [
        (f"no {name}", changed(prompt, name))
        for name in ("agentTarget", "idempotencyKey", "callerIdentity", "prompt")
    ]
    bad += [
        ("two kinds", {**call, "prompt": {"text": ""}}),
        ("a second kind that is null", {**prompt, "toolCall": None}),
        ("a target that is an address", changed(prompt, "agentTarget", to="us.ops/diagnose")),
        ("a target in capitals", changed(prompt, "agentTarget", to="Diagnose")),
        ("a reserved target", changed(prompt, "agentTarget", to="nul")),
        ("an empty key", changed(prompt, "idempotencyKey", to="")),
        ("a key of 257 bytes", changed(prompt, "idempotencyKey", to="x" * 257)),
        ("a key of 129 characters, 258 bytes", changed(prompt, "idempotencyKey", to="ä" * 129)),
        ("a key that is bytes", changed(prompt, "idempotencyKey", to=b"order-1")),
        ("an identity without a gateway", changed(prompt, "callerIdentity", "gateway")),
        ("an identity that is a text", changed(prompt, "callerIdentity", to=CALLER)),
        ("a gateway that is no name", changed(prompt, "callerIdentity", "gateway", to="EU")),
        ("an empty tenant", changed(prompt, "callerIdentity", "tenant", to="")),
        ("a tenant that is null", changed(prompt, "callerIdentity", "tenant", to=None)),
        ("a tenant of 129 bytes", changed(prompt, "callerIdentity", "tenant", to="t" * 129)),
        ("an empty agent", changed(prompt, "callerIdentity", "agent", to="")),
        ("an operator that is a number", changed(prompt, "callerIdentity", "operator", to=1)),
        ("a prompt that is a text", changed(prompt, "prompt", to="Why?")),
        ("a prompt without text", changed(prompt, "prompt", to={})),
        ("a tool without a name", changed(call, "toolCall", "name")),
        ("an empty tool name", changed(call, "toolCall", "name", to="")),
        ("a tool name of 129 bytes", changed(call, "toolCall", "name", to="n" * 129)),
        ("a tool without input", changed(call, "toolCall", "input")),
        ("an input that is bytes", changed(call, "toolCall", "input", to=b"")),
        ("bytes deep in an input", changed(call, "toolCall", "input", "hosts", 0, to=b"a")),
        ("an integer key in an input", changed(call, "toolCall", "input", to={1: 2})),
        ("an integer key deep in meta", {**prompt, "meta": [{"a": {0: 0}}]}),
        ("bytes in meta", {**prompt, "meta": {"a": b""}}),
        ("a deadline that is negative", {**prompt, "deadline": -1}),
        ("a deadline that is a fraction", {**prompt, "deadline": IAT + 0.5}),
        ("a deadline beyond 2^53 - 1", {**prompt, "deadline": 2.0**53}),
        ("a deadline that is a text", {**prompt, "deadline": "soon"}),
        ("a deadline that is null", {**prompt, "deadline": None}),
        ("a via of five", {**prompt, "via": ["a", "b", "c", "d", "e"]}),
        ("a via that names one twice", {**prompt, "via": ["a", "b", "a"]}),
        ("a via of no names", {**prompt, "via": ["a", 1]}),
        ("a via that is a text", {**prompt, "via": "a"}),
        ("an earlier run that is no run id", {**prompt, "remoteRunId": run[:51]}),
        ("an earlier run in capitals", {**prompt, "remoteRunId": run.upper()}),
        ("an approval grant that is a text", {**without, "approvalGrant": "yes"}),
    ]
    return payload_vectors("request", "Request", good, bad)


def cancel_vectors():
    cancel = {"v": 1, "runId": digest_of(b"run"), "requestDigest": digest_of(b"request")}
    bad = [
        ("no run id", changed(cancel, "runId")),
        ("no digest", changed(cancel, "requestDigest")),
        ("a digest of 16", changed(cancel, "requestDigest", to=cancel["requestDigest"][:16])),
        ("a digest as bytes", changed(cancel, "requestDigest", to=bytes(32))),
        ("a run id with a digit that base32 has not", changed(cancel, "runId", to="1" * 52)),
        ("a run id and a line feed", changed(cancel, "runId", to=cancel["runId"] + "\n")),
    ]
    good = [("a cancel", cancel), ("an unknown key", {**cancel, "reason": "too slow"})]
    return payload_vectors("cancel", "Cancel", good, bad)


def owner_vectors():
    claim = {"v": 1, "generation": 1, "nonce": base32(bytes(range(16)))}
    bad = [
        ("generation 0", changed(claim, "generation", to=0)),
        ("a generation of eleven digits", changed(claim, "generation", to=10_000_000_000)),
        ("no generation", changed(claim, "generation")),
        ("a generation as it is in the key", changed(claim, "generation", to="0000000001")),
        ("no nonce", changed(claim, "nonce")),
        ("a nonce as bytes", changed(claim, "nonce", to=bytes(16))),
        ("a nonce of 25", changed(claim, "nonce", to=claim["nonce"][:25])),
        ("a nonce in capitals", changed(claim, "nonce", to=claim["nonce"].upper())),
    ]
    last = changed(claim, "generation", to=9_999_999_999)
    good = [
        ("the first claim", claim),
        ("the last claim", last),
        ("an unknown key", {**claim, "host": "a"}),
    ]
    return payload_vectors("owner", "Owner", good, bad)


def card_vectors():
    card = card_payload()
    key = card["keys"][0]
    other = ed.public_key_of(seed_of("another"))
    bad = [(f"no {name}", changed(card, name)) for name in card if name != "v"]
    bad += [
        ("no keys", changed(card, "keys", to=[])),
        ("nine keys", changed(card, "keys", to=[key] * 9)),
        ("a key that is a text", changed(card, "keys", to=[key.hex()])),
        ("keys that are bytes", changed(card, "keys", to=key)),
        ("version 0 of the card", changed(card, "version", to=0)),
        ("a version of eleven digits", changed(card, "version", to=10_000_000_000)),
        ("a realm with a dot", changed(card, "realm", to="a.b")),
        ("a gateway that is no name", changed(card, "gateway", to="us_ops")),
        ("257 agents", changed(card, "agents", to=[{"name": f"a{index}"} for index in range(257)])),
        ("an agent without a name", changed(card, "agents", to=[{"description": ""}])),
        ("an agent that is a text", changed(card, "agents", to=["diagnose"])),
        ("an agent whose name is none", changed(card, "agents", 0, "name", to="a.b")),
        ("a description of 513 bytes", changed(card, "agents", 0, "description", to="d" * 513)),
        ("a description that is null", changed(card, "agents", 0, "description", to=None)),
        ("requests of 0 bytes", changed(card, "maxRequestBytes", to=0)),
        ("requests of half a byte more", changed(card, "maxRequestBytes", to=1.5)),
    ]
    bad_keys = [
        ("a key of 31 bytes", key[:31]),
        ("a key of small order", small_order_points()[1]),
        ("a key not on the curve", (2).to_bytes(32, "little")),
        ("a key with y = p", ed.P.to_bytes(32, "little")),
    ]
    more = [
        invalid(name, "KEY_INVALID", write(changed(card, "keys", to=[bad_key])))
        for name, bad_key in bad_keys
    ]
    more += [
        invalid(
            "a second key that is none",
            "KEY_INVALID",
            write(changed(card, "keys", to=[key, bytes(32)])),
        )
    ]
    good = [
        ("a card", card),
        ("two keys", changed(card, "keys", to=[key, other])),
        ("no agents", changed(card, "agents", to=[])),
        ("an empty description", changed(card, "agents", 1, "description", to="")),
        ("unknown keys", changed({**card, "sealing": b""}, "agents", 1, "tools", to=["ping"])),
        ("256 agents", changed(card, "agents", to=[{"name": f"a{index}"} for index in range(256)])),
    ]
    return payload_vectors("card", "Card", good, bad, more)
