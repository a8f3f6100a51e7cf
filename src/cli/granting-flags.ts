import { custom, integer, option, string } from "@oclif/core/flags";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { parseAgentName } from "../base/names.ts";
import { requestKinds, type RequestKind } from "../protocol/request.ts";
import type { Granting } from "../trust/edit.ts";

const several = { multiple: true, multipleNonGreedy: true } as const;

/** A name that stands in a grant as it is written here. Throws `USAGE`. */
const grantedText = custom<string, { maxBytes: number }>({
  parse: async (text, _, { maxBytes }) => {
    const bytes = Buffer.byteLength(text);
    if (bytes > 0 && bytes <= maxBytes) return text;
    throw new PosternError("USAGE", `a name has 1 to ${maxBytes} bytes, and this one ${bytes}`);
  },
});

/** What a peer is granted, by `peers add` and `peers grant`. */
export const grantingFlags = {
  agent: string({
    summary: "An agent that the peer may ask; may be given several times.",
    helpValue: "NAME",
    ...several,
  }),
  tool: grantedText({
    summary: "A tool that the peer may call; may be given several times.",
    helpValue: "NAME",
    maxBytes: limits.maxToolNameBytes,
    ...several,
  }),
  kind: option({
    summary: "A kind of request that the peer may make; may be given several times.",
    description: "Without it: prompt where agents are named, and toolCall where tools are.",
    options: requestKinds,
    ...several,
  })(),
  tenant: grantedText({
    summary: "A tenant that the peer may name; may be given several times.",
    description: "Once one is granted, every request of the peer has to name a granted one.",
    helpValue: "T",
    maxBytes: limits.maxTenantBytes,
    ...several,
  }),
  "max-request-bytes": integer({
    summary: `The largest request [default: ${limits.maxEnvelopeBytes}].`,
    helpValue: "N",
    min: 1,
    max: limits.maxEnvelopeBytes,
  }),
  "max-concurrent-runs": integer({
    summary: `Runs at the same time [default: ${limits.defaultMaxPeerRuns}].`,
    helpValue: "N",
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
  }),
  "max-requests-per-minute": integer({
    summary: `Requests taken in within a minute [default: ${limits.defaultMaxRequestsPerMinute}].`,
    helpValue: "N",
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
  }),
};

interface GrantingFlags {
  readonly agent?: readonly string[] | undefined;
  readonly tool?: readonly string[] | undefined;
  readonly kind?: readonly RequestKind[] | undefined;
  readonly tenant?: readonly string[] | undefined;
  readonly "max-request-bytes"?: number | undefined;
  readonly "max-concurrent-runs"?: number | undefined;
  readonly "max-requests-per-minute"?: number | undefined;
}

/** Only what the flags name. Throws `NAME_INVALID`. */
export function readGranting(flags: GrantingFlags): Granting {
  const { agent, tool, kind, tenant } = flags;
  const {
    "max-request-bytes": maxRequestBytes,
    "max-concurrent-runs": maxConcurrentRuns,
    "max-requests-per-minute": maxRequestsPerMinute,
  } = flags;
  return {
    ...(agent === undefined ? {} : { agents: agent.map(parseAgentName) }),
    ...(tool === undefined ? {} : { tools: tool }),
    ...(kind === undefined ? {} : { kinds: kind }),
    ...(tenant === undefined ? {} : { tenants: tenant }),
    ...(maxRequestBytes === undefined ? {} : { maxRequestBytes }),
    ...(maxConcurrentRuns === undefined ? {} : { maxConcurrentRuns }),
    ...(maxRequestsPerMinute === undefined ? {} : { maxRequestsPerMinute }),
  };
}
