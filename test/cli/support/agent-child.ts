/**
 * The agent of the tests: `node agent-child.ts JOURNAL` notes each run in JOURNAL and its process in
 * JOURNAL.pid, and does what the prompt says.
 *
 * `hold`: says "begun" and waits for the file JOURNAL.release; `fail`: ends with status 3; anything else is
 * said back in capitals.
 */
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";

const [journal = ""] = process.argv.slice(2);
writeFileSync(`${journal}.pid`, `${process.pid}`);
const request: unknown = JSON.parse(await text(process.stdin));
appendFileSync(journal, `${process.env["POSTERN_RUN_ID"] ?? ""}\n`);
const prompt = promptOf(request);

switch (prompt) {
  case "hold":
    process.stdout.write("begun\n");
    for (let tries = 0; tries < 1000 && !existsSync(`${journal}.release`); tries += 1)
      await delay(20);
    process.stdout.write("released\n");
    break;
  case "fail":
    process.exitCode = 3;
    break;
  default:
    process.stdout.write(prompt.toUpperCase());
}

function promptOf(value: unknown): string {
  const fields = fieldsOf(value);
  const asked = fieldsOf(fields.get("prompt")).get("text");
  if (typeof asked === "string") return asked;
  return JSON.stringify(fields.get("toolCall") ?? null);
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === "object" && value !== null ? Object.entries(value) : []);
}
