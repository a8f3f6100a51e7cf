import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { limits } from "../../src/base/limits.ts";
import { checkKey } from "../../src/store/key.ts";
import { plain, runIdFor, type World } from "./world.ts";

const older = { ...plain, idempotencyKey: "k0" };

/**
 * Leaves what only gc deletes: a run that both sides ended longer ago than they have to remember it, frames of a
 * closed run that have come again, and a cancel that came too late.
 */
export async function leaveOldRuns(world: World): Promise<void> {
  await world.ask(older);
  await world.ask();
  await world.pass("callee");
  await world.cancel();
  await world.pair.withStore(async (store) => {
    const { entries } = await store.list({
      prefix: `support/frames/eu-lab/${world.runId}/`,
      limit: 1,
    });
    const key = entries[0]?.key ?? "";
    checkKey(key);
    const got = await store.get(key, { maxBytes: limits.maxEnvelopeBytes });
    if (got.status !== "found") throw new Error("the run has no frames");
    await world.pass("caller");
    await store.put(key, got.bytes);
  });
  age(path.join(world.pair.caller, "state.db"), "outbox", ["opened_ms", "sent_ms", "settled_ms"]);
  age(path.join(world.pair.callee, "state.db"), "receipts", ["received_ms", "ended_ms"]);
}

/** Makes the older run one of long ago. */
function age(file: string, table: string, columns: readonly string[]): void {
  const ms = 2 * limits.retentionMs;
  const database = new DatabaseSync(file);
  const shifts = columns.map((column) => `${column} = ${column} - ${ms}`).join(", ");
  database
    .prepare(`UPDATE ${table} SET ${shifts}, exp = exp - ${ms / 1000} WHERE run_id = ?`)
    .run(runIdFor(older));
  database.close();
}
