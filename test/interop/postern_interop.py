"""A second implementation of Postern's wire protocol, written from SPEC.md alone.

vectors DIR   writes the test vectors
check DIR     reads them: every valid one as its values say, every invalid one refused with its code
make DIR      writes exchange.json: fresh objects of every kind
read DIR      reads exchange.json, whoever wrote it
judge         reads cases as JSON from stdin and prints "valid" or a code for each
"""

import json
import pathlib
import sys

import check
import exchange
from vectors_of_cbor import cbor_vectors
from vectors_of_envelopes import card_text_vectors, envelope_vectors
from vectors_of_frames import frames_vectors
from vectors_of_keys import key_vectors
from vectors_of_names import base32_vectors, name_vectors, object_key_vectors, run_id_vectors
from vectors_of_payloads import cancel_vectors, card_vectors, owner_vectors, request_vectors

VECTORS = {
    "names.json": name_vectors,
    "base32.json": base32_vectors,
    "cbor.json": cbor_vectors,
    "object-key.json": object_key_vectors,
    "run-id.json": run_id_vectors,
    "keys.json": key_vectors,
    "request.json": request_vectors,
    "cancel.json": cancel_vectors,
    "frames.json": frames_vectors,
    "card.json": card_vectors,
    "owner.json": owner_vectors,
    "envelope.json": envelope_vectors,
    "card-text.json": card_text_vectors,
}


def main(command, folder=None):
    if command == "judge":
        print(json.dumps([check.judge(case) for case in json.load(sys.stdin)]))
        return
    where = pathlib.Path(folder)
    if command == "vectors":
        where.mkdir(parents=True, exist_ok=True)
        for name, make in VECTORS.items():
            (where / name).write_text(
                json.dumps(make(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
    elif command == "check":
        loaded = {name: json.loads((where / name).read_text(encoding="utf-8")) for name in VECTORS}
        print(json.dumps({"checked": check.check_all(loaded)}))
    elif command == "make":
        where.mkdir(parents=True, exist_ok=True)
        (where / "exchange.json").write_text(
            json.dumps(exchange.make(), ensure_ascii=False), encoding="utf-8"
        )
    elif command == "read":
        print(
            json.dumps(
                {
                    "read": exchange.read(
                        json.loads((where / "exchange.json").read_text(encoding="utf-8"))
                    )
                }
            )
        )
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
