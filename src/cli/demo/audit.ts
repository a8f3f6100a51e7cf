/**
 * The demo's third process: it has done nothing itself, and reads back from store and state what happened.
 *
 * `node audit.js CALLER-HOME CALLEE-HOME RUNID REQUEST-DIGEST TAMPERED-KEY JOURNAL`: one line of JSON.
 */
import { readFileSync } from "node:fs";
import { silentLogger } from "../../base/log.ts";
import { limits } from "../../base/limits.ts";
import { parseRunId, type RunId } from "../../base/names.ts";
import { openGateway, type Gateway } from "../../gateway/gateway.ts";
import { framesOfTranscript } from "../../mailbox/frame-reader.ts";
import { keysBelow } from "./keys-below.ts";

/** What was counted. */
export interface Audit {
  /** Verified frames in the caller's transcript. */
  readonly frames: number;
  readonly terminal: string;
  /** Starts of handlers by the callee's receipts: for the request as it was signed, and for any other bytes. */
  readonly startsOfRequest: number;
  readonly startsOfOthers: number;
  /** How often the agent itself noted that it ran. */
  readonly journalLines: number;
  /** Entries in the callee's quarantine for the tampered object. */
  readonly quarantined: number;
  /** Objects of both gateways that stand in the store. */
  readonly objects: number;
}

const [callerHome, calleeHome, runId, digest, tamperedKey, journal] = process.argv.slice(2);
if (
  journal === undefined ||
  callerHome === undefined ||
  calleeHome === undefined ||
  runId === undefined
) {
  process.stderr.write(
    "usage: audit CALLER-HOME CALLEE-HOME RUNID REQUEST-DIGEST TAMPERED-KEY JOURNAL\n",
  );
  process.exitCode = 2;
} else {
  await using caller = await open(callerHome);
  await using callee = await open(calleeHome);
  const audit: Audit = {
    ...(await asCallerSaw(caller, parseRunId(runId))),
    ...(await asCalleeDid(callee, parseRunId(runId))),
    journalLines: readFileSync(journal, "utf8").split("\n").filter(Boolean).length,
    objects: (await objectsOf(caller)) + (await objectsOf(callee)),
  };
  process.stdout.write(`${JSON.stringify(audit)}\n`);
}

function open(home: string): Promise<Gateway> {
  return openGateway({ home, log: silentLogger, env: process.env, admits: false });
}

async function asCallerSaw({ mailbox }: Gateway, run: RunId) {
  const transcript = await mailbox.state.transcript(run);
  const frames = transcript?.envelopes.flatMap(framesOfTranscript) ?? [];
  return { frames: frames.length, terminal: transcript?.terminal.status ?? "none" };
}

async function asCalleeDid({ mailbox }: Gateway, run: RunId) {
  const { state } = mailbox;
  const receipts = await state.receipts({ limit: limits.recoverPerPass });
  const ours = receipts.filter(
    (receipt) => receipt.runId === run && receipt.requestDigest === digest,
  );
  const others = receipts.filter((receipt) => !ours.includes(receipt));
  const entries = await state.quarantined({ limit: limits.quarantineEntriesPerPeer });
  return {
    startsOfRequest: ours.reduce((sum, { starts }) => sum + starts, 0),
    startsOfOthers: others.reduce((sum, { starts }) => sum + starts, 0),
    quarantined: entries.filter(({ key }) => key === tamperedKey).length,
  };
}

async function objectsOf({ mailbox }: Gateway): Promise<number> {
  return (await keysBelow(mailbox.store, `${mailbox.self}/`)).length;
}
