/**
 * The callee of the flood, in a process of its own whose memory tells of nothing else. Makes a pass for each
 * line that it reads, and says what it cost (`PassCost`) in a line of JSON.
 *
 * `node flood-child.ts STORE-URL FOLDER NAME=SEED...`: itself first, then its peers; credentials by the AWS chain.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { fromBase64Url } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { parseGatewayName } from "../../src/base/names.ts";
import { systemRandom } from "../../src/base/random.ts";
import { poll } from "../../src/gateway/poll.ts";
import { openStore, parseStoreUrl } from "../../src/store/open.ts";
import { PatientClock } from "../support/patient-clock.ts";
import { maxPeerRuns, maxRunsOfPass, type PassCost } from "./flood-callee.ts";
import { agents, openBenchGateway, type Identity } from "./gateways.ts";
import { since } from "./requests.ts";
import { timed } from "./series.ts";

const [url = "", folder = "", ...identities] = process.argv.slice(2);
const [self, ...peers] = identities.map(identityOf);
if (self === undefined) throw new Error("usage: flood-child STORE-URL FOLDER NAME=SEED...");

const store = await openStore(parseStoreUrl(url), { clock: systemClock, random: systemRandom });
const clock = new PatientClock();
await using gateway = await openBenchGateway({ self, peers, maxPeerRuns, store, folder, clock });
for await (const line of createInterface(process.stdin)) {
  if (line !== "pass") continue;
  const before = gateway.requests();
  const ms = await timed(() => poll(gateway.mailbox, { ...agents(), maxRuns: maxRunsOfPass }));
  const cost: PassCost = {
    ms,
    requests: since(before, gateway.requests()),
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
  writeSync(1, `${JSON.stringify(cost)}\n`);
}

function identityOf(text: string): Identity {
  const [name = "", seed = ""] = text.split("=");
  return { name: parseGatewayName(name), seed: fromBase64Url(seed) ?? new Uint8Array() };
}
