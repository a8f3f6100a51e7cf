import type { AgentName, GatewayName, RequestDigest, RunId, WorkerId } from "../base/names.ts";
import type { TerminalPayload } from "./frame.ts";
import type { RequestKind } from "./request.ts";

/**
 * What the callee remembers of one request (SPEC.md, Receipts). One per (from, runId, requestDigest); it
 * lies in the gateway's own state, never in the shared store, and it alone decides whether something runs.
 */
export interface Receipt {
  readonly from: GatewayName;
  readonly runId: RunId;
  readonly requestDigest: RequestDigest;
  /** The signed request's bytes, as they were read; empty where it was refused and is larger than was granted. */
  readonly request: Uint8Array;
  readonly agent: AgentName;
  readonly kind: RequestKind;
  readonly tenant: string | null;
  /** The earlier run that the request's `remoteRunId` names. */
  readonly continues: RunId | null;
  /** Seconds since 1970, from the request's claims. */
  readonly iat: number;
  readonly exp: number;
  /** Seconds since 1970; null when the caller waits as long as it takes. */
  readonly deadline: number | null;
  readonly receivedMs: number;
  /** True once this receipt stood as `admitted`: false for one that was born `ended`. */
  readonly admitted: boolean;
  /** How often a handler was started for it. */
  readonly starts: number;
  readonly state: "admitted" | "running" | "ended";
  /** Who works on it, under which nonce: both must still match when that worker commits anything about it. */
  readonly worker: WorkerId;
  readonly nonce: string;
  /** The attempt under which frames are written, from 1. */
  readonly attempt: number;
  /** When the present attempt went `running`, and how long it may be; null before. */
  readonly runningSinceMs: number | null;
  readonly maxRunMs: number;
  /** What the handler returned, committed before anything of it is published; null until then. */
  readonly outcome: TerminalPayload | null;
  readonly ended: Ending | null;
}

export interface Ending {
  readonly atMs: number;
  /** The envelope that ends the run at the caller; null when nothing is to be published (too late to be believed). */
  readonly terminal: SignedTerminal | null;
  /** True once the terminal was put and the request deleted, or when there was nothing to publish. */
  readonly acknowledged: boolean;
}

export interface SignedTerminal {
  readonly attempt: number;
  /** Number of the envelope's first frame: its place in the key. */
  readonly seq: number;
  readonly envelope: Uint8Array;
  readonly payload: TerminalPayload;
}

/** What names one receipt. */
export type RunRef = Pick<Receipt, "from" | "runId" | "requestDigest">;
