import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { asPosternError } from "../../src/base/errors.ts";
import { digest16Of } from "../../src/protocol/object-key.ts";
import { openMemoryState } from "../../src/state/memory.ts";
import { createSqliteState } from "../../src/state/sqlite.ts";
import type { State } from "../../src/state/state.ts";
import { anyCall, type Call } from "./arbitraries.ts";
import { digestFor, outboxFor, peer, runIdFor, SetClock, transcriptFor } from "./samples.ts";

const limit = 1000;
const names = ["a", "b", "c"];

describe("the drivers", () => {
  let folder: string;
  let files = 0;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "postern-state-"));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  it("answer alike, and hold the same, after any sequence of steps", async () => {
    const property = fc.asyncProperty(
      fc.array(anyCall, { minLength: 1, maxLength: 40 }),
      async (calls) => {
        const clock = new SetClock(20);
        files += 1;
        const file = join(folder, `${files}.sqlite`);
        const sqlite = await createSqliteState({ file, clock, machine: "m" });
        const memory = openMemoryState({ clock });
        try {
          for (const call of calls) {
            if (call.do === "clock") clock.ms = call.ms;
            const answers = [await answerOf(memory, call), await answerOf(sqlite, call)];
            expect(answers[1]).toStrictEqual(answers[0]);
          }
          expect(await contentOf(sqlite)).toStrictEqual(await contentOf(memory));
        } finally {
          await sqlite.close();
        }
      },
    );
    await fc.assert(property, { numRuns: 100 });
  });
});

/** What a call answers, or the code it rejects with. */
async function answerOf(state: State, call: Call): Promise<unknown> {
  try {
    return await answered(state, call);
  } catch (thrown) {
    return asPosternError(thrown).code;
  }
}

async function answered(state: State, call: Call): Promise<unknown> {
  switch (call.do) {
    case "clock":
      return call.ms;
    case "put": {
      const { receipt } = call;
      return state.stepRun(receipt, (view) => ({ answer: view, write: receipt }));
    }
    case "openOutbox":
      return state.openOutbox(call.record);
    case "noteOutbox":
      return state.noteOutbox(outboxFor(call.name), call.note);
    case "closeOutbox": {
      const transcript = transcriptFor(call.name, call.closedMs, call.envelopes);
      return state.closeOutbox(outboxFor(call.name), transcript);
    }
    case "nonce":
      return state.commitOwnerNonce(call.nonce);
    case "noteOwner":
      return state.noteOwner(call.look);
    case "quarantine":
      return state.quarantine(call.entry, call);
    case "release":
      return state.releaseQuarantined(await idOfLatest(state, call.ofLatest));
    case "discard":
      return state.discardQuarantined(await idOfLatest(state, call.ofLatest));
    case "noteTrouble":
      return state.noteTrouble(call.trouble);
    case "clearTrouble":
      return state.clearTrouble(call.subject);
    case "notePass":
      return state.notePass(call.pass);
    case "seeVersion":
      return state.seeVersion(call.document, call.version);
    case "nextNumber":
      return state.nextNumber(call.series);
    case "collect":
      return state.collect(call.options);
    case "recover":
      return state.recover();
  }
}

/** The id of the quarantine entry with so many later ones, or none's. */
async function idOfLatest(state: State, later: number): Promise<string> {
  const entries = await state.quarantined({ limit });
  return entries[later]?.id ?? "none";
}

async function contentOf(state: State): Promise<unknown> {
  const perName = async (name: string): Promise<unknown[]> => [
    await state.receiptsNamed(runIdFor(name)),
    await state.receiptOfCancel({
      from: peer,
      runId: runIdFor(name),
      digest16: digest16Of(digestFor("a")),
    }),
    await state.transcript(runIdFor(name)),
    await state.outboxRecord(outboxFor(name).runId),
    await state.knowsOwnerNonce(name),
    await state.nextNumber(name),
    await state.seenVersion(name),
    await state.seeVersion(name, 2),
  ];
  return {
    receipts: await state.receipts({ limit }),
    few: await state.receipts({ limit: 2 }),
    open: await state.receiptRefs({ limit, are: "open" }),
    unacknowledged: await state.receiptRefs({ limit, are: "unacknowledged" }),
    firstOpen: await state.receiptRefs({ limit: 1, are: "open" }),
    workers: await state.openWorkers(),
    outbox: await state.outboxRecords({ limit }),
    lastAsked: await state.outboxRecords({ limit: 1 }),
    unclosed: await state.askedRuns({ limit }),
    firstUnclosed: await state.askedRuns({ limit: 1 }),
    owner: await state.owner(),
    overview: await state.overview(),
    troubles: await state.troubles(),
    quarantined: await state.quarantined({ limit }),
    ofBucket: await state.quarantined({ limit, bucket: "p" }),
    released: await state.releasedQuarantine({ limit }),
    lastReleased: await state.releasedQuarantine({ limit: 1 }),
    perName: await Promise.all(names.map(perName)),
  };
}
