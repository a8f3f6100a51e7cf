/** One process of several that use a state: `node sqlite-child.ts <what it does> <file> <how often>`. */
import { writeSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { openSqliteState } from "../../src/state/sqlite.ts";
import type { State } from "../../src/state/state.ts";
import { endedAt, outboxFor, put, receiptFor, transcriptFor } from "./samples.ts";

const [, , task, file = "", times = "0"] = process.argv;
const state = await openSqliteState({ file, clock: systemClock, machine: "m" });

switch (task) {
  case "count":
    for (let time = 0; time < Number(times); time += 1) {
      for (const run of ["shared", "shared as well"]) await count(state, run);
      await state.nextNumber("shared");
    }
    await state.close();
    break;
  case "live":
    await live(state);
    break;
  case "die-deciding":
    await state.stepRun(receiptFor("shared"), (view) => {
      process.kill(process.pid, "SIGKILL");
      return { answer: undefined, write: receiptFor("shared", { starts: view.nowMs }) };
    });
    break;
  default:
    throw new Error(`nobody knows how to ${task}`);
}

/** One more start of a run, whoever counted the last one. */
async function count(counted: State, run: string): Promise<number> {
  return counted.stepRun(receiptFor(run), (view) => {
    const starts = (view.receipt?.starts ?? 0) + 1;
    return { answer: starts, write: receiptFor(run, { starts }) };
  });
}

/** Takes steps that change several rows until it is killed; says which round it has committed. */
async function live(lived: State): Promise<never> {
  for (;;) {
    const round = await count(lived, "shared");
    const name = `${round}`;
    await lived.openOutbox(outboxFor(name));
    await lived.closeOutbox(outboxFor(name), transcriptFor(name, 1, 20));
    await put(lived, receiptFor(name, endedAt(1)));
    if (round % 5 === 0) await lived.collect({ limit: 3, skewMs: 0, retentionMs: 0 });
    writeSync(1, `${round}\n`);
  }
}
