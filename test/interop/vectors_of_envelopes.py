"""The vectors of envelope.json and card-text.json."""

import hashlib
import struct

import ed25519_strict as ed
from cbor_profile import head, to_plain, write
from envelopes import CLAIM_KEYS, header_of, make_envelope, to_be_signed, typ_of
from names import base32, digest_of, key_of, run_id
from payloads import READERS, card_text
from samples import CALLEE, CALLER, DELTA, DONE, EXP, IAT, REALM, STARTED, card_payload, changed
from vectors_of_keys import seed_of


def scenes():
    """One envelope of each kind: (kind, seed, claims, key, payload)."""
    run = run_id(REALM, CALLER, None, CALLEE, "order-1")
    payload = {
        "v": 1,
        "agentTarget": "diagnose",
        "idempotencyKey": "order-1",
        "callerIdentity": {"gateway": CALLER},
        "prompt": {"text": "Why is the queue full?"},
    }
    there = {"to": CALLEE, "from": CALLER, "runId": run}
    back = {"to": CALLER, "from": CALLEE, "runId": run}
    asked = {"iss": CALLER, "aud": CALLEE, "exp": EXP, "iat": IAT}
    key = key_of({"kind": "request", **there})
    yield "request", "caller", asked, key, payload

    request = make_envelope("request", asked, write(payload), seed_of("caller"), REALM, key)
    digest = digest_of(request)
    key = key_of({"kind": "cancel", **there, "digest16": digest[:16]})
    yield "cancel", "caller", {**asked, "iat": IAT + 60}, key, {
        "v": 1,
        "runId": run,
        "requestDigest": digest,
    }

    answered = {"iss": CALLEE, "aud": CALLER, "iat": IAT + 2}
    payload = {
        "v": 1,
        "runId": run,
        "requestDigest": digest,
        "attempt": 1,
        "seq": 0,
        "prev": bytes(32),
    }
    for frames in ([STARTED, DELTA], [DELTA, DELTA], [DONE]):
        key = key_of(
            {"kind": "frames", **back, "digest16": digest[:16], "attempt": 1, "seq": payload["seq"]}
        )
        yield "frames", "callee", answered, key, {**payload, "frames": frames}
        envelope = make_envelope(
            "frames", answered, write({**payload, "frames": frames}), seed_of("callee"), REALM, key
        )
        payload = {
            **payload,
            "seq": payload["seq"] + len(frames),
            "prev": hashlib.sha256(envelope).digest(),
        }

    key = key_of({"kind": "card", "gateway": CALLEE, "version": 1})
    yield "card", "callee", {
        "iss": CALLEE,
        "exp": IAT + 31_536_000,
        "iat": IAT,
    }, key, card_payload()

    key = key_of({"kind": "owner", "gateway": CALLEE, "generation": 7})
    claim = {"v": 1, "generation": 7, "nonce": base32(bytes(range(16)))}
    yield "owner", "callee", {"iss": CALLEE, "iat": IAT}, key, claim


def envelope_vectors():
    rows = []
    for kind, name, claims, key, value in scenes():
        payload = write(value)
        protected = write(header_of(kind, claims, ed.public_key_of(seed_of(name))))
        rows.append(
            {
                "name": f"{kind} under {key}",
                "kind": kind,
                "seed": seed_of(name).hex(),
                "publicKey": ed.public_key_of(seed_of(name)).hex(),
                "realm": REALM,
                "key": key,
                "claims": claims,
                "payload": payload.hex(),
                "value": to_plain(READERS[kind](payload)),
                "toBeSigned": to_be_signed(protected, REALM, key, payload).hex(),
                "envelope": make_envelope(kind, claims, payload, seed_of(name), REALM, key).hex(),
            }
        )
    return {
        "about": "SPEC.md, Envelope. Read each as `kind`, for `realm` and `key`, by `publicKey`.",
        "valid": rows,
        "invalid": _invalid_envelopes(rows),
    }


def _invalid_envelopes(rows):
    request = rows[0]
    by_kind = {row["kind"]: row for row in rows}
    seed, payload, key = seed_of("caller"), bytes.fromhex(request["payload"]), request["key"]
    public, claims = ed.public_key_of(seed), request["claims"]
    header = header_of("request", claims, public)
    sound = bytes.fromhex(request["envelope"])
    signature = sound[-64:]

    def row(name, code, data, kind="request", **other):
        place = {"kind": kind, "realm": REALM, "key": key, "publicKey": public.hex(), **other}
        shown = {"parts": data} if isinstance(data, list) else {"envelope": data.hex()}
        return {"name": name, **place, **shown, "code": code}

    def signed(protected, body=payload):
        """Four parts whose signature is right for whatever header they have."""
        parts = [write(protected) if isinstance(protected, dict) else protected, {}, body]
        return [*parts, ed.sign(seed, to_be_signed(parts[0], REALM, key, body))]

    def with_header(protected):
        return b"\xd2" + write(signed(protected))

    def with_claims(numbered):
        return with_header({**header, 15: numbered})

    def with_item(at, item):
        items = [write(part) for part in signed(header)]
        items[at] = item
        return b"\xd2\x84" + b"".join(items)

    numbered = header[15]
    sorted_pairs = [write(label) + write(value) for label, value in header.items()]
    swapped = b"\xa4" + sorted_pairs[1] + sorted_pairs[0] + b"".join(sorted_pairs[2:])
    twice = b"\xa5" + sorted_pairs[0] * 2 + b"".join(sorted_pairs[1:])
    wide_alg = b"\xa4\x01\x39\x00\x12" + b"".join(sorted_pairs[1:])
    float_iat = write({**header, 15: {**numbered, 6: 0.5}}).replace(
        write(0.5), b"\xfb" + struct.pack(">d", IAT)
    )
    rows = [
        # The whole
        row("no bytes", "COSE_MALFORMED", b""),
        row("no tag", "COSE_MALFORMED", sound[1:]),
        row("tag 17", "COSE_MALFORMED", b"\xd1" + sound[1:]),
        row("tag 18 in two bytes", "COSE_MALFORMED", b"\xd8\x12" + sound[1:]),
        row("tag 18 twice", "CBOR_FORBIDDEN", b"\xd2" + sound),
        row("tag 98, several signatures", "COSE_MALFORMED", b"\xd8\x62" + sound[1:]),
        row("a self-described envelope", "COSE_MALFORMED", b"\xd9\xd9\xf7" + sound),
        row("the tag alone", "CBOR_MALFORMED", b"\xd2"),
        row("cut off", "CBOR_MALFORMED", sound[:-1]),
        row("a byte after it", "CBOR_MALFORMED", sound + b"\0"),
        row("twice", "CBOR_MALFORMED", sound + sound),
        row(
            "an array of indefinite length", "CBOR_NOT_CANONICAL", b"\xd2\x9f" + sound[2:] + b"\xff"
        ),
        row("the array's count in two bytes", "CBOR_NOT_CANONICAL", b"\xd2\x98\x04" + sound[2:]),
        row("an array of three", "COSE_MALFORMED", b"\xd2" + write(signed(header)[:3])),
        row("an array of five", "COSE_MALFORMED", b"\xd2" + write([*signed(header), None])),
        row("a map", "COSE_MALFORMED", b"\xd2" + write({1: 2})),
        row(
            "a byte more than 1 MiB",
            "CBOR_TOO_LARGE",
            [["d2", 1], ["5a000ffffb", 1], ["00", 1048571]],
        ),
        row(
            "shared values (tags 28 and 29)",
            "CBOR_FORBIDDEN",
            bytes.fromhex("d2d81c82d81c820101d81d00"),
        ),
        # Its parts
        row("a protected header that is a map", "COSE_MALFORMED", with_item(0, write(header))),
        row(
            "an unprotected header with a kid",
            "COSE_MALFORMED",
            with_item(1, write({4: header[4]})),
        ),
        row("an unprotected header with anything", "COSE_MALFORMED", with_item(1, write({"a": 0}))),
        row("an unprotected header of null", "COSE_MALFORMED", with_item(1, write(None))),
        row("an unprotected header of bytes", "COSE_MALFORMED", with_item(1, write(b""))),
        row("no payload (nil)", "COSE_MALFORMED", with_item(2, write(None))),
        row("a payload that is a map", "COSE_MALFORMED", with_item(2, payload)),
        row("a payload that is a text", "COSE_MALFORMED", with_item(2, write("a"))),
        row(
            "a payload in a long head",
            "CBOR_NOT_CANONICAL",
            with_item(2, b"\x5a" + len(payload).to_bytes(4, "big") + payload),
        ),
        row("a signature of 63 bytes", "COSE_MALFORMED", with_item(3, write(signature[:63]))),
        row("a signature of 65 bytes", "COSE_MALFORMED", with_item(3, write(signature + b"\0"))),
        row("no signature", "COSE_MALFORMED", with_item(3, write(b""))),
        row("a signature that is null", "COSE_MALFORMED", with_item(3, write(None))),
        # The protected header
        row("an empty header in no bytes", "CBOR_MALFORMED", with_header(b"")),
        row("a header that is no map", "COSE_HEADER_INVALID", with_header(b"\x80")),
        row("an empty header", "COSE_HEADER_INVALID", with_header({})),
        row("bytes after the header", "CBOR_MALFORMED", with_header(write(header) + b"\0")),
        row("header keys out of order", "CBOR_NOT_CANONICAL", with_header(swapped)),
        row("alg twice", "CBOR_NOT_CANONICAL", with_header(twice)),
        row("alg in a long head", "CBOR_NOT_CANONICAL", with_header(wide_alg)),
        row("a header with a tag", "CBOR_FORBIDDEN", with_header(b"\xc0" + write(header))),
        row("alg -8 (EdDSA)", "COSE_HEADER_INVALID", with_header({**header, 1: -8})),
        row("alg -7 (ES256)", "COSE_HEADER_INVALID", with_header({**header, 1: -7})),
        row("alg as text", "COSE_HEADER_INVALID", with_header({**header, 1: "Ed25519"})),
        row("a kid as text", "COSE_HEADER_INVALID", with_header({**header, 4: base32(header[4])})),
        row("a kid of 31 bytes", "COSE_HEADER_INVALID", with_header({**header, 4: header[4][:31]})),
        row(
            "claims that are bytes",
            "COSE_HEADER_INVALID",
            with_header({**header, 15: write(numbered)}),
        ),
        row("typ as a number", "COSE_HEADER_INVALID", with_header({**header, 16: 1})),
        row("crit", "COSE_HEADER_INVALID", with_header({**header, 2: [1]})),
        row(
            "a content type", "COSE_HEADER_INVALID", with_header({**header, 3: "application/cbor"})
        ),
        row(
            "a parameter named by a text",
            "COSE_HEADER_INVALID",
            with_header({**header, "alg": -19}),
        ),
        *(
            row(f"no {label}", "COSE_HEADER_INVALID", with_header(changed(header, label)))
            for label in header
        ),
        row("typ of a cancel", "COSE_TYP_MISMATCH", with_header({**header, 16: typ_of("cancel")})),
        row("typ in capitals", "COSE_TYP_MISMATCH", with_header({**header, 16: typ_of("Request")})),
        row(
            "typ with a parameter",
            "COSE_TYP_MISMATCH",
            with_header({**header, 16: header[16] + ";v=1"}),
        ),
        row(
            "typ without application/",
            "COSE_TYP_MISMATCH",
            with_header({**header, 16: "vnd.postern.request"}),
        ),
        row("an empty typ", "COSE_TYP_MISMATCH", with_header({**header, 16: ""})),
        # The claims
        *(
            row(f"no {name}", "CLAIMS_INVALID", with_claims(changed(numbered, label)))
            for name, label in CLAIM_KEYS.items()
        ),
        row("no claims", "CLAIMS_INVALID", with_claims({})),
        row("a claim too many: nbf", "CLAIMS_INVALID", with_claims({**numbered, 5: IAT})),
        row("a claim too many: cti", "CLAIMS_INVALID", with_claims({**numbered, 7: b"1"})),
        row("a claim named by a text", "CLAIMS_INVALID", with_claims({**numbered, "iss": CALLER})),
        row(
            "sub instead of aud", "CLAIMS_INVALID", with_claims({2: CALLEE, **changed(numbered, 3)})
        ),
        row("iss that is no name", "CLAIMS_INVALID", with_claims({**numbered, 1: "EU-LAB"})),
        row("iss as bytes", "CLAIMS_INVALID", with_claims({**numbered, 1: b"eu-lab"})),
        row("a reserved iss", "CLAIMS_INVALID", with_claims({**numbered, 1: "eu.con"})),
        row("aud as a list", "CLAIMS_INVALID", with_claims({**numbered, 3: [CALLEE]})),
        row("iat before 1970", "CLAIMS_INVALID", with_claims({**numbered, 6: -1})),
        row("iat with a fraction", "CLAIMS_INVALID", with_claims({**numbered, 6: IAT + 0.5})),
        row("iat as a whole float", "CBOR_NOT_CANONICAL", with_header(float_iat)),
        row("exp as a text", "CLAIMS_INVALID", with_claims({**numbered, 4: str(EXP)})),
        row("exp beyond 2^53 - 1", "CLAIMS_INVALID", with_claims({**numbered, 4: 2.0**53})),
        row("exp that is null", "CLAIMS_INVALID", with_claims({**numbered, 4: None})),
    ]
    rows += _not_signed_so(row, request, by_kind, header, signed, sound, signature, payload)
    return rows


def _not_signed_so(row, request, by_kind, header, signed, sound, signature, payload):
    code = "SIGNATURE_INVALID"
    scalar = int.from_bytes(signature[32:], "little")
    plus_order = signature[:32] + (scalar + ed.L).to_bytes(32, "little")
    other = seed_of("another")
    other_public = ed.public_key_of(other)
    other_header = {**header, 4: ed.thumbprint(other_public)}
    protected = write(header)
    no_aad = ed.sign(seed_of("caller"), write(["Signature1", protected, b"", payload]))
    other_context = ed.sign(
        seed_of("caller"),
        write(["Signature", protected, write(["postern/v1", REALM, request["key"]]), payload]),
    )
    by_other = ed.sign(other, to_be_signed(protected, REALM, request["key"], payload))
    rows = [
        row("another realm", code, sound, realm="staging"),
        row("another key of the store", code, sound, key=request["key"][:-1] + "a"),
        row("a key with the store's prefix", code, sound, key="prefix/" + request["key"]),
        row("another public key", code, sound, publicKey=other_public.hex()),
        row("a kid that is another key's", code, b"\xd2" + write(signed(other_header))),
        row(
            "signed by another key under this kid",
            code,
            b"\xd2" + write([protected, {}, payload, by_other]),
        ),
        row("a bit of R flipped", code, sound[:-64] + bytes([sound[-64] ^ 1]) + sound[-63:]),
        row("a bit of S flipped", code, sound[:-1] + bytes([sound[-1] ^ 1])),
        row("S + L", code, sound[:-64] + plus_order),
        row("a signature of zeros", code, sound[:-64] + bytes(64)),
        row("a payload with a bit flipped", code, sound.replace(b"queue", b"queud")),
        row("an empty payload", code, b"\xd2" + write([protected, {}, b"", signature])),
        row(
            "signed without external data", code, b"\xd2" + write([protected, {}, payload, no_aad])
        ),
        row(
            "signed as a COSE_Sign", code, b"\xd2" + write([protected, {}, payload, other_context])
        ),
        row(
            "a later iat under the same signature",
            code,
            sound.replace(head(0, IAT), head(0, IAT + 1), 1),
        ),
        row(
            "frames read as a request",
            "COSE_TYP_MISMATCH",
            bytes.fromhex(by_kind["frames"]["envelope"]),
        ),
    ]
    for kind, found in by_kind.items():
        public = {"publicKey": found["publicKey"], "key": found["key"], "kind": kind}
        envelope = bytes.fromhex(found["envelope"])
        seed = bytes.fromhex(found["seed"])
        payload = bytes.fromhex(found["payload"])
        rows.append(
            row(f"{kind} of another realm", code, envelope, **{**public, "realm": "staging"})
        )
        more = {"aud": CALLER, "exp": EXP, **found["claims"]}
        for name in ("aud", "exp"):
            odd = more if name not in found["claims"] else None
            claims = (
                {**found["claims"], name: more[name]} if odd else changed(found["claims"], name)
            )
            signed_odd = make_envelope(kind, claims, payload, seed, REALM, found["key"])
            rows.append(
                row(
                    f"{kind} {'with' if odd else 'without'} {name}",
                    "CLAIMS_INVALID",
                    signed_odd,
                    **public,
                )
            )
    return rows


def card_text_vectors():
    envelope = next(
        make_envelope(kind, claims, write(value), seed_of(name), REALM, key)
        for kind, name, claims, key, value in scenes()
        if kind == "card"
    )
    shown = card_text(envelope)
    lines = "\n".join(shown[at : at + 64] for at in range(0, len(shown), 64))
    good = [
        ("one line", shown),
        ("white space around it", f"  {shown}\n"),
        ("broken into lines", lines),
        ("broken into lines by Windows", lines.replace("\n", "\r\n") + "\r\n"),
        ("a space within the first word", "pos tern1\t" + shown[8:]),
    ]
    bad = [
        ("nothing", ""),
        ("the word alone", "postern1"),
        ("another version", "postern2" + shown[8:]),
        ("without the word", shown[8:]),
        ("in capitals", shown.upper()),
        ("padded", shown + "="),
        ("a character that base32 has not", shown[:-1] + "1"),
        ("bits left over", shown + "b"),
        ("a length that base32 has not", "postern1" + "a"),
        ("a no-break space", shown[:40] + "\u00a0" + shown[40:]),
        ("a zero-width space", shown[:40] + "\u200b" + shown[40:]),
        ("quoted", f'"{shown}"'),
    ]
    return {
        "about": "SPEC.md, Card: as text. Every invalid text is CARD_INVALID.",
        "envelope": envelope.hex(),
        "valid": [{"name": name, "text": text} for name, text in good],
        "invalid": [{"name": name, "text": text, "code": "CARD_INVALID"} for name, text in bad],
    }
