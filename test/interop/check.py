"""Checks all vectors, and judges single cases."""

import ed25519_strict as ed
from cbor_profile import Refused, from_plain, read, write
from envelopes import Envelope, make_envelope, to_be_signed
from names import (
    base32,
    digest_of,
    from_base32,
    intent_digest,
    is_gateway,
    is_label,
    key_of,
    parse_key,
    run_id,
)
from payloads import READERS, envelope_of_card_text, open_card, read_request


def check_all(files):
    """The number of vectors that are as they say. Raises for the first that is not."""
    checks = {
        "names.json": check_names,
        "base32.json": check_base32,
        "cbor.json": check_cbor,
        "object-key.json": check_object_keys,
        "run-id.json": check_run_ids,
        "keys.json": check_keys,
        "envelope.json": check_envelopes,
        "card-text.json": check_card_texts,
    }
    total = 0
    for name, content in files.items():
        kind = name.removesuffix(".json")
        results = checks[name](content) if name in checks else check_payloads(kind, content)
        for what, holds in results:
            if not holds:
                raise AssertionError(f"{name}: {what}")
            total += 1
    return total


def code_of(attempt):
    try:
        attempt()
    except Refused as refused:
        return refused.code
    return "valid"


def bytes_of(row, name="hex"):
    if name in row:
        return bytes.fromhex(row[name])
    return b"".join(bytes.fromhex(piece) * times for piece, times in row["parts"])


def same(one, other):
    """Equal, and of the same types throughout: 1, 1.0 and true are three things."""
    return write(one) == write(other)


def check_names(content):
    for what, is_name in (("gateway", is_gateway), ("agent", is_label), ("realm", is_label)):
        for verdict in ("valid", "invalid"):
            for text in content[what][verdict]:
                yield f"{what} {text!r}", is_name(text) == (verdict == "valid")


def check_base32(content):
    for row in content["valid"]:
        data = bytes.fromhex(row["hex"])
        yield row["text"], base32(data) == row["text"] and from_base32(row["text"]) == data
    for text in content["invalid"]:
        yield text, from_base32(text) is None


def check_cbor(content):
    for row in content["valid"]:
        data = bytes_of(row)
        value = read(data)
        yield row["name"], "value" not in row or (
            same(value, from_plain(row["value"])) and write(value) == data
        )
    for row in content["invalid"]:
        yield row["name"], code_of(lambda: read(bytes_of(row))) == row["code"]


def check_object_keys(content):
    for row in content["valid"]:
        yield row["key"], parse_key(row["key"]) == row["name"] and key_of(row["name"]) == row["key"]
    for key in content["invalid"]:
        yield key, parse_key(key) is None


def check_run_ids(content):
    for row in content["runIds"]:
        parts = [
            row["realm"],
            row["caller"],
            row.get("tenant"),
            row["callee"],
            row["idempotencyKey"],
        ]
        hashed = digest_of(bytes.fromhex(row["hashed"]))
        yield row["runId"], run_id(*parts) == row["runId"] == hashed
    for row in content["digests"]:
        digest = digest_of(bytes.fromhex(row["hex"]))
        yield row["requestDigest"], digest == row["requestDigest"] and digest[:16] == row[
            "digest16"
        ]
    for row in content["intents"]:
        payload = read_request(bytes.fromhex(row["payload"]))
        yield row["intentDigest"], intent_digest(payload) == row["intentDigest"]


def check_keys(content):
    for row in content["keys"] + content["sound"]:
        public = bytes.fromhex(row["publicKey"])
        ed.vet(public)
        kid = base32(ed.thumbprint(public))
        fine = kid == row["kid"] and row["fingerprint"].replace("-", "") == kid
        fine = fine and ed.thumbprint(public).hex() == row["thumbprint"]
        yield row["name"], fine and (
            "seed" not in row or ed.public_key_of(bytes.fromhex(row["seed"])) == public
        )
    for row in content["invalidKeys"]:
        yield row["name"], code_of(lambda: ed.vet(bytes.fromhex(row["publicKey"]))) == row["code"]
    for verdict in ("valid", "invalid"):
        for row in content["signatures"][verdict]:
            parts = [bytes.fromhex(row[part]) for part in ("publicKey", "message", "signature")]
            yield row["name"], ed.verify(*parts) == (verdict == "valid")


def check_payloads(kind, content):
    reader = READERS[kind]
    for row in content["valid"]:
        data = bytes_of(row)
        value = reader(data)
        again = write(value) == data
        yield row["name"], "value" not in row or (
            same(value, from_plain(row["value"])) and again == row["exact"]
        )
    for row in content["invalid"]:
        yield row["name"], code_of(lambda: reader(bytes_of(row))) == row["code"]


def check_envelopes(content):
    for row in content["valid"]:
        data, payload = bytes.fromhex(row["envelope"]), bytes.fromhex(row["payload"])
        envelope = Envelope(row["kind"], data)
        found = envelope.verify(bytes.fromhex(row["publicKey"]), row["realm"], row["key"])
        signed = to_be_signed(envelope.protected, row["realm"], row["key"], payload).hex()
        made = make_envelope(
            row["kind"],
            row["claims"],
            payload,
            bytes.fromhex(row["seed"]),
            row["realm"],
            row["key"],
        )
        fine = found == payload and envelope.claims == row["claims"] and signed == row["toBeSigned"]
        value = READERS[row["kind"]](found)
        yield row["name"], fine and made == data and same(value, from_plain(row["value"]))
    for row in content["invalid"]:
        yield row["name"], judge_envelope(row) == row["code"]


def check_card_texts(content):
    for row in content["valid"]:
        data = envelope_of_card_text(row["text"])
        open_card(data)
        yield row["name"], data.hex() == content["envelope"]
    for row in content["invalid"]:
        yield row["name"], code_of(lambda: envelope_of_card_text(row["text"])) == row["code"]


def judge_envelope(row):
    def attempt():
        envelope = Envelope(row["kind"], bytes_of(row, "envelope"))
        envelope.verify(bytes.fromhex(row["publicKey"]), row["realm"], row["key"])

    return code_of(attempt)


def judge(case):
    """The verdict on an envelope to verify, or on a payload (`as` a kind, or `cbor`) to read."""
    if "envelope" in case:
        return judge_envelope(case)
    data = bytes.fromhex(case["hex"])
    return code_of(lambda: read(data) if case["as"] == "cbor" else READERS[case["as"]](data))
