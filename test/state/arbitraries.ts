import fc from "fast-check";
import { toSeconds } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName } from "../../src/base/names.ts";
import type { JsonValue } from "../../src/protocol/fields.ts";
import { terminalStatuses, type TerminalPayload } from "../../src/protocol/frame.ts";
import type { Ending, Receipt } from "../../src/protocol/receipt.ts";
import { requestKinds } from "../../src/protocol/request.ts";
import type { OutboxNote, OutboxRecord, ReadPosition } from "../../src/state/outbox.ts";
import type { NewQuarantineEntry } from "../../src/state/quarantine.ts";
import type { CollectOptions, EndedPass, OwnerLook } from "../../src/state/state.ts";
import type { Trouble } from "../../src/state/troubles.ts";
import {
  cancelFor,
  digestFor,
  otherPeer,
  outboxFor,
  peer,
  receiptFor,
  refusedObject,
  runIdFor,
  workerFor,
} from "./samples.ts";

const { skewMs, retentionMs } = limits;

const bytes = fc.uint8Array({ maxLength: 40 });
const text = fc.string({ unit: "grapheme", maxLength: 20 });
const plain = { noNullPrototype: true } as const;

/** Few and near each other, so that what is drawn meets itself again and bounds are hit exactly. */
const names = fc.constantFrom("a", "b", "c");
const moments = fc.nat({ max: 40 });
/** Where the limits keep what ended at such a moment, and what expires so that they keep it as long. */
const keptUntil = moments.map((ms) => retentionMs + ms);
const longExp = moments.map((s) => toSeconds(retentionMs - 3 * skewMs) + s);
const anyClock = fc.oneof(fc.nat({ max: 60_000 }), keptUntil);
const far = fc.nat({ max: Number.MAX_SAFE_INTEGER });

function maybe<T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.option(values, { nil: null });
}

/** -0 aside: it does not survive CBOR either. */
const anyNumber = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const { anyJson } = fc.letrec<{ anyJson: JsonValue }>((tie) => ({
  anyJson: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    anyNumber,
    text,
    fc.array(tie("anyJson"), { maxLength: 3 }),
    fc.dictionary(text, tie("anyJson"), { maxKeys: 3, ...plain }),
  ),
}));

export const anyTerminal: fc.Arbitrary<TerminalPayload> = fc.oneof(
  fc.record({ status: fc.constant("succeeded" as const), result: anyJson }, plain),
  fc.record({ status: fc.constant("succeeded" as const) }, plain),
  fc.record(
    {
      status: fc.constantFrom(...terminalStatuses),
      error: fc.record({ code: text, message: text }, plain),
    },
    plain,
  ),
);

function anyEnding(when: fc.Arbitrary<number>): fc.Arbitrary<Ending> {
  const signed = fc.record(
    { attempt: far, seq: far, envelope: bytes, payload: anyTerminal },
    plain,
  );
  return fc.record({ atMs: when, terminal: maybe(signed), acknowledged: fc.boolean() }, plain);
}

/** Receipts that differ from each other in every field, of few runs and senders. */
function anyReceipt(when: fc.Arbitrary<number> = moments): fc.Arbitrary<Receipt> {
  const open = fc.record({
    state: fc.constantFrom("admitted", "running"),
    ended: fc.constant(null),
  });
  const ended = fc.record({ state: fc.constant("ended" as const), ended: anyEnding(when) });
  return fc
    .record({
      name: names,
      digest: names,
      change: fc.record(
        {
          from: fc.constantFrom(peer, otherPeer),
          request: bytes,
          agent: fc.constantFrom(parseAgentName("one"), parseAgentName("two")),
          kind: fc.constantFrom(...requestKinds),
          tenant: maybe(text),
          continues: maybe(names.map(runIdFor)),
          iat: when,
          exp: fc.oneof(when, longExp),
          deadline: maybe(when),
          receivedMs: when,
          admitted: fc.boolean(),
          starts: when,
          worker: names.map(workerFor),
          nonce: text,
          attempt: when,
          runningSinceMs: maybe(when),
          maxRunMs: when,
          outcome: maybe(anyTerminal),
        },
        plain,
      ),
      life: fc.oneof(open, ended),
    })
    .map(({ name, digest, change, life }) =>
      receiptFor(name, { ...change, requestDigest: digestFor(digest), ...life }),
    );
}

export const anyFarReceipt: fc.Arbitrary<Receipt> = anyReceipt(far);

function anyRead(when: fc.Arbitrary<number> = fc.nat({ max: 3 })): fc.Arbitrary<ReadPosition> {
  return fc.record({ attempt: when, seq: when, prev: bytes, atMs: maybe(when) }, plain);
}

function anyOutbox(when: fc.Arbitrary<number> = moments): fc.Arbitrary<OutboxRecord> {
  const change = fc.record(
    {
      to: fc.constantFrom(peer, otherPeer),
      envelope: bytes,
      payload: bytes,
      intentDigest: names,
      iat: when,
      exp: fc.oneof(when, longExp),
      deadline: maybe(when),
      openedMs: when,
      sentMs: maybe(when),
      answered: fc.boolean(),
      displaced: fc.boolean(),
      cancel: maybe(names.map(cancelFor)),
      read: maybe(anyRead(when)),
    },
    plain,
  );
  return fc.tuple(names, change).map(([name, changed]) => outboxFor(name, changed));
}

export const anyFarOutbox: fc.Arbitrary<OutboxRecord> = anyOutbox(far);

const anyNote: fc.Arbitrary<OutboxNote> = fc
  .tuple(
    fc.option(maybe(moments), { nil: undefined }),
    fc.option(fc.boolean(), { nil: undefined }),
    fc.option(fc.boolean(), { nil: undefined }),
    fc.option(maybe(names.map(cancelFor)), { nil: undefined }),
    fc.constantFrom("open" as const, "unknown" as const, undefined),
    fc.option(maybe(anyRead()), { nil: undefined }),
  )
  .map(([sentMs, answered, displaced, cancel, state, read]) => ({
    ...(sentMs === undefined ? {} : { sentMs }),
    ...(answered === undefined ? {} : { answered }),
    ...(displaced === undefined ? {} : { displaced }),
    ...(cancel === undefined ? {} : { cancel }),
    ...(state === undefined ? {} : { state }),
    ...(read === undefined ? {} : { read }),
  }));

const anyLook: fc.Arbitrary<OwnerLook> = fc.record(
  {
    begunMs: moments,
    bornMs: fc.oneof(fc.constant(0), moments),
    generation: fc.nat({ max: 4 }),
    claimedMs: maybe(moments),
    elsewhere: fc.boolean(),
  },
  plain,
);

const anyRefused: fc.Arbitrary<NewQuarantineEntry> = fc
  .tuple(fc.constantFrom("p", "q"), names, maybe(bytes), moments, text, moments)
  .map(([bucket, key, content, size, detail, atMs]) =>
    refusedObject({ bucket, key, bytes: content, size, detail, atMs }),
  );

const anyTrouble: fc.Arbitrary<Trouble> = fc.record(
  { subject: names, code: text, message: text, atMs: moments },
  plain,
);

const anyPass: fc.Arbitrary<EndedPass> = fc.record({ atMs: moments, code: maybe(text) }, plain);

/** The limits, by which there is an index, or what no index is made of. */
const anyRetention = fc.oneof(
  fc.constant({ skewMs, retentionMs }),
  fc.record({ skewMs: fc.nat({ max: 3 }), retentionMs: fc.nat({ max: 10 }) }, plain),
);

const anyCollect: fc.Arbitrary<CollectOptions> = fc
  .record({ limit: fc.nat({ max: 4 }), dryRun: fc.boolean(), retention: anyRetention }, plain)
  .map(({ retention, ...options }) => ({ ...options, ...retention }));

/** One call of a state, or of its clock. */
export type Call =
  | { readonly do: "clock"; readonly ms: number }
  | { readonly do: "put"; readonly receipt: Receipt }
  | { readonly do: "openOutbox"; readonly record: OutboxRecord }
  | { readonly do: "noteOutbox"; readonly name: string; readonly note: OutboxNote }
  | {
      readonly do: "closeOutbox";
      readonly name: string;
      readonly closedMs: number;
      readonly envelopes: number;
    }
  | { readonly do: "nonce"; readonly nonce: string }
  | { readonly do: "noteOwner"; readonly look: OwnerLook }
  | {
      readonly do: "quarantine";
      readonly entry: NewQuarantineEntry;
      readonly maxBytes: number;
      readonly maxEntries: number;
    }
  | { readonly do: "release" | "discard"; readonly ofLatest: number }
  | { readonly do: "noteTrouble"; readonly trouble: Trouble }
  | { readonly do: "clearTrouble"; readonly subject: string }
  | { readonly do: "notePass"; readonly pass: EndedPass }
  | { readonly do: "seeVersion"; readonly document: string; readonly version: number }
  | { readonly do: "nextNumber"; readonly series: string }
  | { readonly do: "collect"; readonly options: CollectOptions }
  | { readonly do: "recover" };

export const anyCall: fc.Arbitrary<Call> = fc.oneof(
  fc.record({ do: fc.constant("clock" as const), ms: anyClock }, plain),
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("put" as const), receipt: anyReceipt() }, plain),
  },
  fc.record({ do: fc.constant("openOutbox" as const), record: anyOutbox() }, plain),
  fc.record({ do: fc.constant("noteOutbox" as const), name: names, note: anyNote }, plain),
  fc.record(
    {
      do: fc.constant("closeOutbox" as const),
      name: names,
      closedMs: moments,
      envelopes: fc.nat({ max: 3 }),
    },
    plain,
  ),
  fc.record({ do: fc.constant("nonce" as const), nonce: names }, plain),
  fc.record({ do: fc.constant("noteOwner" as const), look: anyLook }, plain),
  fc.record(
    {
      do: fc.constant("quarantine" as const),
      entry: anyRefused,
      maxBytes: fc.nat({ max: 100 }),
      maxEntries: fc.nat({ max: 4 }),
    },
    plain,
  ),
  fc.record(
    { do: fc.constantFrom("release" as const, "discard" as const), ofLatest: fc.nat({ max: 3 }) },
    plain,
  ),
  fc.record({ do: fc.constant("noteTrouble" as const), trouble: anyTrouble }, plain),
  fc.record({ do: fc.constant("clearTrouble" as const), subject: names }, plain),
  fc.record({ do: fc.constant("notePass" as const), pass: anyPass }, plain),
  fc.record(
    { do: fc.constant("seeVersion" as const), document: names, version: fc.nat({ max: 4 }) },
    plain,
  ),
  fc.record({ do: fc.constant("nextNumber" as const), series: names }, plain),
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("collect" as const), options: anyCollect }, plain),
  },
  fc.record({ do: fc.constant("recover" as const) }, plain),
);
