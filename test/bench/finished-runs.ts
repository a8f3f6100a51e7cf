import { systemRandom } from "../../src/base/random.ts";
import type { GatewayName } from "../../src/base/names.ts";
import { toSeconds } from "../../src/base/clock.ts";
import type { TerminalPayload } from "../../src/protocol/frame.ts";
import { SqliteDatabase } from "../../src/state/sqlite/database.ts";
import { SqliteRecords } from "../../src/state/sqlite/records.ts";
import { outboxFor, receiptFor, transcriptFor } from "../state/samples.ts";

const dayMs = 86_400_000;
/** Finished long enough ago to count against no rate, and not yet so long that anything is collected. */
const youngestMs = 5 * 60_000;
const oldestMs = 6 * dayMs;
/** As large as a signed request or answer of a short run. */
const envelope = systemRandom.bytes(1024);

const terminal: TerminalPayload = { status: "succeeded", result: "done" };

/** Fills a state that nobody has open with finished runs that `peer` asked for here. */
export function fillReceived(file: string, peer: GatewayName, runs: number, nowMs: number): void {
  fill(file, runs, nowMs, (records, name, endedMs) => {
    records.putReceipt(
      receiptFor(name, {
        from: peer,
        request: envelope,
        ...lifeOf(endedMs),
        receivedMs: endedMs - 1000,
        starts: 1,
        state: "ended",
        runningSinceMs: endedMs - 900,
        outcome: terminal,
        ended: {
          atMs: endedMs,
          terminal: { attempt: 1, seq: 0, envelope, payload: terminal },
          acknowledged: true,
        },
      }),
    );
  });
}

/** Fills a state that nobody has open with closed runs that were asked of `peer`. */
export function fillAsked(file: string, peer: GatewayName, runs: number, nowMs: number): void {
  fill(file, runs, nowMs, (records, name, endedMs) => {
    const record = outboxFor(name, {
      to: peer,
      envelope,
      payload: envelope.subarray(0, 512),
      ...lifeOf(endedMs),
      openedMs: endedMs - 1000,
      sentMs: endedMs - 990,
      state: "closed",
      closedMs: endedMs,
      terminal,
    });
    records.putOutbox({ record, settledMs: endedMs });
    const { envelopes, ...transcript } = transcriptFor(name, endedMs, 1);
    const read = envelopes.map((one) => ({ ...one, envelope }));
    records.putTranscript({ ...transcript, envelopes: read });
  });
}

function fill(
  file: string,
  runs: number,
  nowMs: number,
  put: (records: SqliteRecords, name: string, endedMs: number) => void,
): void {
  const database = new SqliteDatabase({ file });
  try {
    const records = new SqliteRecords(database);
    records.write(() => {
      for (let run = 0; run < runs; run += 1) {
        const endedMs = nowMs - youngestMs - ((oldestMs - youngestMs) * run) / runs;
        put(records, `run ${run}`, Math.floor(endedMs));
      }
    }, "durable");
  } finally {
    database.close();
  }
}

function lifeOf(endedMs: number): { readonly iat: number; readonly exp: number } {
  const iat = toSeconds(endedMs) - 2;
  return { iat, exp: iat + toSeconds(dayMs) };
}
