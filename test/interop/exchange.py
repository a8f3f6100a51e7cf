"""Fresh objects of every kind, made for the other side and read from it: whole runs.

An exchange is {"realm", "gateways": {name: public key}, "objects": [{"key", "envelope", "claims",
"value"}], "cards": [text]}; `value` is the payload as plain JSON (see `to_plain`), and the key says
the kind.
"""

import hashlib
import os
import random

import ed25519_strict as ed
from cbor_profile import from_plain, to_plain, write
from check import same
from envelopes import CLAIMS, Envelope, make_envelope
from names import base32, digest_of, key_of, parse_key, run_id
from payloads import READERS, STATUSES, card_text, envelope_of_card_text, open_card

CALLER, CALLEE, REALM = "asker.example", "answerer", "interop"
RUNS = 12


def make():
    chance = random.Random(os.urandom(16))
    maker = _Maker(chance)
    for number in range(RUNS):
        maker.run(number)
    maker.sign(
        "owner",
        {"gateway": CALLEE, "generation": 3},
        {"generation": 3, "nonce": base32(os.urandom(16))},
    )
    card = {
        "realm": REALM,
        "gateway": CALLEE,
        "version": 41,
        "keys": [ed.public_key_of(maker.seeds[CALLEE]), ed.public_key_of(maker.seeds[CALLER])],
        "agents": [{"name": "diagnose", "description": some_text(chance)}, {"name": "b"}],
        "maxRequestBytes": 1000,
    }
    envelope = maker.sign("card", {"gateway": CALLEE, "version": 41}, card)
    return {
        "realm": REALM,
        "gateways": {name: ed.public_key_of(seed).hex() for name, seed in maker.seeds.items()},
        "objects": maker.objects,
        "cards": [card_text(envelope)],
    }


class _Maker:
    def __init__(self, chance):
        self.chance = chance
        self.seeds = {CALLER: os.urandom(32), CALLEE: os.urandom(32)}
        self.objects = []
        self.iat = 1_790_000_000 + chance.randrange(10_000_000)

    def sign(self, kind, name, payload):
        key = key_of({"kind": kind, **name})
        signer = name.get("from", name.get("gateway"))
        possible = {"iss": signer, "aud": name.get("to"), "exp": self.iat + 3600, "iat": self.iat}
        claims = {claim: possible[claim] for claim in CLAIMS[kind]}
        value = {"v": 1, **payload}
        envelope = make_envelope(kind, claims, write(value), self.seeds[signer], REALM, key)
        plain = {"key": key, "envelope": envelope.hex(), "claims": claims, "value": to_plain(value)}
        self.objects.append(plain)
        return envelope

    def run(self, number):
        chance = self.chance
        tenant = some_text(chance, 1) if number % 3 == 0 else None
        idempotency_key = f"{number} {some_text(chance)}"
        run = run_id(REALM, CALLER, tenant, CALLEE, idempotency_key)
        asked = [
            {"prompt": {"text": some_text(chance)}},
            {"toolCall": {"name": "t", "input": some_json(chance)}},
        ]
        identity = {"gateway": CALLER, **({} if tenant is None else {"tenant": tenant})}
        payload = {
            "agentTarget": "diagnose",
            "idempotencyKey": idempotency_key,
            "callerIdentity": identity,
            **asked[number % 2],
            **({"deadline": self.iat + 60} if number % 4 == 0 else {}),
            **({"meta": some_json(chance)} if number % 4 == 1 else {}),
            **({"via": ["x.y", "z"]} if number % 4 == 2 else {}),
        }
        request = self.sign("request", {"to": CALLEE, "from": CALLER, "runId": run}, payload)
        digest = digest_of(request)
        place = {"runId": run, "digest16": digest[:16]}
        if number % 5 == 0:
            self.sign(
                "cancel",
                {"to": CALLEE, "from": CALLER, **place},
                {"runId": run, "requestDigest": digest},
            )
        for attempt in range(1, 2 + number % 2):
            self.attempt({"runId": run, "requestDigest": digest, "attempt": attempt})

    def attempt(self, answered):
        said = list(self.events(answered["attempt"]))
        prev, seq = bytes(32), 0
        while said:
            count = self.chance.randint(1, len(said))
            frames, said = said[:count], said[count:]
            name = {
                "to": CALLER,
                "from": CALLEE,
                "runId": answered["runId"],
                "digest16": answered["requestDigest"][:16],
            }
            place = {**name, "attempt": answered["attempt"], "seq": seq}
            envelope = self.sign(
                "frames", place, {**answered, "seq": seq, "prev": prev, "frames": frames}
            )
            prev, seq = hashlib.sha256(envelope).digest(), seq + count

    def events(self, attempt):
        chance, at = self.chance, self.iat * 1000

        def event(name, payload):
            return {"event": name, "payload": payload, "at": at + chance.randrange(5000)}

        yield event("started", {"agent": "diagnose", "attempt": attempt})
        yield event("textDelta", {"text": some_text(chance)})
        yield event(
            "tokenUsage", {"inputTokens": 1, "outputTokens": 2**40, "totalTokens": 0, "model": "m"}
        )
        yield event(
            "toolCall", {"id": "1", "name": some_text(chance, 1), "input": some_json(chance)}
        )
        yield event(
            "toolResult", {"id": "1", "output": some_json(chance), "isError": chance.random() < 0.5}
        )
        yield event("phaseEnd", {"phase": "p"})
        yield event("error", {"code": "E", "message": some_text(chance), "retryable": True})
        status = chance.choice(STATUSES)
        ended = {"status": status, "result": some_json(chance)}
        if status != "succeeded":
            ended["error"] = {"code": "INTERRUPTED", "message": some_text(chance)}
        yield event("terminal", ended)


def some_text(chance, least=0):
    alphabet = 'ab \n\0\x1b"\\\x7fäß\u0301\u2028\ufeff\u200b漢🛶\U0010ffff'
    return "".join(chance.choice(alphabet) for _ in range(chance.randint(least, 24)))


def some_json(chance, depth=0):
    kind = chance.randrange(7 if depth < 4 else 5)
    if kind == 0:
        return chance.choice([None, True, False])
    if kind == 1:
        return chance.randint(-(2 ** chance.randint(0, 53)) + 1, 2 ** chance.randint(0, 53) - 1)
    if kind == 2:
        return chance.choice(
            [chance.uniform(-1, 1), chance.uniform(-1e300, 1e300), 2.0**53, 5e-324, -0.1]
        )
    if kind in (3, 4):
        return some_text(chance)
    count = chance.randint(0, 5)
    if kind == 5:
        return [some_json(chance, depth + 1) for _ in range(count)]
    keys = [
        chance.choice(["__proto__", "constructor", "1", "", some_text(chance)])
        for _ in range(count)
    ]
    return {key.lstrip("$"): some_json(chance, depth + 1) for key in keys}


def read(exchange):
    """The number of objects in order and in their places. Raises for the first that is not."""
    realm = exchange["realm"]
    keys = {name: bytes.fromhex(key) for name, key in exchange["gateways"].items()}
    requests, chains, kinds = {}, {}, set()
    for row in exchange["objects"]:
        name = parse_key(row["key"])
        kinds.add(name["kind"])
        envelope = Envelope(name["kind"], bytes.fromhex(row["envelope"]))
        signer = name.get("from", name.get("gateway"))
        payload = READERS[name["kind"]](envelope.verify(keys[signer], realm, row["key"]))
        expect(row, same(payload, from_plain(row["value"])), "the payload says something else")
        expect(
            row, envelope.claims == row["claims"] and envelope.claims["iss"] == signer, "the claims"
        )
        expect(row, envelope.claims.get("aud") == name.get("to"), "the audience")
        check_place(row, name, payload, realm, requests, chains)
    for shown in exchange["cards"]:
        card = open_card(envelope_of_card_text(shown), realm)
        expect(shown, card["keys"][0] == keys[card["gateway"]], "the card's first key")
    expect(kinds, kinds == set(CLAIMS), "an object of every kind")
    return len(exchange["objects"]) + len(exchange["cards"])


def check_place(row, name, payload, realm, requests, chains):
    """That the key says what the payload says. Objects come in the order of their making."""
    kind = name["kind"]
    if kind == "request":
        identity = payload["callerIdentity"]
        expected = run_id(
            realm, name["from"], identity.get("tenant"), name["to"], payload["idempotencyKey"]
        )
        expect(row, name["runId"] == expected and identity["gateway"] == name["from"], "the run id")
        requests[name["runId"]] = digest_of(bytes.fromhex(row["envelope"]))
    elif kind in ("cancel", "frames"):
        digest = requests[name["runId"]]
        expect(
            row,
            payload["runId"] == name["runId"] and payload["requestDigest"] == digest,
            "the request",
        )
        expect(row, name["digest16"] == digest[:16], "the digest in the key")
    else:
        number = "version" if kind == "card" else "generation"
        expect(row, payload[number] == name[number], number)
    if kind == "frames":
        expect(
            row,
            (payload["attempt"], payload["seq"]) == (name["attempt"], name["seq"]),
            "attempt and seq",
        )
        chain = (name["runId"], name["attempt"])
        expect(
            row, chains.get(chain, (0, bytes(32))) == (payload["seq"], payload["prev"]), "the chain"
        )
        after = hashlib.sha256(bytes.fromhex(row["envelope"])).digest()
        chains[chain] = (payload["seq"] + len(payload["frames"]), after)


def expect(where, condition, what):
    if not condition:
        raise AssertionError(f"{what}: {where}")
