import type { Mutation } from "./mutation.ts";

const end = "mailbox/end.ts";
const run = "gateway/run.ts";
const start = "mailbox/start.ts";
const takeOver = "mailbox/take-over.ts";

/** Holes in starting, ending and taking over. */
export const runningMutations: readonly Mutation[] = [
  {
    name: "start-without-a-look-at-trust",
    opens: "a run is started although its grant or key was withdrawn since its admission",
    breaks: 3,
    edits: [
      {
        file: start,
        find: `  const denied = look.denial();`,
        replace: `  const denied = undefined;`,
      },
    ],
  },
  {
    name: "start-too-late",
    opens: "a run that was admitted in time is started at any later time",
    breaks: 1,
    edits: [
      {
        file: start,
        find: `  if (nowMs >= receipt.exp * 1000 + 2 * limits.skewMs) {`,
        replace: `  if (false) {`,
      },
    ],
  },
  {
    name: "never-claimed-of-a-start",
    opens: "a run of which an attempt was started ends like one that never ran",
    breaks: 2,
    edits: [
      {
        file: start,
        find: `  if (receipt.starts === 0) return failure(status, code, message);`,
        replace: `  if (true) return failure(status, code, message);`,
      },
    ],
  },
  {
    name: "start-past-its-deadline",
    opens: "a run is started although its deadline has passed since its admission",
    breaks: 3,
    edits: [
      {
        file: start,
        find: `  if (isPastDeadline(receipt, nowMs)) {`,
        replace: `  if (false) {`,
      },
    ],
  },
  {
    name: "start-not-durable",
    opens: "a handler starts while a loss of power could still undo that it is running",
    breaks: 1,
    edits: [
      {
        file: start,
        find: `    return { answer: { status: "running", receipt: running }, write: running };
  });`,
        replace: `    return { answer: { status: "running", receipt: running }, write: running, relaxed: true };
  }, { mayRelax: true });`,
      },
    ],
  },
  {
    name: "end-not-durable",
    opens: "an end is published while a loss of power could still undo it",
    breaks: 2,
    edits: [
      {
        file: end,
        find: `    return { answer: ended, write: ended };
  });`,
        replace: `    return { answer: ended, write: ended, relaxed: true };
  }, { mayRelax: true });`,
      },
    ],
  },
  {
    name: "terminal-before-its-commit",
    opens: "a terminal is put before it is committed that the run has ended so",
    breaks: 2,
    edits: [
      {
        file: run,
        find: `      const terminal = writer.sealed(outcome);
      return terminal && (`,
        replace: `      const terminal = writer.sealed(outcome);
      if (terminal !== undefined) {
        const key = framesKey(this.#box, this.#lease.run, terminal.attempt, terminal.seq);
        await this.#box.store.put(key, terminal.envelope);
      }
      return terminal && (`,
      },
      {
        file: run,
        find: `import { failure, signBareTerminal } from "../mailbox/terminal.ts";`,
        replace: `import { failure, framesKey, signBareTerminal } from "../mailbox/terminal.ts";`,
      },
    ],
  },
  {
    name: "terminal-before-its-frames",
    opens: "a terminal is signed while frames before it are still on their way",
    breaks: 2,
    edits: [
      {
        file: "mailbox/frame-writer.ts",
        find: `    while ((await this.#tryPut(key, envelope)) === "unreachable") {
      await this.#box.clock.sleep(storeDownDelayMs, this.#leaving);
    }`,
        replace: `    void (async () => {
      while ((await this.#tryPut(key, envelope)) === "unreachable") {
        await this.#box.clock.sleep(storeDownDelayMs, this.#leaving);
      }
    })().catch(() => undefined);`,
      },
    ],
  },
  {
    name: "displaced-end-changed",
    opens: "an end whose place is taken is published under the next attempt as another one",
    breaks: 2,
    edits: [
      {
        file: end,
        find: `    const again = signBareTerminal(box, run, next, terminal.payload);`,
        replace: `    const error = { code: "INTERRUPTED", message: "its terminal was displaced" };
    const again = signBareTerminal(box, run, next, { status: "interrupted", error });`,
      },
    ],
  },
  {
    name: "end-published-by-another-too-early",
    opens: "an end that another process committed is published while it may still be lost",
    breaks: 2,
    edits: [
      {
        file: end,
        find: `  await box.state.sync();
  await publishEnding(box, receipt);`,
        replace: `  await publishEnding(box, receipt);`,
      },
    ],
  },
  {
    name: "envelope-signed-anew",
    opens: "an envelope of frames that is tried again is signed again",
    breaks: 5,
    edits: [
      {
        file: "mailbox/frame-writer.ts",
        find: `    while ((await this.#tryPut(key, envelope)) === "unreachable") {
      await`,
        replace: `    while ((await this.#tryPut(key, envelope)) === "unreachable") {
      envelope = this.#sign(frames);
      await`,
      },
    ],
  },
  {
    name: "taken-though-changed",
    opens: "a run is taken over although it has changed since it was looked at",
    breaks: 1,
    edits: [
      {
        file: takeOver,
        find: `    if (receipt === undefined || !isUnchanged(receipt, seen)) return { answer: { status: "left" } };`,
        replace: `    if (receipt === undefined) return { answer: { status: "left" } };`,
      },
    ],
  },
  {
    name: "live-worker-taken-over",
    opens: "a run is taken from a worker that lives",
    breaks: 1,
    edits: [
      {
        file: takeOver,
        find: `  if (receipt.worker === box.liveness.self || box.liveness.isGone(receipt.worker)) return "gone";`,
        replace: `  return "gone";`,
      },
    ],
  },
  {
    name: "reported-run-again",
    opens: "a running run that is taken over runs again, whatever its route says",
    breaks: 1,
    edits: [
      {
        file: takeOver,
        find: `    options.onCrash(receipt) === "retry" &&
`,
        replace: ``,
      },
    ],
  },
  {
    name: "retry-without-bound",
    opens: "a run that is marked for it runs again after every crash",
    breaks: 1,
    edits: [
      {
        file: takeOver,
        find: `    receipt.starts < limits.maxStarts &&
`,
        replace: ``,
      },
    ],
  },
  {
    name: "outcome-forgotten",
    opens: "whoever takes over a run whose handler has returned does not publish what it returned",
    breaks: 2,
    edits: [
      {
        file: takeOver,
        find: `  if (receipt.outcome !== null) return receipt.outcome;
`,
        replace: ``,
      },
    ],
  },
  {
    name: "restored-run-started",
    opens: "an open run of a restored state is taken for one that never ran",
    breaks: 1,
    edits: [
      {
        file: start,
        find: `  if (receivedMs > bornMs) return undefined;`,
        replace: `  if (true) return undefined;`,
      },
    ],
  },
  {
    name: "attempt-kept-at-takeover",
    opens: "whoever takes a run over writes its frames under the attempt of the worker before",
    breaks: 5,
    edits: [
      {
        file: takeOver,
        find: `    const attempt = nextAttempt(receipt);`,
        replace: `    const { attempt } = receipt;`,
      },
    ],
  },
];
