import { writeFileSync } from "node:fs";
import { errnoOf } from "../base/errno.ts";
import { systemClock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { agentsOf } from "../gateway/config.ts";
import { openHome, type Home } from "../gateway/home.ts";
import { machineName } from "../gateway/machine.ts";
import { fingerprintOf } from "../protocol/keys.ts";
import { openSqliteState } from "../state/sqlite.ts";
import { cardText, makeCard } from "../trust/card.ts";

/**
 * Makes this gateway's card anew, under the next version, and writes its text to `file` if one is named.
 * Throws as `openHome` and the state do, and `USAGE` for a file that is there already or cannot be written.
 */
export async function exportCard(home: string, file: string | undefined) {
  const opened = openHome(home);
  const { config, signingKey } = opened;
  const version = await nextVersion(opened);
  const agents = [...agentsOf(config).values()].map(({ name, description }) => ({
    name,
    ...(description === undefined ? {} : { description }),
  }));
  const { gateway, realm } = config;
  const keys = [signingKey.publicKey];
  const maxRequestBytes = limits.maxEnvelopeBytes;
  const payload = { realm, gateway, version, keys, agents, maxRequestBytes };
  const card = cardText(makeCard(payload, signingKey, systemClock.now()));
  if (file !== undefined) writeCard(file, `${card}\n`);
  return { gateway, realm, version, fingerprint: fingerprintOf(signingKey.publicKey), card };
}

async function nextVersion({ paths }: Home): Promise<number> {
  const options = { file: paths.state, clock: systemClock, machine: machineName() };
  const state = await openSqliteState(options);
  try {
    return await state.nextNumber("card");
  } finally {
    await state.close();
  }
}

/** For everybody to read: a card holds no secret. */
function writeCard(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: "wx", mode: 0o644 });
  } catch (cause) {
    const errno = errnoOf(cause);
    const why =
      errno === "EEXIST" ? "is there already" : `cannot be written (${errno ?? "unknown"})`;
    throw new PosternError("USAGE", `${file} ${why}: name another file`, { cause });
  }
}
