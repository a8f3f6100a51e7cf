/** `node script-child.ts text|jsonl`: an agent that does what its prompt says (see `script.ts`). */
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { bytesOf, drop, lineOf, scriptOf, secret } from "./script.ts";

const [output = ""] = process.argv.slice(2);
const request: unknown = JSON.parse(await text(process.stdin));
const script = scriptOf(request);
await new Promise((resolve) => {
  process.stdout.write(bytesOf(script, request, output), resolve);
});

switch (script.ends) {
  case undefined:
    break;
  case "fail":
    process.stderr.write(secret);
    process.exitCode = 3;
    break;
  case "break":
    process.kill(process.pid, "SIGKILL");
    break;
  case "hang":
    await delay(600_000);
    break;
  case "flood":
    for (;;) if (!process.stdout.write(lineOf(drop))) await once(process.stdout, "drain");
}
