import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { limits } from "../../src/base/limits.ts";
import { isStoreKey } from "../../src/store/key.ts";
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
  const frames = await objectsBelow(world, "support/frames/");
  await world.pass("caller");
  await world.pair.withStore(async (store) => {
    for (const [key, bytes] of frames)
      if (key.includes(world.runId) && isStoreKey(key)) await store.put(key, bytes);
  });
  age(path.join(world.pair.caller, "state.db"), "outbox", ["opened_ms", "sent_ms", "settled_ms"]);
  age(path.join(world.pair.callee, "state.db"), "receipts", ["received_ms", "ended_ms"]);
}

async function objectsBelow(
  world: World,
  prefix: string,
): Promise<ReadonlyMap<string, Uint8Array>> {
  return world.pair.withStore(async (store) => {
    const objects = new Map<string, Uint8Array>();
    const { entries } = await store.list({ prefix, limit: limits.listPageKeys });
    for (const { key } of entries) {
      if (!isStoreKey(key)) continue;
      const got = await store.get(key, { maxBytes: limits.maxEnvelopeBytes });
      if (got.status === "found") objects.set(key, got.bytes);
    }
    return objects;
  });
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
