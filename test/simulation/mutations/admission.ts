import type { Mutation } from "./mutation.ts";

const admission = "mailbox/admission.ts";
const admit = "mailbox/admit.ts";

/** Holes in admission: what is looked at before a request becomes a run, and what stands before it is answered. */
export const admissionMutations: readonly Mutation[] = [
  {
    name: "refusal-before-its-receipt",
    opens: "a refusal is published first and committed as a receipt afterwards",
    breaks: 2,
    edits: [
      {
        file: admit,
        find: `          const write = bornEnded(answered, view.nowMs, terminal);
          return { answer: { decided, receipt: write }, write };`,
        replace: `          const write = bornEnded(answered, view.nowMs, terminal);
          return { answer: { decided, receipt: write } };`,
      },
      {
        file: admit,
        find: `      await publishEnding(box, receipt);
`,
        replace: `      await box.store.put(
        framesKey(box, receipt, receipt.attempt, 0),
        receipt.ended.terminal.envelope,
      );
      await box.state.stepRun(receipt, (view) =>
        view.receipt === undefined ? { answer: undefined, write: receipt } : { answer: undefined },
      );
      await publishEnding(box, receipt);
`,
      },
      {
        file: admit,
        find: `import { signBareTerminal } from "./terminal.ts";`,
        replace: `import { framesKey, signBareTerminal } from "./terminal.ts";`,
      },
    ],
  },
  {
    name: "deleted-before-ended",
    opens: "a request is deleted from the inbox once it is admitted, not once its run has ended",
    breaks: 4,
    edits: [
      {
        file: admit,
        find: `    case "admitted":
      return { status: "admitted", receipt, request };`,
        replace: `    case "admitted": {
      const { from, runId } = receipt;
      await box.store.delete(objectKey({ kind: "request", to: box.self, from, runId }));
      return { status: "admitted", receipt, request };
    }`,
      },
    ],
  },
  {
    name: "clock-read-once",
    opens: "admission decides by the clock as it was when the request was read",
    breaks: 2,
    edits: [
      {
        file: admission,
        find: `  const now = view.nowMs;`,
        replace: `  const now = candidate.readMs;`,
      },
      {
        file: admit,
        find: `  const got = await source.read();`,
        replace: `  const readMs = box.clock.now();
  const got = await source.read();`,
      },
      {
        file: admit,
        find: `  const candidate = candidateOf(box, verified, cancelled, maxRunOf);`,
        replace: `  const candidate = { ...candidateOf(box, verified, cancelled, maxRunOf), readMs };`,
      },
    ],
  },
  {
    name: "receipts-found-by-expiry",
    opens: "a receipt stands in the way of other requests only until its own one expires",
    breaks: 1,
    edits: [
      {
        file: "state/memory/receipts.ts",
        find: `      (other) => other.requestDigest !== requestDigest && standsInTheWay(other),`,
        replace: `      (other) =>
        other.exp * 1000 > this.#disk.content.meta.highestClockMs &&
        other.requestDigest !== requestDigest &&
        standsInTheWay(other),`,
      },
    ],
  },
  {
    name: "conflicts-forgotten",
    opens: "a run that has ended no longer stands in the way of other requests under its name",
    breaks: 1,
    edits: [
      {
        file: "state/rules.ts",
        find: `  if (admitted || ended === null) return true;`,
        replace: `  return ended === null;`,
      },
    ],
  },
  {
    name: "expired-before-born",
    opens: "a request that a lost state may have run is answered as expired",
    breaks: 2,
    edits: [
      {
        file: admission,
        find: `  if (view.owner.bornMs > 0 && iat < view.owner.bornMs + limits.recoveryMs) {`,
        replace: `  if (now >= exp + limits.skewMs && now < exp + 2 * limits.skewMs)
    return answered("expired", "EXPIRED", "the request expired before it was admitted");
  if (view.owner.bornMs > 0 && iat < view.owner.bornMs + limits.recoveryMs) {`,
      },
    ],
  },
  {
    name: "born-forgotten",
    opens: "a recovered state admits requests that were signed before it was recovered",
    breaks: 1,
    edits: [
      {
        file: admission,
        find: `  if (view.owner.bornMs > 0 && iat < view.owner.bornMs + limits.recoveryMs) {`,
        replace: `  if (false) {`,
      },
    ],
  },
  {
    name: "born-without-skew",
    opens: "a recovered state compares signing times with its recovery to the millisecond",
    breaks: 1,
    edits: [
      {
        file: admission,
        find: `iat < view.owner.bornMs + limits.recoveryMs`,
        replace: `iat < view.owner.bornMs`,
      },
    ],
  },
  {
    name: "expired-claimed-late",
    opens: "expiry is claimed of requests so old that their receipts may have been collected",
    breaks: 2,
    edits: [
      {
        file: admission,
        find: `  const believable = now < exp + 2 * limits.skewMs;`,
        replace: `  const believable = true;`,
      },
    ],
  },
  {
    name: "quota-refused-for-good",
    opens: "a request that finds no room is refused for good",
    breaks: 2,
    edits: [
      {
        file: admission,
        find: `  if (view.peer.openRuns >= candidate.maxConcurrentRuns)
    return { status: "waits", code: "QUOTA_REACHED" };`,
        replace: `  if (view.peer.openRuns >= candidate.maxConcurrentRuns)
    return answered("refused", "QUOTA_REACHED", "too many runs are open");`,
      },
    ],
  },
  {
    name: "cancel-not-looked-at",
    opens: "a request is admitted and started although its cancel lies beside it",
    breaks: 2,
    edits: [
      {
        file: admission,
        find: `  if (candidate.cancelled)`,
        replace: `  if (false)`,
      },
    ],
  },
  {
    name: "deadline-not-looked-at",
    opens: "a request is admitted although its deadline has passed",
    breaks: 2,
    edits: [
      {
        file: admission,
        find: `  if (isPastDeadline(received, now))`,
        replace: `  if (false)`,
      },
    ],
  },
  {
    name: "run-id-believed",
    opens: "a request's name is not compared with the hash of its content",
    breaks: 3,
    edits: [
      {
        file: "mailbox/verify-request.ts",
        find: `  if (run.runId !== ownRunId(box, run, payload)) {`,
        replace: `  if (false) {`,
      },
    ],
  },
  {
    name: "caller-believed",
    opens: "who a request says is calling is not compared with who signed it",
    breaks: 3,
    edits: [
      {
        file: "mailbox/verify-request.ts",
        find: `  if (payload.callerIdentity.gateway !== iss) {`,
        replace: `  if (false) {`,
      },
    ],
  },
  {
    name: "quarantine-without-bound",
    opens: "quarantine keeps whatever comes, however much there is of one sender",
    breaks: 3,
    edits: [
      {
        file: "mailbox/quarantine.ts",
        find: `  maxBytes: limits.quarantineBytesPerPeer,
  maxEntries: limits.quarantineEntriesPerPeer,`,
        replace: `  maxBytes: Number.MAX_SAFE_INTEGER,
  maxEntries: Number.MAX_SAFE_INTEGER,`,
      },
    ],
  },
  {
    name: "deleted-before-kept",
    opens: "a refused object is deleted from the inbox before quarantine keeps it",
    breaks: 4,
    edits: [
      {
        file: "mailbox/quarantine.ts",
        find: `  const answer = await quarantine(box, { ...refused, key });
  if`,
        replace: `  await box.store.delete(key);
  const answer = await quarantine(box, { ...refused, key });
  if`,
      },
    ],
  },
];
