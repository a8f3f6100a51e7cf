/**
 * One of several processes that put the same names into one folder. Says the names that it won, each in a line on
 * stdout. With a third argument it kills itself soon after it has put so many, in the middle of whatever it does then.
 *
 * `node file-race-child.ts FOLDER RACER [DIES-AFTER]`
 */
import { writeSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openFileStore } from "../../src/store/file.ts";
import { raceKeys, raceObject } from "./file-race.ts";

const [folder = "", racer = "", diesAfter] = process.argv.slice(2);
const store = await openFileStore(folder, { clock: systemClock, random: systemRandom });
const say = (line: string) => writeSync(1, `${line}\n`);

const die = () => process.kill(process.pid, "SIGKILL");
for (const [number, key] of raceKeys().entries()) {
  if (number === Number(diesAfter)) setTimeout(die, Math.random() * 5);
  if ((await store.put(key, raceObject(key, racer))) === "created") say(key);
}
