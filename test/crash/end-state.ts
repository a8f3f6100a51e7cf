import { fork } from "node:child_process";
import path from "node:path";
import { z } from "zod";
import { parseRunId } from "../../src/base/names.ts";
import type { World } from "./world.ts";

const questionSchema = z.strictObject({
  id: z.number(),
  caller: z.string(),
  callee: z.string(),
  runId: z.string().transform(parseRunId),
});

export type Question = z.infer<typeof questionSchema>;

const terminalSchema = z
  .strictObject({
    status: z.string(),
    result: z.unknown().optional(),
    error: z.unknown().optional(),
  })
  .nullable();

const endStateSchema = z.strictObject({
  /** The caller's record of the run; null when there is none. */
  asked: z.strictObject({ state: z.string(), terminal: terminalSchema }).nullable(),
  /** The terminal of the caller's transcript. */
  transcript: terminalSchema,
  /** The callee's receipts of the run. */
  receipts: z.array(
    z.strictObject({
      state: z.string(),
      starts: z.number(),
      terminal: terminalSchema,
      acknowledged: z.boolean(),
    }),
  ),
  /** Codes of what the callee has in quarantine. */
  quarantined: z.array(z.string()),
  /** All keys of the store. */
  objects: z.array(z.string()),
  /** How many runs are remembered, whatever became of them. */
  remembered: z.strictObject({ asked: z.number(), received: z.number() }),
});

export type EndState = z.infer<typeof endStateSchema>;

const answerSchema = z.union([
  z.strictObject({ id: z.number(), end: endStateSchema }),
  z.strictObject({ id: z.number(), failure: z.string() }),
]);

export type Answer = z.infer<typeof answerSchema>;

export function parseQuestion(message: unknown): Question {
  return questionSchema.parse(message);
}

/** A process that looks at worlds in which it has no part. */
export class Checker implements Disposable {
  readonly #child;
  readonly #asked = new Map<number, (answer: Answer) => void>();
  #questions = 0;

  constructor(env: Readonly<Record<string, string>>) {
    const script = path.join(import.meta.dirname, "checker-child.ts");
    this.#child = fork(script, { env: { ...process.env, ...env } });
    this.#child.on("message", (message) => {
      const answer = answerSchema.parse(message);
      this.#asked.get(answer.id)?.(answer);
    });
    this.#child.once("exit", () => {
      for (const [id, tell] of this.#asked) tell({ id, failure: "the checker has ended" });
    });
  }

  async lookAt({
    pair: { caller, callee },
    runId,
  }: Pick<World, "pair" | "runId">): Promise<EndState> {
    this.#questions += 1;
    const id = this.#questions;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#asked.set(id, resolve);
    this.#child.send({ id, caller, callee, runId });
    const answer = await promise;
    this.#asked.delete(id);
    if ("failure" in answer) throw new Error(answer.failure);
    return answer.end;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
