import { systemRandom } from "../../src/base/random.ts";
import type { GatewayName } from "../../src/base/names.ts";
import { systemClock, toSeconds } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import type { TerminalPayload } from "../../src/protocol/frame.ts";
import { SqliteDatabase } from "../../src/state/sqlite/database.ts";
import { SqliteRecords } from "../../src/state/sqlite/records.ts";
import { outboxFor, receiptFor, transcriptFor } from "../state/samples.ts";

const dayMs = 86_400_000;
/** Finished long enough ago to count against no rate. */
const youngestMs = 5 * 60_000;

/** Finished runs that a state still holds. */
export interface FinishedRuns {
  readonly runs: number;
  /** The time to live of their requests: they are kept for at least as long. */
  readonly ttlMs: number;
}

/** As large as a signed request or answer of a short run. */
const envelope = systemRandom.bytes(1024);

const terminal: TerminalPayload = { status: "succeeded", result: "done" };

/** Fills a state that nobody has open with finished runs that `peer` asked for here. */
export function fillReceived(file: string, peer: GatewayName, finished: FinishedRuns): void {
  fill(file, finished, (records, name, endedMs, life) => {
    records.receipts.put(
      receiptFor(name, {
        from: peer,
        request: envelope,
        ...life,
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
export function fillAsked(file: string, peer: GatewayName, finished: FinishedRuns): void {
  fill(file, finished, (records, name, endedMs, life) => {
    const record = outboxFor(name, {
      to: peer,
      envelope,
      payload: envelope.subarray(0, 512),
      ...life,
      openedMs: endedMs - 1000,
      sentMs: endedMs - 990,
      state: "closed",
      closedMs: endedMs,
      terminal,
    });
    records.outbox.put({ record, settledMs: endedMs });
    const { envelopes, ...transcript } = transcriptFor(name, endedMs, 1);
    const read = envelopes.map((one) => ({ ...one, envelope }));
    records.outbox.putTranscript({ ...transcript, envelopes: read });
  });
}

type Put = (
  records: SqliteRecords,
  name: string,
  endedMs: number,
  life: { readonly iat: number; readonly exp: number },
) => void;

/** As if as many had ended in any hour, from the oldest that is not collected yet. */
function fill(file: string, { runs, ttlMs }: FinishedRuns, put: Put): void {
  const newestMs = systemClock.now() - youngestMs;
  const rangeMs = Math.max(limits.retentionMs, ttlMs) - dayMs;
  const database = new SqliteDatabase({ file });
  try {
    const records = new SqliteRecords(database);
    records.write(() => {
      for (let run = 0; run < runs; run += 1) {
        const endedMs = Math.floor(newestMs - (rangeMs * run) / runs);
        const iat = toSeconds(endedMs) - 2;
        put(records, `run ${run}`, endedMs, { iat, exp: iat + toSeconds(ttlMs) });
      }
    }, "durable");
  } finally {
    database.close();
  }
}
