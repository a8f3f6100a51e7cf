import { PosternError } from "../base/errors.ts";
import type { RunId } from "../base/names.ts";
import { parseEnvelope } from "../protocol/envelope.ts";
import type { TerminalPayload } from "../protocol/frame.ts";
import type { Receipt } from "../protocol/receipt.ts";
import { decodeRequest, type RequestBody } from "../protocol/request.ts";
import type { OutboxRecord, Transcript } from "../state/outbox.ts";
import type { State } from "../state/state.ts";
import { askedView, receivedView } from "./run-views.ts";

/** All that is known here of one run. A name may have several receipts, one for each request signed under it. */
export type RunDetails =
  | { readonly side: "asked"; readonly run: ReturnType<typeof askedDetails> }
  | { readonly side: "received"; readonly runs: readonly ReturnType<typeof receivedDetails>[] };

/** Throws `RUN_UNKNOWN`. */
export async function runDetails(state: State, runId: RunId): Promise<RunDetails> {
  const record = await state.outboxRecord(runId);
  if (record !== undefined) {
    return { side: "asked", run: askedDetails(record, await state.transcript(runId)) };
  }
  const runs = (await state.receiptsNamed(runId)).map(receivedDetails);
  if (runs.length > 0) return { side: "received", runs };
  throw new PosternError(
    "RUN_UNKNOWN",
    `no run ${runId} was asked from here, or received: see \`postern runs list\``,
  );
}

function askedDetails(record: OutboxRecord, transcript: Transcript | undefined) {
  return {
    ...askedView(record),
    request: requestOf(decodeRequest(record.payload).body),
    terminal: record.terminal,
    transcript: transcript === undefined ? null : transcriptOf(transcript),
  };
}

function receivedDetails(receipt: Receipt) {
  const terminal: TerminalPayload | null = receipt.ended?.terminal?.payload ?? null;
  return { ...receivedView(receipt), request: keptRequestOf(receipt), terminal };
}

/** Null where nothing of it was kept. */
function keptRequestOf({ request }: Receipt) {
  if (request.length === 0) return null;
  // The bytes were verified before the receipt was made.
  return requestOf(decodeRequest(parseEnvelope("request", request).untrustedPayload).body);
}

export function requestOf(body: RequestBody) {
  switch (body.kind) {
    case "prompt":
      return { prompt: body.prompt };
    case "toolCall":
      return { toolCall: body.toolCall };
    case "approvalGrant":
      return { approvalGrant: Buffer.from(body.approvalGrant).toString("base64") };
  }
}

function transcriptOf({ attempt, envelopes }: Transcript) {
  return {
    attempt,
    envelopes: envelopes.map(({ key, kid, verifiedMs }) => ({
      key,
      kid,
      verifiedAt: new Date(verifiedMs).toISOString(),
    })),
  };
}
