import { z } from "zod";

const operationSchema = z.strictObject({
  name: z.string(),
  /** The how manieth of this name in its process, from 1. */
  nth: z.number(),
});

const killSchema = operationSchema.extend({ when: z.enum(["before", "after"]) });

const planSchema = z.strictObject({
  /** The file to which the operations are noted. */
  trace: z.string(),
  home: z.string(),
  /** The store's folder; null for a bucket. */
  folder: z.string().nullable(),
  /** Where the process dies; null to let it live. */
  at: killSchema.nullable(),
});

/** What a process that may be killed is told, in POSTERN_KILL. */
export type Plan = z.infer<typeof planSchema>;

/** One operation of a process; processes that do the same have the same ones. */
export type Operation = z.infer<typeof operationSchema>;

/** Where a process dies: right before it asks for an operation, or once that has taken effect. */
export type Kill = z.infer<typeof killSchema>;

const noteSchema = operationSchema.extend({ what: z.enum(["begins", "done"]) });

/** A line of the trace. */
export type Note = z.infer<typeof noteSchema>;

export function parsePlan(text: string): Plan {
  return planSchema.parse(JSON.parse(text));
}

export function parseTrace(text: string): readonly Note[] {
  // The last line may be on its way.
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line) => noteSchema.parse(JSON.parse(line)));
}
