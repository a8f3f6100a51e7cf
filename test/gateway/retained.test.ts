import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { toSeconds } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { poll, type PollReport } from "../../src/gateway/poll.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { digest16Of } from "../../src/protocol/object-key.ts";
import { createSqliteState } from "../../src/state/sqlite.ts";
import { SqliteRecords } from "../../src/state/sqlite/records.ts";
import { quarantineRefused } from "../../src/state/quarantine.ts";
import { RecordState } from "../../src/state/steps.ts";
import {
  digestFor,
  endedAt,
  outboxFor,
  put,
  receiptFor,
  refusedObject,
  runIdFor,
  succeeded,
  transcriptFor,
} from "../state/samples.ts";
import { plantFrames, plantRequest, succeeds } from "../support/forged.ts";
import { routes, sayer, twoGateways, type Side } from "../support/two-gateways.ts";
import { WatchedDatabase } from "../support/watched-database.ts";

const refusal = { status: "refused" } as const;
const dayMs = 24 * 3_600_000;
/** What is open or not yet published is looked at in each pass; the indexes of these hold nothing else. */
const toBeDone = /\b(receipts_open|receipts_unacknowledged|outbox_unclosed|quarantine_released)\b/;

describe("a state that retains much", () => {
  let folder: string;
  let opened: AsyncDisposableStack;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "postern-retained-"));
    opened = new AsyncDisposableStack();
  });
  afterEach(async () => {
    await opened.disposeAsync();
    await rm(folder, { recursive: true });
  });

  /** A process whose state is a file that holds so much of every kind, and is watched; each of its passes sweeps. */
  async function watched(side: Side, retained: number) {
    const { clock } = side;
    const file = join(folder, `${side.name}-${retained}.db`);
    await (await createSqliteState({ file, clock, machine: "m" })).close();
    const database = new WatchedDatabase({ file });
    const records = new SqliteRecords(database);
    records.write(() => fill(records, clock.now(), retained), "durable");
    database.forget();
    const process = side.process();
    const state = new RecordState(records, clock);
    opened.defer(() => state.close());
    const random = { bytes: (length: number) => process.random.bytes(length), fraction: () => 0 };
    return { box: { ...process, state, random }, database };
  }

  /** Every kind of work that a pass meets, and what it took. */
  async function worked(retained: number) {
    const two = twoGateways();
    plantFrames(two, { runId: runIdFor("?"), requestDigest: digestFor("?"), frames: [succeeds] });
    two.clock.jump(limits.maxTtlMs + 2 * limits.retentionMs);
    const [asker, doer] = [await watched(two.asker, retained), await watched(two.doer, retained)];
    const pass = (box: Mailbox): Promise<PollReport> => poll(box, routes(sayer("text")));
    const idle = [await pass(asker.box), await pass(doer.box)];
    const earlier = await two.asks(asker.box, "hi");
    const answered = [await pass(doer.box), await pass(asker.box)];
    const { runId: continues } = earlier;
    await two.asks(asker.box, "more", { idempotencyKey: "k2", continues });
    plantRequest(two, { idempotencyKey: "k3", signedFor: "another key" });
    const more = [await pass(doer.box), await pass(asker.box)];
    const frames = await two.keys("asker/frames/");
    return { asker, doer, reports: [...idle, ...answered, ...more], frames };
  }

  it("is asked the same by passes that answer, close, refuse, sweep and collect, and answers with as many rows", async () => {
    const [little, much] = [await worked(1), await worked(150)];
    expect(much.reports).toStrictEqual(little.reports);
    expect(much.reports).toMatchObject([
      { collected: 3 },
      { collected: 3 },
      { admitted: 1 },
      { closed: 1 },
      { admitted: 1, quarantined: 1 },
      { closed: 1 },
    ]);
    expect([little.frames, much.frames]).toStrictEqual([[], []]);
    expect(much.asker.database.rows).toStrictEqual(little.asker.database.rows);
    expect(much.doer.database.rows).toStrictEqual(little.doer.database.rows);
  });

  it("is walked over by no pass: by an index it finds what is asked, or all that is to be done", async () => {
    const { asker, doer } = await worked(1);
    const plans = [...asker.database.plans(), ...doer.database.plans()];
    const walks = plans.filter(
      (plan) =>
        /^SCAN (receipts|outbox|transcripts|transcript_envelopes|quarantine)\b/.test(plan) &&
        !toBeDone.test(plan),
    );
    expect(walks).toStrictEqual([]);
    expect(plans).toEqual(
      expect.arrayContaining([
        "SEARCH receipts USING INDEX receipts_kept (<expr><?)",
        "SEARCH outbox USING INDEX outbox_kept (<expr><?)",
      ]),
    );
  });

  it("finds the receipts under a run's name by an index for each sender there is", async () => {
    const { box, database } = await watched(twoGateways().doer, 3);
    expect(await box.state.receiptsNamed(runIdFor("by its end 1"))).toHaveLength(1);
    expect(database.plans().filter((plan) => /\breceipts\b/.test(plan))).toStrictEqual([
      "SEARCH receipts USING COVERING INDEX receipts_sender_received",
      "SEARCH receipts USING COVERING INDEX receipts_sender_received (sender>?)",
      "SEARCH receipts USING INDEX sqlite_autoindex_receipts_1 (sender=? AND run_id=?)",
    ]);
  });

  /** A run of which so many other requests were refused, and another of which as many came too late. */
  async function repeated(times: number) {
    const { box, database } = await watched(twoGateways().doer, times);
    const terminal = { attempt: 1, seq: 0, envelope: utf8("t"), payload: refusal };
    for (let time = 0; time < times; time += 1) {
      const requestDigest = digestFor(`${time}`);
      const never = { requestDigest, admitted: false };
      await put(box.state, receiptFor("refused", { ...never, ...endedAt(1, { terminal }) }));
      await put(box.state, receiptFor("late", { ...never, ...endedAt(1) }));
    }
    database.forget();
    const digest16 = digest16Of(digestFor("no such"));
    const answers: unknown[] = [];
    for (const name of ["refused", "late"]) {
      const { from, runId } = receiptFor(name);
      const again = receiptFor(name, { continues: runId });
      const looked = await box.state.stepRun(again, ({ receipt, blocked, continued }) => ({
        answer: { receipt, blocked, continued },
      }));
      answers.push(looked, await box.state.receiptOfCancel({ from, runId, digest16 }));
    }
    return { answers, database };
  }

  it("is asked the same by a step about a request, however often others of its run were refused", async () => {
    const [little, much] = [await repeated(1), await repeated(150)];
    const none = { receipt: undefined, continued: undefined };
    expect(much.answers).toStrictEqual([
      { ...none, blocked: true },
      undefined,
      { ...none, blocked: false },
      undefined,
    ]);
    expect(much.database.rows).toStrictEqual(little.database.rows);
    expect(much.database.plans().filter((plan) => /\breceipts\b/.test(plan))).toStrictEqual([
      "SEARCH receipts USING INDEX sqlite_autoindex_receipts_1 (sender=? AND run_id=? AND request_digest=?)",
      "SEARCH receipts USING INDEX receipts_standing (sender=? AND run_id=?)",
      "SEARCH receipts USING INDEX receipts_standing (sender=? AND run_id=? AND admitted=?)",
      "SEARCH receipts USING INDEX sqlite_autoindex_receipts_1 (sender=? AND run_id=? AND request_digest>? AND request_digest<?)",
    ]);
  });
});

/** So much that is kept by its end alone, as much that is kept by its expiry alone, and one of each kind that is over. */
function fill(records: SqliteRecords, nowMs: number, retained: number): void {
  const nowSeconds = toSeconds(nowMs);
  const [lately, before] = [nowMs - dayMs, nowMs - 2 * limits.retentionMs];
  const later = nowSeconds + toSeconds(limits.maxTtlMs) - 60;
  putAll(records, "over", before, nowSeconds - 2 * toSeconds(limits.retentionMs));
  for (let number = 0; number < retained; number += 1) {
    putAll(records, `by its end ${number}`, lately, nowSeconds - 3600);
    putRun(records, `by its expiry ${number}`, before, later);
  }
}

function putAll(records: SqliteRecords, name: string, endedMs: number, exp: number): void {
  putRun(records, name, endedMs, exp);
  const budget = { maxBytes: 1e6, maxEntries: 1000 };
  const refused = refusedObject({ key: name, bucket: "asker", atMs: endedMs });
  quarantineRefused(records.quarantine, refused, budget);
}

function putRun(records: SqliteRecords, name: string, endedMs: number, exp: number): void {
  const receivedMs = endedMs - 1000;
  records.receipts.put(receiptFor(name, { exp, receivedMs, ...endedAt(endedMs) }));
  const closed = { state: "closed", closedMs: endedMs, terminal: succeeded } as const;
  const record = outboxFor(name, { exp, openedMs: receivedMs, ...closed });
  records.outbox.put({ record, settledMs: endedMs });
  records.outbox.putTranscript(transcriptFor(name, endedMs));
}
