import type { Mutation } from "./mutation.ts";

const receipts = "state/memory/receipts.ts";

/** Holes in what is kept, and for how long. */
export const retentionMutations: readonly Mutation[] = [
  {
    name: "collected-unanswered",
    opens: "a receipt is collected although its end was never published",
    breaks: 4,
    edits: [
      {
        file: receipts,
        find: `      if (ended === null || !ended.acknowledged) return [];`,
        replace: `      if (ended === null) return [];`,
      },
    ],
  },
  {
    name: "collected-at-expiry",
    opens: "a receipt is kept until its request expires, and no longer",
    breaks: 4,
    edits: [
      {
        file: receipts,
        find: `      const untilMs = keptUntilMs(ended.atMs, exp, retention);`,
        replace: `      const untilMs = exp * 1000;`,
      },
    ],
  },
  {
    name: "collected-before-expiry",
    opens: "a receipt is collected while its request has not expired yet",
    breaks: 4,
    edits: [
      {
        file: receipts,
        find: `      const untilMs = keptUntilMs(ended.atMs, exp, retention);`,
        replace: `      const untilMs = ended.atMs + retention.retentionMs;`,
      },
    ],
  },
  {
    name: "open-record-collected",
    opens: "what was asked is forgotten although it is neither closed nor known to be unanswered",
    breaks: 2,
    edits: [
      {
        file: "state/memory/outbox.ts",
        find: `      if (settledMs === null) return [];
      const untilMs = keptUntilMs(settledMs, record.exp, retention);`,
        replace: `      const untilMs = keptUntilMs(settledMs ?? record.openedMs, record.exp, retention);`,
      },
    ],
  },
  {
    name: "quarantine-collected-early",
    opens: "what quarantine keeps is collected before retention has passed",
    breaks: 4,
    edits: [
      {
        file: "state/collect.ts",
        find: `records.quarantine.old(beforeMs, room)`,
        replace: `records.quarantine.old(nowMs, room)`,
      },
    ],
  },
];
