"""Envelopes as SPEC.md has them."""

import ed25519_strict as ed
from cbor_profile import MOST_BYTES, Refused, is_integer, read, write
from names import is_gateway

CLAIM_KEYS = {"iss": 1, "aud": 3, "exp": 4, "iat": 6}
CLAIMS = {
    "request": ("iss", "aud", "exp", "iat"),
    "cancel": ("iss", "aud", "exp", "iat"),
    "frames": ("iss", "aud", "iat"),
    "card": ("iss", "exp", "iat"),
    "owner": ("iss", "iat"),
}


def typ_of(kind):
    return f"application/vnd.postern.{kind}"


def header_of(kind, claims, public_key):
    by_number = {CLAIM_KEYS[name]: value for name, value in claims.items()}
    return {1: -19, 4: ed.thumbprint(public_key), 15: by_number, 16: typ_of(kind)}


def to_be_signed(protected, realm, key, payload):
    aad = write(["postern/v1", realm, key])
    return write(["Signature1", protected, aad, payload])


def make_envelope(kind, claims, payload, seed, realm, key):
    protected = write(header_of(kind, claims, ed.public_key_of(seed)))
    signature = ed.sign(seed, to_be_signed(protected, realm, key, payload))
    return b"\xd2" + write([protected, {}, payload, signature])


class Envelope:
    """An envelope in order, not yet verified. Raises Refused."""

    def __init__(self, kind, data):
        if len(data) > MOST_BYTES:
            raise Refused("CBOR_TOO_LARGE", "an envelope too large")
        if data[:1] != b"\xd2":
            raise Refused("COSE_MALFORMED", "no tag 18")
        array = read(data[1:])
        if not isinstance(array, list) or [type(item) for item in array] != [
            bytes,
            dict,
            bytes,
            bytes,
        ]:
            raise Refused("COSE_MALFORMED", "not the four parts")
        self.protected, unprotected, self.payload, self.signature = array
        if unprotected or len(self.signature) != 64:
            raise Refused("COSE_MALFORMED", "an unprotected header, or no signature")
        header = read(self.protected)
        if (
            not isinstance(header, dict)
            or set(header) != {1, 4, 15, 16}
            or not is_integer(header[1])
            or header[1] != -19
            or not isinstance(header[4], bytes)
            or len(header[4]) != 32
            or not isinstance(header[15], dict)
            or not isinstance(header[16], str)
        ):
            raise Refused("COSE_HEADER_INVALID", "not the closed set of parameters")
        if header[16] != typ_of(kind):
            raise Refused("COSE_TYP_MISMATCH", header[16])
        self.kid = header[4]
        self.claims = claims_of(kind, header[15])

    def verify(self, public_key, realm, key):
        """The payload's bytes. Raises Refused."""
        message = to_be_signed(self.protected, realm, key, self.payload)
        if self.kid != ed.thumbprint(public_key) or not ed.verify(
            public_key, message, self.signature
        ):
            raise Refused("SIGNATURE_INVALID", "not signed as it is, for this place, by this key")
        return self.payload


def claims_of(kind, numbered):
    if set(numbered) != {CLAIM_KEYS[name] for name in CLAIMS[kind]}:
        raise Refused("CLAIMS_INVALID", "not the claims of the kind")
    claims = {name: numbered[CLAIM_KEYS[name]] for name in CLAIMS[kind]}
    for name, value in claims.items():
        if name in ("iss", "aud"):
            fine = isinstance(value, str) and is_gateway(value)
        else:
            fine = is_integer(value) and value >= 0
        if not fine:
            raise Refused("CLAIMS_INVALID", name)
    return claims
