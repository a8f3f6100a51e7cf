import type { AgentName, GatewayName, RunId } from "../base/names.ts";
import type { JsonValue } from "../protocol/fields.ts";
import type { HandlerEvent } from "../protocol/frame.ts";
import type { RequestPayload } from "../protocol/request.ts";

/** Hands an event to the caller; resolves once more may follow (backpressure). */
export type Emit = (event: HandlerEvent) => Promise<void>;

/**
 * What can run a request: a program, a URL, a module. One file each. How their agents say what:
 *
 * |                                    | `text` (exec, http)  | `jsonl` (exec, http)        | module          |
 * | ---------------------------------- | -------------------- | --------------------------- | --------------- |
 * | `textDelta`                        | each piece of output | a line                      | a yielded value |
 * | `tokenUsage`, `phaseEnd`, `error`, | not at all           | a line                      | a yielded value |
 * | `toolCall`, `toolResult`           |                      |                             |                 |
 * | the result                         | all of the text      | a last line `{"result": …}` | what it returns |
 * | ... where there is none of that    |                      | the texts together, if any  | likewise        |
 *
 * No handler makes up an event of its own: an `error` is the agent's word, and how a run failed is in its
 * terminal, which is the gateway's.
 */
export interface Handler {
  /**
   * Runs one request. Stops soon after `signal` aborts; what is returned then is ignored in favour of the
   * reason to stop. A rejection is a failed run with code `HANDLER_FAILED`, unless it is a `PosternError`.
   */
  run(work: Work, emit: Emit, signal: AbortSignal): Promise<HandlerResult>;
}

export interface Work {
  readonly runId: RunId;
  readonly caller: GatewayName;
  readonly agent: AgentName;
  readonly attempt: number;
  readonly request: RequestPayload;
  /** Seconds since 1970, or null. */
  readonly deadline: number | null;
}

export interface HandlerResult {
  readonly result?: JsonValue;
}
