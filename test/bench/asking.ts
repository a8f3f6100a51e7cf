import type { AgentName, GatewayName } from "../../src/base/names.ts";
import { ask, deliver, type Asked } from "../../src/gateway/ask.ts";
import { follow, type Followed } from "../../src/mailbox/follow.ts";
import type { PlacedFrame } from "../../src/mailbox/frame-reader.ts";
import type { TerminalPayload } from "../../src/protocol/frame.ts";
import { agent, type BenchGateway } from "./gateways.ts";

/** Half a KiB: the signed request has about one. */
const text = "x".repeat(512);

/** Commits a request; nothing is put yet. */
export function asking(
  { mailbox }: BenchGateway,
  to: GatewayName,
  agentName: AgentName = agent,
): Promise<Asked> {
  return ask(mailbox, new Map(), {
    target: `${to}/${agentName}`,
    body: { kind: "prompt", prompt: { text } },
  });
}

/** Commits a request and puts it. */
export async function sending(
  caller: BenchGateway,
  to: GatewayName,
  agentName?: AgentName,
): Promise<Asked> {
  const asked = await asking(caller, to, agentName);
  await deliver(caller.mailbox, asked);
  return asked;
}

/** An answer as it is followed. */
export class Answer {
  readonly #frames: AsyncGenerator<PlacedFrame, Followed>;

  constructor({ mailbox }: BenchGateway, { record }: Asked) {
    this.#frames = follow(mailbox, record.runId);
  }

  /** Resolves when the verified terminal is in hand; what it closes and deletes comes after. */
  async terminal(): Promise<TerminalPayload> {
    for (;;) {
      const { value, done } = await this.#frames.next();
      if (done === true) throw new Error(`a run was followed to the end: ${value.status}`);
      if (value.event === "terminal") return value.payload;
    }
  }

  /** Resolves when nothing is left to do for the run. Throws when it was given up. */
  async end(): Promise<void> {
    for (;;) {
      const { value, done } = await this.#frames.next();
      if (done !== true) continue;
      if (value.status === "closed") return;
      throw new Error(`a run stayed ${value.status}`);
    }
  }
}

/** Follows an answer to its end. */
export async function answered(caller: BenchGateway, asked: Asked): Promise<TerminalPayload> {
  const answer = new Answer(caller, asked);
  const terminal = await answer.terminal();
  await answer.end();
  return terminal;
}

/** Throws unless the run succeeded: what failed is not what was to be measured. */
export function requireSuccess({ status, error }: TerminalPayload): void {
  if (status !== "succeeded") throw new Error(`a run ended ${status}: ${error?.code}`);
}
