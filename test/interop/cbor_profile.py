"""CBOR as SPEC.md (CBOR) has it: one encoding for each value, checked on the bytes."""

import math
import struct

import cbor2

MOST_BYTES = 1_048_576
MOST_DEPTH = 32
MOST_ITEMS = 65_536
MOST_INTEGER = 2**53 - 1


class Refused(Exception):
    """What is not as SPEC.md says, with the code that SPEC.md gives it."""

    def __init__(self, code, why):
        super().__init__(f"{code}: {why}")
        self.code = code


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def write(value):
    """The bytes of a value made of None, bool, int, float, str, bytes, list and dict."""
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, (int, float)):
        return _write_number(value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        encoded = value.encode("utf-8")
        return head(3, len(encoded)) + encoded
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(write(item) for item in value)
    if isinstance(value, dict):
        pairs = sorted((write(key), write(item)) for key, item in value.items())
        return head(5, len(pairs)) + b"".join(key + item for key, item in pairs)
    raise TypeError(f"no form for {type(value)}")


def _write_number(value):
    if not math.isfinite(value):
        raise ValueError("no form for a number that is not finite")
    if value == int(value) and abs(value) <= MOST_INTEGER:
        whole = int(value)
        return head(0, whole) if whole >= 0 else head(1, -1 - whole)
    return b"\xfb" + struct.pack(">d", value)


def head(major, argument):
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes([major << 5 | info]) + argument.to_bytes(size, "big")
    raise ValueError("no head holds that")


def read(data):
    """The value that the bytes are the one encoding of. Raises Refused."""
    if len(data) > MOST_BYTES:
        raise Refused("CBOR_TOO_LARGE", f"{len(data)} bytes")
    reader = _Reader(data)
    value = reader.item(0, False)
    if reader.at < len(data):
        raise Refused("CBOR_MALFORMED", "bytes after the item")
    # Two more opinions: our writer gives the same bytes, also from what a general decoder reads.
    if write(value) != data or write(cbor2.loads(data)) != data:
        raise AssertionError(f"readers and writer disagree about {data.hex()}")
    return value


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0
        self.items = 0

    def item(self, depth, is_key):
        self.items += 1
        if self.items > MOST_ITEMS:
            raise Refused("CBOR_TOO_LARGE", "too many items")
        if self.at == len(self.data):
            raise Refused("CBOR_MALFORMED", "an item is missing")
        major, info = self.data[self.at] >> 5, self.data[self.at] & 31
        self.at += 1
        if is_key and major not in (0, 1, 3):
            raise Refused("CBOR_FORBIDDEN", "a key that is neither text nor integer")
        if info > 27:
            if info == 31 and 2 <= major <= 5:
                raise Refused("CBOR_NOT_CANONICAL", "an indefinite length")
            raise Refused("CBOR_MALFORMED", "reserved additional information")
        if major == 6:
            raise Refused("CBOR_FORBIDDEN", "a tag")
        if major == 7:
            return self.simple(info)
        argument = self.argument(info)
        if major == 0:
            return self.integer(argument)
        if major == 1:
            return self.integer(-1 - argument)
        if major == 2:
            return self.take(argument)
        if major == 3:
            try:
                return self.take(argument).decode("utf-8")
            except UnicodeDecodeError:
                raise Refused("CBOR_MALFORMED", "a text that is not UTF-8") from None
        if depth == MOST_DEPTH:
            raise Refused("CBOR_TOO_DEEP", "too deep")
        if argument * (major - 3) > len(self.data) - self.at:
            raise Refused("CBOR_MALFORMED", "more items announced than can follow")
        if major == 4:
            return [self.item(depth + 1, False) for _ in range(argument)]
        return self.map(argument, depth + 1)

    def map(self, pairs, depth):
        found = {}
        before = b""
        for _ in range(pairs):
            start = self.at
            key = self.item(depth, True)
            encoded = self.data[start : self.at]
            if encoded <= before:
                raise Refused("CBOR_NOT_CANONICAL", "keys out of order, or twice")
            before = encoded
            found[key] = self.item(depth, False)
        return found

    def simple(self, info):
        if info in (20, 21, 22):
            return {20: False, 21: True, 22: None}[info]
        if info in (25, 26):
            raise Refused("CBOR_NOT_CANONICAL", "a float of 16 or 32 bits")
        if info != 27:
            raise Refused("CBOR_FORBIDDEN", "a simple value")
        (value,) = struct.unpack(">d", self.take(8))
        if not math.isfinite(value):
            raise Refused("CBOR_FORBIDDEN", "not a number")
        if value == int(value) and abs(value) <= MOST_INTEGER:
            raise Refused("CBOR_NOT_CANONICAL", "an integer as a float")
        return value

    def argument(self, info):
        if info < 24:
            return info
        size = 1 << info - 24
        argument = int.from_bytes(self.take(size), "big")
        if argument < (24 if size == 1 else 1 << 4 * size):
            raise Refused("CBOR_NOT_CANONICAL", "a long head")
        return argument

    def integer(self, value):
        if abs(value) > MOST_INTEGER:
            raise Refused("CBOR_FORBIDDEN", "an integer beyond 2^53 - 1")
        return value

    def take(self, size):
        if size > len(self.data) - self.at:
            raise Refused("CBOR_MALFORMED", "cut off")
        self.at += size
        return self.data[self.at - size : self.at]


def to_plain(value):
    """A value as plain JSON: bytes as {"$hex"}, maps that JSON cannot say as {"$map": pairs}."""
    if isinstance(value, bytes):
        return {"$hex": value.hex()}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: to_plain(item) for key, item in value.items()}
        return {"$map": [[key, to_plain(item)] for key, item in value.items()]}
    return value


def from_plain(plain):
    if isinstance(plain, list):
        return [from_plain(item) for item in plain]
    if isinstance(plain, dict):
        if set(plain) == {"$hex"}:
            return bytes.fromhex(plain["$hex"])
        if set(plain) == {"$map"}:
            return {key: from_plain(item) for key, item in plain["$map"]}
        return {key: from_plain(item) for key, item in plain.items()}
    if isinstance(plain, int) and not isinstance(plain, bool) and abs(plain) > MOST_INTEGER:
        return float(plain)
    return plain
