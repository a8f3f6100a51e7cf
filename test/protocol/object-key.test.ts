import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../src/base/limits.ts";
import { isGatewayName, parseGatewayName } from "../../src/base/names.ts";
import {
  digest16Of,
  framesPrefix,
  inboxPrefix,
  matchesDigest16,
  objectKey,
  ownerPrefix,
  parseObjectKey,
  type ObjectName,
} from "../../src/protocol/object-key.ts";
import {
  attempts,
  gatewayNames,
  nonces,
  requestDigests,
  runIds,
  seqs,
  versions,
} from "./samples.ts";

function record<T>(model: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const digest16s = requestDigests.map(digest16Of);
const ends = { to: gatewayNames, from: gatewayNames, runId: runIds };

const objectNames: fc.Arbitrary<ObjectName> = fc.oneof(
  record({ kind: fc.constant("card" as const), gateway: gatewayNames, version: versions }),
  record({ kind: fc.constant("owner" as const), gateway: gatewayNames, generation: versions }),
  record({ kind: fc.constant("request" as const), ...ends }),
  record({ kind: fc.constant("cancel" as const), ...ends, digest16: digest16s }),
  record({
    kind: fc.constant("frames" as const),
    ...ends,
    digest16: digest16s,
    attempt: attempts,
    seq: seqs,
  }),
  record({ kind: fc.constant("probe" as const), gateway: gatewayNames, id: nonces }),
);

describe("keys and names", () => {
  test("every name has one key, and every key of a name reads back as it", () => {
    fc.assert(
      fc.property(objectNames, (name) => {
        expect(parseObjectKey(objectKey(name))).toStrictEqual(name);
      }),
      { numRuns: 1000 },
    );
  });

  test("whatever key is understood is the one key of its name", () => {
    fc.assert(
      fc.property(objectNames, fc.nat(), fc.constantFrom(..."a0/.-A\n%"), (name, at, character) => {
        const key: string = objectKey(name);
        const place = at % key.length;
        for (const changed of [
          key.slice(0, place) + character + key.slice(place + 1),
          key.slice(0, place) + character + key.slice(place),
          key.slice(0, place) + key.slice(place + 1),
        ]) {
          const read = parseObjectKey(changed);
          if (read !== undefined) expect(objectKey(read)).toBe(changed);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("no key is a folder of another", () => {
    fc.assert(
      fc.property(objectNames, objectNames, (one, other) => {
        expect(objectKey(one).startsWith(`${objectKey(other)}/`)).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  test("the longest key of the longest names is within the bound", () => {
    const long = parseGatewayName(`${"a".repeat(63)}.${"b".repeat(36)}`);
    const [id] = fc.sample(runIds, 1);
    const [digest] = fc.sample(requestDigests, 1);
    if (id === undefined || digest === undefined) throw new Error("no samples");
    const place = { to: long, from: long, runId: id, digest16: digest16Of(digest) };
    const keys = [
      objectKey({ kind: "frames", ...place, attempt: limits.maxAttempt, seq: limits.maxSeq }),
      objectKey({ kind: "cancel", ...place }),
    ];
    for (const key of keys) {
      expect(key.length).toBeLessThanOrEqual(limits.maxObjectKeyBytes);
      expect(parseObjectKey(key)).toBeDefined();
    }
  });
});

const run = "a".repeat(52);
const digest = "b".repeat(16);

describe("the table of keys", () => {
  test.each([
    ["lab/card/0000000001", { kind: "card", gateway: "lab", version: 1 }],
    ["lab/owner/9999999999", { kind: "owner", gateway: "lab", generation: 9_999_999_999 }],
    [`lab/inbox/desk/${run}`, { kind: "request", to: "lab", from: "desk", runId: run }],
    [
      `lab/inbox/desk/${run}.${digest}.cancel`,
      { kind: "cancel", to: "lab", from: "desk", runId: run, digest16: digest },
    ],
    [
      `desk/frames/lab/${run}/${digest}/0001-0000000000`,
      { kind: "frames", to: "desk", from: "lab", runId: run, digest16: digest, attempt: 1, seq: 0 },
    ],
    [`lab/probe/${"c".repeat(26)}`, { kind: "probe", gateway: "lab", id: "c".repeat(26) }],
  ])("%s", (key, name) => {
    expect(parseObjectKey(key)).toStrictEqual(name);
  });

  test.each([
    "",
    "/",
    "lab",
    "lab/",
    "lab/card",
    "lab/card/",
    "lab/card/1",
    "lab/card/0000000000",
    "lab/card/00000000001",
    "lab/card/0000000001/",
    "lab/card/0000000001/x",
    "lab/card/000000000x",
    "lab/card/+000000001",
    "lab/card/1e00000000",
    "lab/card/٠٠٠٠٠٠٠٠٠١",
    "lab/scopes2/0000000001",
    "Lab/card/0000000001",
    "../card/0000000001",
    "./card/0000000001",
    "con/card/0000000001",
    "/lab/card/0000000001",
    "lab//card/0000000001",
    "lab/card/0000000001\n",
    "lab/card/0000000001\u0000",
    "lab\u001b[2J/card/0000000001",
    `lab/inbox/${run}`,
    `lab/inbox/desk/${run}a`,
    `lab/inbox/desk/${run.slice(1)}`,
    `lab/inbox/desk/${run}/`,
    `lab/inbox/desk/${run}/x`,
    `lab/inbox/desk/${run.toUpperCase()}`,
    `lab/inbox/desk/${run}.`,
    `lab/inbox/desk/${run}.cancel`,
    `lab/inbox/desk/${run}.${digest}`,
    `lab/inbox/desk/${run}.${digest}.`,
    `lab/inbox/desk/${run}.${digest}.cancel.cancel`,
    `lab/inbox/desk/${run}.${digest}a.cancel`,
    `lab/inbox/../${run}`,
    `lab/inbox/desk\\${run}`,
    `lab/inbox/desk/../${run}`,
    `desk/frames/lab/${run}/${digest}`,
    `desk/frames/lab/${run}/${digest}/`,
    `desk/frames/lab/${run}/${digest}/0000-0000000000`,
    `desk/frames/lab/${run}/${digest}/0001-000000000`,
    `desk/frames/lab/${run}/${digest}/001-0000000000`,
    `desk/frames/lab/${run}/${digest}/0001-0000000000-`,
    `desk/frames/lab/${run}/${digest}/0001--000000000`,
    `desk/frames/lab/${run}/${digest}/0001-0000000000/x`,
    `desk/frames/lab/${run}/${digest}a/0001-0000000000`,
    `lab/probe/${"c".repeat(25)}`,
    `lab/probe/${"c".repeat(26)}/x`,
    `${"a".repeat(600)}/card/0000000001`,
    "x".repeat(100_000),
  ])("does not know %j", (key) => {
    expect(parseObjectKey(key)).toBeUndefined();
  });
});

describe("prefixes", () => {
  const to = parseGatewayName("lab");
  const from = parseGatewayName("desk");

  test("are where their keys lie", () => {
    fc.assert(
      fc.property(objectNames, (name) => {
        const key: string = objectKey(name);
        switch (name.kind) {
          case "request":
          case "cancel":
            expect(key.startsWith(inboxPrefix(name.to, name.from))).toBe(true);
            expect(key.startsWith(inboxPrefix(name.to))).toBe(true);
            break;
          case "frames":
            expect(key.startsWith(framesPrefix(name))).toBe(true);
            break;
          case "owner":
            expect(key.startsWith(ownerPrefix(name.gateway))).toBe(true);
            break;
          case "card":
          case "probe":
            break;
        }
      }),
    );
  });

  test("end where a name ends: no gateway's prefix covers another's", () => {
    expect(inboxPrefix(to)).toBe("lab/inbox/");
    expect(inboxPrefix(to, from)).toBe("lab/inbox/desk/");
    expect(ownerPrefix(to)).toBe("lab/owner/");
  });

  test("a cancel sorts right behind its request", () => {
    fc.assert(
      fc.property(runIds, runIds, requestDigests, (one, other, asked) => {
        fc.pre(one !== other);
        const request = objectKey({ kind: "request", to, from, runId: one });
        const cancel = objectKey({
          kind: "cancel",
          to,
          from,
          runId: one,
          digest16: digest16Of(asked),
        });
        const between = objectKey({ kind: "request", to, from, runId: other });
        expect(request < cancel).toBe(true);
        expect(between > request && between < cancel).toBe(false);
      }),
    );
  });

  test("frames sort by attempt, then by number", () => {
    fc.assert(
      fc.property(attempts, seqs, attempts, seqs, (attempt, seq, otherAttempt, otherSeq) => {
        const [runId] = fc.sample(runIds, { numRuns: 1, seed: 1 });
        const [asked] = fc.sample(requestDigests, { numRuns: 1, seed: 1 });
        if (runId === undefined || asked === undefined) throw new Error("no samples");
        const place = { kind: "frames" as const, to, from, runId, digest16: digest16Of(asked) };
        const comesFirst = attempt < otherAttempt || (attempt === otherAttempt && seq < otherSeq);
        expect(
          objectKey({ ...place, attempt, seq }) <
            objectKey({ ...place, attempt: otherAttempt, seq: otherSeq }),
        ).toBe(comesFirst);
      }),
    );
  });
});

test("a digest matches its own first sixteen characters only", () => {
  fc.assert(
    fc.property(requestDigests, requestDigests, (one, other) => {
      expect(matchesDigest16(digest16Of(one), one)).toBe(true);
      expect(matchesDigest16(digest16Of(one), other)).toBe(one.slice(0, 16) === other.slice(0, 16));
    }),
  );
});

test("the gateways that are drawn are gateway names", () => {
  expect(fc.sample(gatewayNames, 50).every((name) => isGatewayName(name))).toBe(true);
});
