import { mkdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { toBase32 } from "../../base/bytes.ts";
import { parseGatewayName, type GatewayName } from "../../base/names.ts";
import type { Random } from "../../base/random.ts";
import { objectKey, parseObjectKey } from "../../protocol/object-key.ts";
import type { Store } from "../../store/store.ts";
import type { Children } from "./child.ts";
import { keysBelow } from "./keys-below.ts";
import { broken } from "./report.ts";
import { makeScene } from "./scene.ts";

/** Who plays, and where they live. */
export interface Cast {
  readonly storeUrl: string;
  readonly caller: GatewayName;
  readonly callee: GatewayName;
  readonly callerHome: string;
  readonly calleeHome: string;
  readonly disk: string;
  readonly journal: string;
}

/** `folder` is empty; `storeUrl` is a store of the user's own, if there is one. */
export function castOf(folder: string, storeUrl: string | undefined, random: Random): Cast {
  // In a store of the user's own, nobody else has these names.
  const suffix = storeUrl === undefined ? "" : `-${toBase32(random.bytes(5))}`;
  const disk = path.join(folder, "disk");
  makeScene(disk);
  const folderStore = path.join(folder, "store");
  if (storeUrl === undefined) mkdirSync(folderStore);
  return {
    storeUrl: storeUrl ?? pathToFileURL(folderStore).href,
    caller: parseGatewayName(`support${suffix}`),
    callee: parseGatewayName(`build-lab${suffix}`),
    callerHome: path.join(folder, "support"),
    calleeHome: path.join(folder, "build-lab"),
    disk,
    journal: path.join(folder, "journal.txt"),
  };
}

/** Two homes, one agent, and each gateway's card with the other. */
export async function introduce(cast: Cast, children: Children): Promise<void> {
  const { caller, callee, callerHome, calleeHome, storeUrl } = cast;
  const init = (home: string, name: string): Promise<string> =>
    children.postern(home, ["init", "--gateway", name, "--store", storeUrl]);
  await Promise.all([init(callerHome, caller), init(calleeHome, callee)]);

  const agent = path.join(import.meta.dirname, `disk-agent${path.extname(import.meta.filename)}`);
  const command = [process.execPath, agent, cast.disk, cast.journal].map(quoted).join(" ");
  const agents = ["agents", "add", "diagnose", "--exec", command, "--output", "jsonl"];
  await children.postern(calleeHome, agents);

  const [callerCard, calleeCard] = await Promise.all(
    [callerHome, calleeHome].map((home) => children.postern(home, ["card", "export"])),
  );
  if (callerCard === undefined || calleeCard === undefined) throw broken("a card is missing");
  await Promise.all([
    children.postern(calleeHome, [...adding(callerCard), "--agent", "diagnose"]),
    children.postern(callerHome, adding(calleeCard)),
  ]);
}

function adding(card: string): string[] {
  return ["peers", "add", card.trim(), "--yes"];
}

/** Leaves the user's store as it was. */
export async function sweep(store: Store, { caller, callee }: Cast): Promise<void> {
  for (const gateway of [caller, callee]) {
    for (const key of await keysBelow(store, `${gateway}/`)) {
      const name = parseObjectKey(key);
      if (name !== undefined) await store.delete(objectKey(name));
    }
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
