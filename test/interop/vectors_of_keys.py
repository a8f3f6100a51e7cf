"""The vectors of keys.json."""

import hashlib

import ed25519_strict as ed
from names import base32


def seed_of(name):
    return hashlib.sha256(f"postern test vectors: {name}".encode()).digest()


def key_vectors():
    keys = []
    for name in ("caller", "callee", "another"):
        public = ed.public_key_of(seed_of(name))
        keys.append({"name": name, "seed": seed_of(name).hex(), **_shown(public)})
    mixed = ed.compress(ed.add(ed.decompress(ed.public_key_of(seed_of("caller"))), _order_eight()))
    return {
        "about": "SPEC.md, Keys. Every invalid key is KEY_INVALID.",
        "keys": keys,
        "sound": [{"name": "a point with a component of small order", **_shown(mixed)}],
        "invalidKeys": _invalid_keys(),
        "signatures": _signatures(mixed),
    }


def _shown(public):
    kid = base32(ed.thumbprint(public))
    groups = "-".join(kid[at : at + 4] for at in range(0, len(kid), 4))
    return {
        "publicKey": public.hex(),
        "thumbprint": ed.thumbprint(public).hex(),
        "kid": kid,
        "fingerprint": groups,
    }


def _order_eight():
    """A point of order 8: L times some point that has a component of that order."""
    for y in range(2, 100):
        point = ed.decompress(y.to_bytes(32, "little"))
        if point is None:
            continue
        small = ed.multiply(ed.L, point)
        if ed.compress(ed.multiply(4, small)) != ed.compress(ed.IDENTITY):
            return small
    raise AssertionError("no point of order 8")


def small_order_points():
    eighth = _order_eight()
    points, point = [], ed.IDENTITY
    for _ in range(8):
        points.append(ed.compress(point))
        point = ed.add(point, eighth)
    return points


def _invalid_keys():
    rows = [
        (f"small order, {order} times a point of order 8", point)
        for order, point in enumerate(small_order_points())
    ]

    def encoded(number):
        return number.to_bytes(32, "little")

    not_a_point = next(encoded(y) for y in range(2, 50) if ed.decompress(encoded(y)) is None)
    rows += [
        ("the identity with a sign bit", encoded(1 | 1 << 255)),
        ("y = -1 with a sign bit", encoded(ed.P - 1 | 1 << 255)),
        ("y = p, that is 0", encoded(ed.P)),
        ("y = p + 1, that is 1", encoded(ed.P + 1)),
        ("y = p + 3, a point if it were reduced", encoded(ed.P + 3)),
        ("y = 2^255 - 1", encoded(2**255 - 1)),
        ("all bits", b"\xff" * 32),
        ("not on the curve", not_a_point),
        ("31 bytes", ed.public_key_of(seed_of("caller"))[:31]),
        ("33 bytes", ed.public_key_of(seed_of("caller")) + b"\0"),
        ("no bytes", b""),
    ]
    return [{"name": name, "publicKey": data.hex(), "code": "KEY_INVALID"} for name, data in rows]


def _signatures(mixed):
    seed, message = seed_of("caller"), b"postern"
    public, signature = ed.public_key_of(seed), ed.sign(seed, message)
    scalar = int.from_bytes(signature[32:], "little")
    other = ed.public_key_of(seed_of("callee"))

    def with_s(number):
        return signature[:32] + number.to_bytes(32, "little")

    def flipped(at, bit=0):
        return signature[:at] + bytes([signature[at] ^ 1 << bit]) + signature[at + 1 :]

    def row(name, key, signed, by=message):
        return {
            "name": name,
            "publicKey": key.hex(),
            "message": by.hex(),
            "signature": signed.hex(),
        }

    identity = ed.compress(ed.IDENTITY)
    s_identity = ed.challenge(identity, public, message) * ed.secret_scalar(seed) % ed.L
    no_message = ed.sign(seed, b"")
    return {
        "valid": [
            row("as it was signed", public, signature),
            row("an empty message", public, no_message, b""),
            row("a long message", public, ed.sign(seed, bytes(5000)), bytes(5000)),
            row(
                "a key with a component of small order",
                mixed,
                _sign_mixed(seed, mixed, True),
                message,
            ),
        ],
        "invalid": [
            row("another message", public, signature, b"Postern"),
            row("another key", other, signature),
            row("a bit of R flipped", public, flipped(0)),
            row("the sign bit of R flipped", public, flipped(31, 7)),
            row("a bit of S flipped", public, flipped(32)),
            row("the highest bit of S flipped", public, flipped(63, 7)),
            row("S + L", public, with_s(scalar + ed.L)),
            row("S = L", public, with_s(ed.L)),
            row("S = 0", public, with_s(0)),
            row("S = 2^256 - 1", public, with_s(2**256 - 1)),
            row(
                "R of small order that fits the equation",
                public,
                identity + s_identity.to_bytes(32, "little"),
            ),
            row(
                "R not canonical",
                public,
                (ed.P + 1).to_bytes(32, "little") + s_identity.to_bytes(32, "little"),
            ),
            row("fits only with the cofactor", mixed, _sign_mixed(seed, mixed, False), message),
            row("63 bytes", public, signature[:63]),
            row("65 bytes", public, signature + b"\0"),
            row("no bytes", public, b""),
            row("zeros", public, bytes(64)),
        ],
    }


def _sign_mixed(seed, mixed, fits):
    """A signature under A + T, T of order 8; it fits without the cofactor if 8 divides k."""
    secret = ed.secret_scalar(seed)
    for nonce in range(1, 1000):
        r = ed.compress(ed.multiply(nonce, ed.BASE))
        k = ed.challenge(r, mixed, b"postern")
        if (k % 8 == 0) == fits:
            return r + ((nonce + k * secret) % ed.L).to_bytes(32, "little")
    raise AssertionError("no such challenge")
