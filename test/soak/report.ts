import { z } from "zod";

export const childOptionsSchema = z.object({
  /** The bucket, as a store URL. */
  url: z.string(),
  /** The way to it. */
  endpoint: z.string(),
  folder: z.string(),
  callsAtOnce: z.number(),
  /** Itself first, then its peers; the seed in base64url. */
  identities: z.array(z.object({ name: z.string(), seed: z.string() })),
});
export type ChildOptions = z.output<typeof childOptionsSchema>;

export const reportSchema = z.object({
  /** Answered, since it began. */
  calls: z.number(),
  /** Of those, the ones whose answer is not what was asked for. */
  wrong: z.number(),
  /** How often its handler was started. */
  starts: z.number(),
  /** How often a call was asked again, by the code it had failed with. */
  retries: z.record(z.string(), z.number()),
  /** From asking to the terminal, of the calls since the last report; null where there was none. */
  medianMs: z.number().nullable(),
  p90Ms: z.number().nullable(),
  /** On the heap and beside it, right after a collection of garbage. */
  heldBytes: z.number(),
  rssBytes: z.number(),
  descriptors: z.number(),
  /** To the store since it began, every attempt counted. */
  requests: z.object({ put: z.number(), list: z.number(), get: z.number(), delete: z.number() }),
  /** Receipts that have ended and are retained. */
  received: z.number(),
  /** Receipts with something left to do. */
  open: z.number(),
  /** Outbox records that are closed and retained. */
  asked: z.number(),
  /** Outbox records that are not closed. */
  unanswered: z.number(),
});
export type Report = z.output<typeof reportSchema>;
