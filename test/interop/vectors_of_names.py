"""The vectors of names.json, base32.json, object-key.json and run-id.json."""

from cbor_profile import write
from names import base32, digest_of, intent_digest, key_of, run_id


def name_vectors():
    longest = ".".join(["a" * 49, "b" * 50])
    gateways = [
        "a",
        "0",
        "eu-lab",
        "eu-lab.example.org",
        "a--b",
        "console",
        "com10",
        "com",
        "x.y.z",
        "a" * 63,
        longest,
    ]
    not_gateways = [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "A",
        "a_b",
        "-a",
        "a-",
        "a.-b",
        "ä",
        "a b",
        "a/b",
        "..",
        "a\n",
        "a" * 64,
    ]
    not_gateways += [
        longest + "c",
        "con",
        "nul",
        "a.con",
        "con.a",
        "com1",
        "lpt9.example",
        "aux",
        "prn",
        "com0",
        "a\u0000",
    ]
    labels = ["a", "9", "diagnose", "a-b", "a--b", "a" * 63]
    not_labels = ["", "a.b", "A", "a_b", "-a", "a-", "con", "lpt0", "a" * 64, "é", "a/b", "a\n"]
    return {
        "about": "SPEC.md, Names.",
        "gateway": {"valid": gateways, "invalid": not_gateways},
        "agent": {"valid": labels, "invalid": not_labels},
        "realm": {"valid": labels, "invalid": not_labels},
    }


def base32_vectors():
    samples = [b"", b"\0", b"\xff", b"ab", b"abc", b"abcd", b"abcde", bytes(range(32))]
    return {
        "about": "SPEC.md, Names: base32.",
        "valid": [{"hex": data.hex(), "text": base32(data)} for data in samples],
        "invalid": [
            "a",
            "aaa",
            "aaaaaa",
            "ab",
            "7z======",
            "AA",
            "a1",
            "a8",
            "aa aa",
            "mfr",
            "mfrgg===",
            "ää",
        ],
    }


def object_key_vectors():
    run, digest = digest_of(b"run"), digest_of(b"digest")[:16]
    nonce = base32(bytes(16))
    pair = {"to": "us.ops", "from": "eu-lab"}
    frames = {"kind": "frames", **pair, "runId": run, "digest16": digest}
    names = [
        {"kind": "card", "gateway": "eu-lab", "version": 1},
        {"kind": "card", "gateway": "eu-lab", "version": 9_999_999_999},
        {"kind": "owner", "gateway": "us.ops", "generation": 12},
        {"kind": "probe", "gateway": "us.ops", "id": nonce},
        {"kind": "request", **pair, "runId": run},
        {"kind": "request", "to": "inbox", "from": "frames", "runId": run},
        {"kind": "cancel", **pair, "runId": run, "digest16": digest},
        {**frames, "attempt": 1, "seq": 0},
        {**frames, "attempt": 9999, "seq": 9_999_999_999},
    ]
    request, cancel = f"us.ops/inbox/eu-lab/{run}", f"us.ops/inbox/eu-lab/{run}.{digest}.cancel"
    frame = f"us.ops/frames/eu-lab/{run}/{digest}"
    bad = [
        "",
        "/",
        "eu-lab",
        "eu-lab/",
        "eu-lab/card",
        "eu-lab/card/",
        "eu-lab/card/1",
        "eu-lab/card/0000000000",
    ]
    bad += [
        "eu-lab/card/00000000001",
        "eu-lab/card/000000000a",
        "eu-lab/card/+000000001",
        "eu-lab/card/0000000001/",
    ]
    bad += [
        "/eu-lab/card/0000000001",
        "EU-lab/card/0000000001",
        "eu_lab/card/0000000001",
        "con/card/0000000001",
    ]
    bad += [
        "eu-lab/Card/0000000001",
        "eu-lab//card/0000000001",
        "eu-lab/card/../card/0000000001",
        "../card/0000000001",
    ]
    bad += [
        "eu-lab/owner/0000000000",
        "eu-lab/owner/0000000001.bak",
        "eu-lab/scopes/0000000001",
        "eu-lab/probe/a",
    ]
    bad += [
        f"us.ops/blobs/eu-lab/{run}/{run}",
        f"eu-lab/probe/{nonce}a",
        f"eu-lab/probe/{nonce.upper()}",
    ]
    bad += [f"us.ops/inbox/{run}", f"us.ops/inbox/eu-lab/{run[:-1]}", f"us.ops/inbox/eu-lab/{run}a"]
    bad += [
        request + "\n",
        request + "/",
        request + ".",
        request + ".cancel",
        "\u001b[2J" + request,
        request.upper(),
    ]
    bad += [
        cancel + ".cancel",
        cancel.replace(".cancel", ".Cancel"),
        cancel.replace(digest, digest[:-1]),
    ]
    bad += [
        cancel.replace(digest, ""),
        request + "/" + digest + ".cancel",
        cancel.replace("cancel", "stop"),
    ]
    bad += [frame, frame + "/", frame + "/0001", frame + "/0001-", frame + "/0000-0000000000"]
    bad += [
        frame + "/0001-000000000",
        frame + "/1-0",
        frame + "/0001-0000000000-0",
        frame + "/0001_0000000000",
    ]
    bad += [
        frame + "/00001-0000000000",
        frame + "/0001-00000000٠0",
        frame.replace(digest, digest + "a") + "/0001-0000000000",
    ]
    bad += [f"us.ops/frames/eu-lab/{run}/0001-0000000000", "a" * 600]
    return {
        "about": "SPEC.md, Object keys. What is refused is KEY_NAME_UNKNOWN.",
        "valid": [{"key": key_of(name), "name": name} for name in names],
        "invalid": bad,
    }


def run_id_vectors():
    rows = [
        ("prod", "eu-lab", None, "us.ops", "order-1"),
        ("prod", "eu-lab", "acme", "us.ops", "order-1"),
        ("staging", "eu-lab", None, "us.ops", "order-1"),
        ("prod", "us.ops", None, "eu-lab", "order-1"),
        ("prod", "eu-lab", None, "us.ops", "x" * 256),
        ("prod", "eu-lab", "mandant-ä", "us.ops", "Auftrag №1 🛶"),
        ("prod", "eu-lab", "a", "us.ops", "\ufeff"),
    ]
    run_ids = []
    for realm, caller, tenant, callee, key in rows:
        parts = {"realm": realm, "caller": caller, "callee": callee, "idempotencyKey": key}
        named = write(["postern/v1/run", realm, caller, tenant or "", callee, key])
        row = {**parts, **({} if tenant is None else {"tenant": tenant})}
        run_ids.append(
            {**row, "hashed": named.hex(), "runId": run_id(realm, caller, tenant, callee, key)}
        )
    payload = {
        "v": 1,
        "agentTarget": "diagnose",
        "idempotencyKey": "order-1",
        "callerIdentity": {"gateway": "eu-lab", "tenant": "acme"},
        "toolCall": {"name": "ping", "input": {"times": 3, "every": 0.5}},
        "via": ["eu-edge"],
        "meta": [None, {}],
    }
    intent = intent_digest(payload)
    return {
        "about": "SPEC.md, Run id. `hashed` is the CBOR whose SHA-256 is the run id.",
        "runIds": run_ids,
        "digests": [
            {"hex": data.hex(), "requestDigest": digest_of(data), "digest16": digest_of(data)[:16]}
            for data in (b"", b"\xd2", bytes(range(256)))
        ],
        "intents": [
            {"payload": write(each).hex(), "intentDigest": intent}
            for each in (
                payload,
                {**payload, "deadline": 1},
                {**payload, "deadline": 1_790_000_000},
            )
        ]
        + [
            {"payload": write(each).hex(), "intentDigest": intent_digest(each)}
            for each in (
                {**payload, "meta": None},
                {**payload, "via": []},
                {**payload, "agentTarget": "other"},
            )
        ],
    }
