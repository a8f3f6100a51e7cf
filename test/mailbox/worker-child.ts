/** A process with one worker: says its id, answers each line of `isGone <id>`, and lives until it is killed. */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { isWorkerId } from "../../src/base/names.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openWorker } from "../../src/mailbox/workers.ts";

const worker = openWorker({ folder: process.argv[2] ?? "", random: systemRandom });
writeSync(1, `${worker.self}\n`);
for await (const line of createInterface(process.stdin)) {
  if (isWorkerId(line)) writeSync(1, `${worker.isGone(line)}\n`);
}
