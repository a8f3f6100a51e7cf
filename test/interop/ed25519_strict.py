"""Ed25519 as SPEC.md (Keys) has it: vetted keys, strict verification, in plain integers."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cbor_profile import Refused, write

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)


def decompress(data):
    """The point that 32 bytes encode canonically, in extended coordinates, or None."""
    if len(data) != 32:
        return None
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    square = u * pow(v, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT_OF_MINUS_ONE % P
    if x * x % P != square or (x == 0 and sign == 1):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def compress(point):
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    total = IDENTITY
    while scalar > 0:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def negate(point):
    x, y, z, t = point
    return (P - x, y, z, P - t)


def is_small_order(point):
    return compress(multiply(8, point)) == compress(IDENTITY)


BASE = decompress((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def vet(public_key):
    """Raises Refused with KEY_INVALID."""
    point = decompress(public_key)
    if point is None or is_small_order(point):
        raise Refused("KEY_INVALID", "not a canonical point of sufficient order")
    return point


def challenge(r, public_key, message):
    return int.from_bytes(hashlib.sha512(r + public_key + message).digest(), "little") % L


def verify(public_key, message, signature):
    point = vet(public_key)
    if len(signature) != 64:
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    r_point = decompress(r)
    if s >= L or r_point is None or is_small_order(r_point):
        return False
    k = challenge(r, public_key, message)
    holds = compress(add(multiply(s, BASE), negate(multiply(k, point)))) == r
    if holds != _library_verifies(public_key, message, signature):
        raise AssertionError("the library disagrees about a signature")
    return holds


def _library_verifies(public_key, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        return True
    except InvalidSignature:
        return False


def sign(seed, message):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def public_key_of(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def secret_scalar(seed):
    digest = bytearray(hashlib.sha512(seed).digest()[:32])
    digest[0] &= 248
    digest[31] = digest[31] & 127 | 64
    return int.from_bytes(digest, "little")


def thumbprint(public_key):
    return hashlib.sha256(write({1: 1, -1: 6, -2: public_key})).digest()
