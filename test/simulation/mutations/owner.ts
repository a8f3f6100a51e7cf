import type { Mutation } from "./mutation.ts";

const owner = "mailbox/owner.ts";
const start = "mailbox/start.ts";
const rules = "state/rules.ts";
const recover = "state/recover.ts";

/** Holes in what makes one state, and one clock, serve a gateway's name. */
export const ownerMutations: readonly Mutation[] = [
  {
    name: "owner-generation-ignored",
    opens: "a claim by another state is met and changes nothing",
    breaks: 1,
    edits: [
      {
        file: owner,
        find: `    const ours = await box.state.knowsOwnerNonce(claim.nonce);`,
        replace: `    const ours = true;`,
      },
    ],
  },
  {
    name: "nonce-after-its-claim",
    opens: "an owner nonce is committed after the claim that carries it was put",
    breaks: 6,
    edits: [
      {
        file: owner,
        find: `  await box.state.commitOwnerNonce(nonce);
`,
        replace: ``,
      },
      {
        file: owner,
        find: `    const created = (await box.store.put(key, bytes)) === "created";`,
        replace: `    const created = (await box.store.put(key, bytes)) === "created";
    if (created) await box.state.commitOwnerNonce(nonce);`,
      },
    ],
  },
  {
    name: "exists-taken-as-lost",
    opens: "a claim that meets another one is taken as lost, without a look at whose that is",
    breaks: 2,
    edits: [
      {
        file: owner,
        find: `      : await verifiedClaim(box, generation, await readObject(box.store, key));`,
        replace: `      : { claim: { generation, nonce }, issuedMs: begunMs, ours: false };`,
      },
    ],
  },
  {
    name: "start-without-a-look-at-the-owner",
    opens: "a run is started without asking whether this state still serves the name",
    breaks: 1,
    edits: [
      {
        file: start,
        find: `  await ensureOwner(box);
`,
        replace: ``,
      },
      {
        file: start,
        find: `    requireOwner(view);
`,
        replace: ``,
      },
    ],
  },
  {
    name: "look-of-any-age",
    opens: "a look at the owner keys counts for ever, whoever has claimed the name since",
    breaks: 1,
    edits: [
      {
        file: owner,
        find: `lookMs !== null && lookMs <= view.nowMs && view.nowMs - lookMs < limits.ownerLookMs;`,
        replace: `lookMs !== null;`,
      },
    ],
  },
  {
    name: "clock-behind-admits",
    opens: "a clock that is behind what the state has seen goes on admitting",
    breaks: 1,
    edits: [
      {
        file: owner,
        find: `  if (view.nowMs < view.highestClockMs - limits.clockStepMs) {`,
        replace: `  if (false) {`,
      },
    ],
  },
  {
    name: "born-before-its-claim",
    opens: "a recovered state admits what was signed between its recovery and its claim",
    breaks: 1,
    edits: [
      {
        file: rules,
        find: `meta.bornMs > 0 && isFirstClaim ? Math.max(meta.bornMs, nowMs) : meta.bornMs`,
        replace: `meta.bornMs`,
      },
    ],
  },
  {
    name: "recovered-runs-told-by-the-clock",
    opens:
      "an open run of a recovered state counts as a later one, if the clock was ahead when it was received",
    breaks: 1,
    edits: [
      {
        file: recover,
        find: `  records.receipts.dateUntil(nowMs);
`,
        replace: ``,
      },
    ],
  },
  {
    name: "recovered-runs-started",
    opens: "a run that was admitted before its state was recovered is started after that",
    breaks: 1,
    edits: [
      {
        file: start,
        find: `lostInRecovery(receipt, view.owner) ?? reasonNotToStart`,
        replace: `reasonNotToStart`,
      },
    ],
  },
  {
    name: "look-outlives-a-recovery",
    opens: "a recovered state decides by a look at the owner keys from before its recovery",
    breaks: 1,
    edits: [
      {
        file: recover,
        find: `lookMs: null, claimedMs: null, elsewhere: false`,
        replace: `elsewhere: false`,
      },
    ],
  },
  {
    name: "past-claims-not-kept",
    opens: "claims are deleted by which a copy of the home would have found out about this one",
    breaks: 1,
    edits: [
      {
        file: owner,
        find: `  const generation = newest - limits.keptOwnerKeys - 1;`,
        replace: `  const generation = newest - 1;`,
      },
      {
        file: owner,
        find: `  if (generation >= newest - limits.keptOwnerKeys) return false;`,
        replace: ``,
      },
    ],
  },
];
