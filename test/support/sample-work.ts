import { parseAgentName, parseGatewayName, parseRunId } from "../../src/base/names.ts";
import type { Work } from "../../src/handlers/handler.ts";

/** A run as the gateway hands it to a handler. */
export const sampleWork: Work = {
  runId: parseRunId("a".repeat(52)),
  caller: parseGatewayName("acme.eu"),
  agent: parseAgentName("diagnose"),
  attempt: 2,
  deadline: 1_800_000_000,
  request: {
    agentTarget: parseAgentName("diagnose"),
    idempotencyKey: "key-1",
    callerIdentity: { gateway: parseGatewayName("acme.eu"), operator: "ann" },
    body: { kind: "prompt", prompt: { text: "why?" } },
    via: [parseGatewayName("hub")],
    meta: { ticket: 7 },
  },
};

/** The same as an agent reads it. */
export const sampleDocument = {
  v: 1,
  runId: sampleWork.runId,
  caller: "acme.eu",
  agent: "diagnose",
  attempt: 2,
  deadline: 1_800_000_000,
  prompt: { text: "why?" },
  callerIdentity: { gateway: "acme.eu", operator: "ann" },
  via: ["hub"],
  meta: { ticket: 7 },
  idempotencyKey: "key-1",
};
