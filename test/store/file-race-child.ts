/**
 * One of several processes that put the same names into one folder. Says `ready`, and the names that it
 * won, each in a line on stdout.
 */
import { writeSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openFileStore } from "../../src/store/file.ts";
import { raceKeys, raceObject } from "./file-race.ts";

const [folder = "", racer = ""] = process.argv.slice(2);
const store = await openFileStore(folder, { clock: systemClock, random: systemRandom });
const say = (line: string) => writeSync(1, `${line}\n`);

say("ready");
for (const key of raceKeys()) {
  if ((await store.put(key, raceObject(key, racer))) === "created") say(key);
}
