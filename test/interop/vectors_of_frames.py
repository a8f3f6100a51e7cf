"""The vectors of frames.json."""

from cbor_profile import head, write
from names import digest_of
from payloads import STATUSES
from samples import AT, DELTA, DONE, REFUSED, STARTED, changed
from vectors_of_payloads import payload_vectors


def frames_vectors():
    base = {
        "v": 1,
        "runId": digest_of(b"run"),
        "requestDigest": digest_of(b"request"),
        "attempt": 1,
        "seq": 0,
        "prev": bytes(32),
        "frames": [STARTED, DELTA, DONE],
    }
    later = {**base, "seq": 1, "prev": b"\1" * 32, "frames": [DELTA]}

    def event(name, payload, at=AT):
        return {**later, "frames": [{"event": name, "payload": payload, "at": at}]}

    usage = {"inputTokens": 10, "outputTokens": 0, "totalTokens": 10}
    tool = {"id": "1", "name": "ping", "input": {}}
    result = {"id": "1", "output": [None], "isError": False}
    error = {"code": "SLOW", "message": "", "retryable": True}
    failed = {"status": "failed", "error": {"code": "HANDLER_FAILED", "message": "exit status 1"}}
    good = [
        ("a whole run in one envelope", base),
        ("an attempt that holds only its terminal", {**base, "frames": [REFUSED]}),
        ("an envelope later on", later),
        ("zeros before a later envelope", {**later, "prev": bytes(32)}),
        ("a terminal later on", {**later, "frames": [DONE]}),
        ("token usage", event("tokenUsage", usage)),
        ("token usage of a model", event("tokenUsage", {**usage, "model": ""})),
        ("a tool call", event("toolCall", tool)),
        ("a tool result", event("toolResult", result)),
        ("the end of a phase", event("phaseEnd", {"phase": "search"})),
        ("an error that is not final", event("error", error)),
        ("a failure", event("terminal", failed)),
        ("a failure with a result", event("terminal", {**failed, "result": {"partial": True}})),
        ("success without a result", event("terminal", {"status": "succeeded"})),
        ("success with null", event("terminal", {"status": "succeeded", "result": None})),
        *(
            (f"ended {status}", event("terminal", {**failed, "status": status}))
            for status in STATUSES[2:]
        ),
        ("a code that nobody knows", event("terminal", changed(failed, "error", "code", to="X"))),
        (
            "the last attempt",
            {**base, "attempt": 9999, "frames": [changed(STARTED, "payload", "attempt", to=9999)]},
        ),
        ("the last number", {**later, "seq": 9_999_999_999}),
        ("at 0", event("textDelta", {"text": ""}, 0)),
        (
            "unknown keys",
            changed({**later, "sealed": False}, "frames", 0, "payload", "html", to=""),
        ),
        ("an unknown key beside the event", changed(later, "frames", 0, "id", to=b"")),
    ]
    bad = [(f"no {name}", changed(base, name)) for name in base if name != "v"]
    bad += [
        ("attempt 0", {**base, "attempt": 0}),
        ("attempt 10000", {**base, "attempt": 10_000, "frames": [REFUSED]}),
        ("a negative number", {**later, "seq": -1}),
        ("a number of eleven digits", {**later, "seq": 10_000_000_000}),
        ("numbers beyond the last", {**later, "seq": 9_999_999_999, "frames": [DELTA, DELTA]}),
        ("a previous envelope of 31 bytes", {**later, "prev": bytes(31)}),
        ("a previous envelope as text", {**later, "prev": "0" * 32}),
        ("a previous envelope before the first", {**base, "prev": b"\1" + bytes(31)}),
        ("no frames", {**base, "frames": []}),
        ("frames that are a map", {**base, "frames": {0: STARTED}}),
        ("a frame that is a text", {**base, "frames": ["started"]}),
        ("a run id of bytes", {**base, "runId": bytes(32)}),
        ("a digest that is short", {**base, "requestDigest": base["requestDigest"][:16]}),
        ("an attempt that begins with text", {**base, "frames": [DELTA]}),
        ("started twice", {**base, "frames": [STARTED, STARTED]}),
        ("started later on", {**later, "frames": [STARTED]}),
        ("started for another attempt", {**base, "attempt": 2}),
        ("a frame after the terminal", {**base, "frames": [STARTED, DONE, DELTA]}),
        ("two terminals", {**base, "frames": [DONE, DONE]}),
        ("an unknown event", event("progress", {"percent": 1})),
        ("approvalRequired (reserved)", event("approvalRequired", {"approvalId": "a"})),
        ("no event", changed(later, "frames", 0, "event")),
        ("an event that is a number", changed(later, "frames", 0, "event", to=1)),
        ("no payload", changed(later, "frames", 0, "payload")),
        ("a payload that is a text", changed(later, "frames", 0, "payload", to="x")),
        ("no time", changed(later, "frames", 0, "at")),
        ("a time before 1970", changed(later, "frames", 0, "at", to=-1)),
        ("a time that is a fraction", changed(later, "frames", 0, "at", to=1.5)),
        ("started by no agent", changed(base, "frames", 0, "payload", "agent")),
        ("started by what is no name", changed(base, "frames", 0, "payload", "agent", to="a/b")),
        ("text that is bytes", event("textDelta", {"text": b"x"})),
        ("no text", event("textDelta", {})),
        ("usage that is negative", event("tokenUsage", {**usage, "outputTokens": -1})),
        ("usage that is a fraction", event("tokenUsage", {**usage, "inputTokens": 0.5})),
        ("usage without a total", event("tokenUsage", changed(usage, "totalTokens"))),
        ("a model of 129 bytes", event("tokenUsage", {**usage, "model": "m" * 129})),
        ("a tool call without an id", event("toolCall", changed(tool, "id"))),
        ("a tool call with an empty name", event("toolCall", {**tool, "name": ""})),
        ("a tool call with bytes", event("toolCall", {**tool, "input": {"a": [b""]}})),
        ("a tool call without input", event("toolCall", changed(tool, "input"))),
        ("a tool result without output", event("toolResult", changed(result, "output"))),
        ("a tool result that is perhaps an error", event("toolResult", {**result, "isError": 0})),
        ("a phase without a name", event("phaseEnd", {"phase": ""})),
        ("a phase of 129 bytes", event("phaseEnd", {"phase": "p" * 129})),
        ("an error without a code", event("error", changed(error, "code"))),
        ("an error with an empty code", event("error", {**error, "code": ""})),
        ("an error with a code of 65 bytes", event("error", {**error, "code": "E" * 65})),
        ("an error with a message of 4097 bytes", event("error", {**error, "message": "m" * 4097})),
        ("an error that may be tried again, perhaps", event("error", {**error, "retryable": None})),
        ("an unknown status", event("terminal", {**failed, "status": "done"})),
        ("no status", event("terminal", changed(failed, "status"))),
        ("success with an error", event("terminal", {**failed, "status": "succeeded"})),
        ("failure without an error", event("terminal", {"status": "failed"})),
        ("failure with an error of null", event("terminal", {"status": "failed", "error": None})),
        (
            "an error that is a text",
            event("terminal", {"status": "failed", "error": "HANDLER_FAILED"}),
        ),
        ("an error without a message", event("terminal", changed(failed, "error", "message"))),
        ("a result that is bytes", event("terminal", {"status": "succeeded", "result": b""})),
        (
            "a result with integer keys",
            event("terminal", {"status": "succeeded", "result": {1: 1}}),
        ),
    ]
    vectors = payload_vectors("frames", "Frames", good, bad)
    vectors["valid"].append({"name": "1024 frames", "parts": many_frames(later, 1024)})
    vectors["invalid"].append(
        {"name": "1025 frames", "parts": many_frames(later, 1025), "code": "PAYLOAD_INVALID"}
    )
    return vectors


def many_frames(base, count):
    """Pieces of hex with how often each comes."""
    before, after = write({**base, "frames": ["?"]}).split(b"\x81\x61?")
    return [[(before + head(4, count)).hex(), 1], [write(DELTA).hex(), count], [after.hex(), 1]]
