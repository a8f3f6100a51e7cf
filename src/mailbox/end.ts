import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import { objectKey } from "../protocol/object-key.ts";
import type { Receipt, RunRef, SignedTerminal } from "../protocol/receipt.ts";
import type { RunView } from "../state/state.ts";
import { heldReceipt, nextAttempt, type Lease } from "./lease.ts";
import type { Mailbox } from "./mailbox.ts";
import { ensureOwner, requireOwner } from "./owner.ts";
import { putExactly } from "./put-exactly.ts";
import { framesKey, signBareTerminal } from "./terminal.ts";

/**
 * Commits what the handler returned, before anything of it is published: its run time is over, and whoever
 * takes the run over publishes this outcome. False when the run is no longer ours.
 */
export function commitOutcome(
  box: Mailbox,
  lease: Lease,
  outcome: TerminalPayload,
): Promise<boolean> {
  return box.state.stepRun(lease.run, (view) => {
    const receipt = heldReceipt(lease, view);
    if (receipt === undefined) return { answer: false };
    if (receipt.outcome !== null) return { answer: true };
    return { answer: true, write: { ...receipt, outcome } };
  });
}

/**
 * Commits the end of a run, if it is still ours. `terminal` is the signed envelope that says it, to be put
 * only afterwards. Undefined when the run was taken: then nothing is published. Rejects with
 * `STATE_ELSEWHERE`, `CLOCK_BEHIND`, `OWNER_UNCHECKED` when the last look is too old (see `ensureOwner`), or
 * as the state does.
 */
export function commitEnd(
  box: Mailbox,
  lease: Lease,
  terminal: SignedTerminal,
): Promise<Receipt | undefined> {
  return box.state.stepRun(lease.run, (view) => {
    const receipt = heldReceipt(lease, view);
    if (receipt === undefined) return { answer: undefined };
    requireOwner(view);
    const ended = endedReceipt(receipt, view.nowMs, terminal);
    return { answer: ended, write: ended };
  });
}

export function endedReceipt(receipt: Receipt, nowMs: number, terminal: SignedTerminal): Receipt {
  return {
    ...receipt,
    state: "ended",
    outcome: terminal.payload,
    ended: { atMs: nowMs, terminal, acknowledged: false },
  };
}

/**
 * Publishes an end that another step committed, perhaps another process and this very moment: it must outlast
 * the machine's power first.
 */
export async function republishEnding(box: Mailbox, receipt: Receipt): Promise<void> {
  await box.state.sync();
  await publishEnding(box, receipt);
}

/**
 * Publishes a committed end: puts the terminal, deletes the request, commits that both are done. May be
 * repeated by anyone at any time. Where other bytes stand at the terminal's key, or its signing key is no
 * longer ours, the same outcome is signed again for the next attempt; never another outcome. Rejects with
 * `FRAME_CHAIN_BROKEN` where very many of them are taken: the next call goes on behind those.
 */
export async function publishEnding(box: Mailbox, receipt: Receipt): Promise<void> {
  let ended = receipt;
  for (let reissues = 0; ; reissues += 1) {
    const terminal = ended.ended?.terminal;
    if (terminal === undefined)
      throw new PosternError("INTERNAL", "a run that has not ended has no ending to publish");
    if (terminal === null) break;
    await ensureOwner(box);
    if (isSignedByUs(box, terminal)) {
      const key = framesKey(box, ended, terminal.attempt, terminal.seq);
      if ((await putExactly(box.store, key, terminal.envelope)) === "ours") break;
      box.log.warn(
        { key },
        "other bytes stand at a terminal's key: signing it again for the next attempt",
      );
    }
    if (reissues === limits.reissuesPerPublish) throw attemptsTaken(ended);
    // The store may have taken longer over the terminal than a look is good for.
    await ensureOwner(box);
    const again = await reissue(box, ended, terminal.attempt);
    // Another process has published it long ago: retention took it meanwhile.
    if (again === undefined) return;
    ended = again;
    // Another process may have signed it this very moment.
    await box.state.sync();
  }
  await box.store.delete(
    objectKey({ kind: "request", to: box.self, from: ended.from, runId: ended.runId }),
  );
  if (ended.ended?.acknowledged !== true) await acknowledge(box, ended);
}

function attemptsTaken({ runId, attempt }: Receipt): PosternError {
  const what = `other bytes stand at the terminals of run ${runId}, up to attempt ${attempt}`;
  return new PosternError("FRAME_CHAIN_BROKEN", `${what}: it is tried again behind them`);
}

function isSignedByUs(box: Mailbox, terminal: SignedTerminal): boolean {
  return parseEnvelope("frames", terminal.envelope).kid === box.signingKey.publicKey.kid;
}

/**
 * Signs the outcome for the attempt after `attempt`, unless another process did so already; undefined where
 * nothing is known of it any more.
 */
function reissue(box: Mailbox, run: RunRef, attempt: number): Promise<Receipt | undefined> {
  return box.state.stepRun<Receipt | undefined>(run, (view) => {
    const receipt = endedIn(view);
    if (receipt === undefined) return { answer: undefined };
    const terminal = receipt.ended.terminal;
    if (terminal === null || terminal.attempt > attempt) return { answer: receipt };
    requireOwner(view);
    const next = nextAttempt(receipt);
    const again = signBareTerminal(box, run, next, terminal.payload);
    const write = {
      ...receipt,
      attempt: next,
      ended: { ...receipt.ended, terminal: again, acknowledged: false },
    };
    return { answer: write, write };
  });
}

/** Lost, the end is published again: that may be done at any time. One that was collected needs it no more. */
async function acknowledge(box: Mailbox, published: Receipt): Promise<void> {
  await box.state.stepRun(
    published,
    (view) => {
      const receipt = endedIn(view);
      const same = receipt?.ended.terminal?.attempt === published.ended?.terminal?.attempt;
      if (receipt === undefined || !same || receipt.ended.acknowledged)
        return { answer: undefined };
      return {
        answer: undefined,
        write: { ...receipt, ended: { ...receipt.ended, acknowledged: true } },
        relaxed: true,
      };
    },
    { mayRelax: true },
  );
}

function endedIn({
  receipt,
}: RunView): (Receipt & { readonly ended: NonNullable<Receipt["ended"]> }) | undefined {
  return receipt && receipt.ended !== null ? { ...receipt, ended: receipt.ended } : undefined;
}
