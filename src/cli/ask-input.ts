import { string } from "@oclif/core/args";
import { string as stringFlag } from "@oclif/core/flags";
import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { parseRunId } from "../base/names.ts";
import { ask, type Ask, type Asked } from "../gateway/ask.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { RequestBody } from "../protocol/request.ts";
import { duration } from "./duration.ts";
import { parseJsonInput } from "./json-input.ts";
import { readTextInput } from "./text-input.ts";

/** What `send` and `call` ask for. */
export const askArgs = {
  target: string({
    description: "Who is asked: gateway/agent, or a name under `routes` in config.json.",
    required: true,
    ignoreStdin: true,
  }),
};

const what = ["prompt", "prompt-file", "tool"];

export const askFlags = {
  prompt: stringFlag({ summary: "The prompt.", helpValue: "TEXT", exactlyOne: what }),
  "prompt-file": stringFlag({
    summary: "Read the prompt from a file, or from stdin.",
    helpValue: "FILE|-",
    exactlyOne: what,
  }),
  tool: stringFlag({ summary: "Call one tool of the agent.", helpValue: "NAME", exactlyOne: what }),
  input: stringFlag({
    summary: "What the tool gets [default: {}].",
    helpValue: "JSON",
    dependsOn: ["tool"],
  }),
  continue: stringFlag({ summary: "Continue an earlier run.", helpValue: "RUNID" }),
  tenant: stringFlag({
    summary: "For whom it is asked: part of the run's name, and of what the callee grants.",
    helpValue: "T",
  }),
  "idempotency-key": stringFlag({
    summary: "Name this piece of work: the same key never runs twice [default: a random one].",
    helpValue: "KEY",
  }),
  deadline: duration({ summary: "How long the result is wanted." }),
  ttl: duration({ summary: "How long the request may wait to be admitted [default: 24h]." }),
};

interface AskFlags {
  readonly prompt?: string | undefined;
  readonly "prompt-file"?: string | undefined;
  readonly tool?: string | undefined;
  readonly input?: string | undefined;
  readonly continue?: string | undefined;
  readonly tenant?: string | undefined;
  readonly "idempotency-key"?: string | undefined;
  readonly deadline?: number | undefined;
  readonly ttl?: number | undefined;
}

/** Throws `USAGE` or `NAME_INVALID`. */
export async function readAsk(target: string, flags: AskFlags): Promise<Ask> {
  const { continue: continues, tenant, "idempotency-key": key, deadline, ttl } = flags;
  if (ttl !== undefined && (ttl < 1000 || ttl > limits.maxTtlMs)) {
    throw new PosternError("USAGE", `--ttl is from 1s to ${limits.maxTtlMs / 86_400_000}d`);
  }
  return {
    target,
    body: await readBody(flags),
    ...(key === undefined ? {} : { idempotencyKey: key }),
    ...(continues === undefined ? {} : { continues: parseRunId(continues) }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(deadline === undefined ? {} : { deadlineMs: deadline }),
    ...(ttl === undefined ? {} : { ttlMs: ttl }),
  };
}

async function readBody(flags: AskFlags): Promise<RequestBody> {
  const { prompt, "prompt-file": file, tool, input } = flags;
  if (tool !== undefined) {
    const given = input === undefined ? {} : parseJsonInput(input, "--input");
    return { kind: "toolCall", toolCall: { name: tool, input: given } };
  }
  if (prompt !== undefined) return { kind: "prompt", prompt: { text: prompt } };
  if (file === undefined)
    throw new PosternError("USAGE", `say what is asked: one of --${what.join(", --")}`);
  return { kind: "prompt", prompt: { text: await readTextInput(file, limits.maxEnvelopeBytes) } };
}

/**
 * Commits the request (see `ask`). What is wrong with its content is the asker's to mend here, and nothing
 * that did not verify: it throws `REQUEST_INVALID`.
 */
export async function commitAsk(gateway: Gateway, request: Ask): Promise<Asked> {
  try {
    return await ask(gateway.mailbox, gateway.routes, request);
  } catch (thrown) {
    const error = asPosternError(thrown);
    const isContent = error.code === "PAYLOAD_INVALID" || error.code.startsWith("CBOR_");
    if (!isContent) throw error;
    throw new PosternError("REQUEST_INVALID", `the request cannot be sent: ${error.message}`, {
      cause: error,
    });
  }
}
