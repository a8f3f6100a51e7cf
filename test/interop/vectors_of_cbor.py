"""The vectors of cbor.json."""

from cbor_profile import read, to_plain, write


def valid(name, data):
    return {"name": name, "hex": data.hex(), "value": to_plain(read(data))}


def invalid(name, code, data):
    return {"name": name, "hex": data.hex() if isinstance(data, bytes) else data, "code": code}


def nested(opening, depth, core):
    return bytes.fromhex(opening) * depth + core


def cbor_vectors():
    values = [
        ("null", None),
        ("false", False),
        ("true", True),
        ("zero", 0),
        ("23 in the first byte", 23),
        ("24 in one more byte", 24),
        ("255", 255),
        ("256", 256),
        ("65535", 65535),
        ("65536", 65536),
        ("2^32 - 1", 2**32 - 1),
        ("2^32", 2**32),
        ("milliseconds of a day in 2026", 1_790_000_000_123),
        ("the greatest integer", 2**53 - 1),
        ("-1", -1),
        ("-24", -24),
        ("-25", -25),
        ("-256", -256),
        ("-257", -257),
        ("-2^32", -(2**32)),
        ("-2^32 - 1", -(2**32) - 1),
        ("the least integer", -(2**53) + 1),
        ("1.5", 1.5),
        ("a float that 16 bits could hold", 0.5),
        ("0.1", 0.1),
        ("2^53 is a float", 2.0**53),
        ("-2^53 is a float", -(2.0**53)),
        ("1e300 is a float", 1e300),
        ("the least float above 0", 5e-324),
        ("the greatest float", 1.7976931348623157e308),
        ("an empty text", ""),
        ("a text", "postern"),
        ("a text of two-byte characters", "äöü"),
        ("a text beyond the first plane", "🛶"),
        ("a text with NUL", "a\0b"),
        ("a byte order mark stays", "\ufeffmark"),
        ("a byte order mark alone", "\ufeff"),
        ("a byte order mark in a key", {"\ufeffk": "\ufeff"}),
        ("the last character", "\U0010ffff"),
        ("a text of 24 bytes", "x" * 24),
        ("a text of 256 bytes", "x" * 256),
        ("no bytes", b""),
        ("bytes", bytes([0, 255, 24])),
        ("bytes that look like CBOR with a tag", bytes.fromhex("d818")),
        ("an empty array", []),
        ("an array", [1, "two", b"\x03", None, [True]]),
        ("an array of 24", list(range(24))),
        ("an empty map", {}),
        ("keys in the order of their encodings", {"b": 1, "aa": 2, "": 3}),
        ("integer keys before texts", {1: "a", -1: "b", 24: "c", "1": "d"}),
        ("a great integer key", {2**40: 1}),
        ("a key named __proto__", {"__proto__": {"x": 1}, "constructor": 2}),
        ("a map of 24", {f"k{index}": index for index in range(24)}),
        ("maps and arrays within each other", {"a": [{"b": [{}]}]}),
        ("32 arrays within each other", nested_value(32)),
    ]
    at_bounds = [
        {"name": "65536 items", "parts": [["99ffff", 1], ["00", 65535]]},
        {"name": "1 MiB", "parts": [["5a000ffffb", 1], ["00", 1048571]]},
    ]
    return {
        "about": "SPEC.md, CBOR. `parts` are pieces of hex with how often each comes.",
        "valid": [valid(name, write(value)) for name, value in values] + at_bounds,
        "invalid": [invalid(*row) for row in _malformed() + _not_canonical() + _forbidden()]
        + _beyond_bounds(),
    }


def nested_value(depth):
    return [] if depth == 1 else [nested_value(depth - 1)]


def _malformed():
    code = "CBOR_MALFORMED"
    rows = [
        ("nothing", ""),
        ("a head cut off", "19 01"),
        ("a head without its bytes", "1b"),
        ("a float cut off", "fb 3ff8 0000"),
        ("a text cut off", "63 6162"),
        ("bytes cut off", "42 00"),
        ("an array cut off", "82 00"),
        ("a map without its last value", "a1 00"),
        ("an array that announces 2^64 - 1", "9b ffffffffffffffff"),
        ("a map that announces 2^63", "bb 8000000000000000"),
        ("a text that announces 2^32 bytes", "7b 0000000100000000 61"),
        ("a map that announces one pair more than there are bytes", "a3 0000 0101"),
        ("a byte after the item", "00 00"),
        ("an item after the item", "80 f6"),
        ("a break alone", "ff"),
        ("a break in an array", "81 ff"),
        ("additional information 28 on an integer", "1c"),
        ("additional information 29 on a text", "7d"),
        ("additional information 30 on an array", "9e"),
        ("additional information 28 on a tag", "dc"),
        ("additional information 28 on a simple value", "fc"),
        ("additional information 31 on an integer", "1f"),
        ("additional information 31 on a tag", "df"),
        ("UTF-8: a lone continuation", "61 80"),
        ("UTF-8: an overlong form", "62 c080"),
        ("UTF-8: a surrogate", "63 eda080"),
        ("UTF-8: beyond the last character", "64 f4908080"),
        ("UTF-8: a sequence cut off", "62 c3 28"),
        ("UTF-8: a character cut in two texts", "82 61c3 61a4"),
        ("a key that is not well-formed", "a1 61ff 00"),
    ]
    return [(name, code, bytes.fromhex(data)) for name, data in rows]


def _not_canonical():
    code = "CBOR_NOT_CANONICAL"
    rows = [
        ("0 in two bytes", "18 00"),
        ("23 in two bytes", "18 17"),
        ("255 in three bytes", "19 00ff"),
        ("65535 in five bytes", "1a 0000ffff"),
        ("2^32 - 1 in nine bytes", "1b 00000000ffffffff"),
        ("-1 in two bytes", "38 00"),
        ("a text's length in two bytes", "78 01 61"),
        ("a byte string's length in three bytes", "59 0001 00"),
        ("an array's count in two bytes", "98 01 00"),
        ("a map's count in five bytes", "ba 00000001 00 00"),
        ("an array of indefinite length", "9f ff"),
        ("a map of indefinite length", "bf ff"),
        ("a text of indefinite length", "7f 6161 ff"),
        ("bytes of indefinite length", "5f 4100 ff"),
        ("1.5 in 16 bits", "f9 3e00"),
        ("1.5 in 32 bits", "fa 3fc00000"),
        ("NaN in 16 bits", "f9 7e00"),
        ("an infinity in 32 bits", "fa 7f800000"),
        ("1 as a float", "fb 3ff0000000000000"),
        ("0 as a float", "fb 0000000000000000"),
        ("-0", "fb 8000000000000000"),
        ("2^53 - 1 as a float", "fb 433fffffffffffff"),
        ("keys out of order", "a2 6162 00 6161 01"),
        ("a longer key before a shorter", "a2 626161 00 6162 01"),
        ("a text key before an integer key", "a2 6161 00 01 01"),
        ("a negative key before a positive", "a2 20 00 01 01"),
        ("a text key twice", "a2 6161 00 6161 01"),
        ("an integer key twice", "a2 01 00 01 00"),
        ("a key twice with another between", "a3 6161 00 6162 01 6161 02"),
        ("a key in a long head", "a1 1801 00"),
        ("out of order within", "81 a2 6162 00 6161 01"),
    ]
    return [(name, code, bytes.fromhex(data)) for name, data in rows]


def _forbidden():
    code = "CBOR_FORBIDDEN"
    rows = [
        ("undefined", "f7"),
        ("simple value 0", "e0"),
        ("simple value 19", "f3"),
        ("simple value 255", "f8 ff"),
        ("false in two bytes", "f8 14"),
        ("a simple value cut off", "f8"),
        ("NaN", "fb 7ff8000000000000"),
        ("another NaN", "fb 7ff0000000000001"),
        ("infinity", "fb 7ff0000000000000"),
        ("-infinity", "fb fff0000000000000"),
        ("2^53 as an integer", "1b 0020000000000000"),
        ("2^64 - 1", "1b ffffffffffffffff"),
        ("-2^53 as an integer", "3b 001fffffffffffff"),
        ("-2^64", "3b ffffffffffffffff"),
        ("a date", "c0 6a323032362d30312d3031"),
        ("a bignum", "c2 49 010000000000000000"),
        ("a tag in one more byte", "d8 2a 00"),
        ("a tag cut off", "d9 00"),
        ("shared value and reference (tags 28 and 29)", "d81c 82 01 d81d 00"),
        ("a set (tag 258)", "d90102 80"),
        ("tag 18 within", "81 d2 80"),
        ("a self-described item (tag 55799)", "d9d9f7 00"),
        ("a key that is bytes", "a1 4100 00"),
        ("a key that is an array", "a1 80 00"),
        ("a key that is a map", "a1 a0 00"),
        ("a key that is true", "a1 f5 00"),
        ("a key that is null", "a1 f6 00"),
        ("a key that is a float", "a1 fb3ff8000000000000 00"),
        ("a key that is a tag", "a1 c000 00"),
        ("a key that is 2^53", "a1 1b0020000000000000 00"),
        ("a key that is bytes, cut off", "a1 42 00"),
    ]
    # Every doubling costs six bytes: 20 of them would be a million times the innermost array.
    bomb = "d81c 82 d81d00 d81d00"
    doublings = bytes.fromhex("d81c82") * 20 + bytes.fromhex(bomb)
    return [(name, code, bytes.fromhex(data)) for name, data in rows] + [
        ("shared values that double again and again", code, doublings)
    ]


def _beyond_bounds():
    deep_map = bytes.fromhex("a100") * 32 + bytes.fromhex("a0")
    return [
        invalid("33 arrays within each other", "CBOR_TOO_DEEP", nested("81", 32, b"\x80")),
        invalid("33 maps within each other", "CBOR_TOO_DEEP", deep_map),
        {
            "name": "100000 arrays within each other",
            "parts": [["81", 100000], ["00", 1]],
            "code": "CBOR_TOO_DEEP",
        },
        {
            "name": "65537 items",
            "parts": [["9a00010000", 1], ["00", 65536]],
            "code": "CBOR_TOO_LARGE",
        },
        {
            "name": "65537 items in many arrays",
            "parts": [["998000", 1], ["8100", 32767], ["82", 1], ["00", 2]],
            "code": "CBOR_TOO_LARGE",
        },
        {
            "name": "a byte more than 1 MiB",
            "parts": [["5a000ffffc", 1], ["00", 1048572]],
            "code": "CBOR_TOO_LARGE",
        },
    ]
