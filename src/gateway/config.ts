import { z } from "zod";
import { checkDocument, readJsonDocument, type DocumentKind } from "../base/json-document.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { agentNameSchema, gatewayNameSchema, parsed, realmSchema } from "../base/name-schemas.ts";
import {
  parseAgentAddress,
  parseAgentName,
  type AgentAddress,
  type AgentName,
} from "../base/names.ts";
import { agentSchema, agentSettings, type AgentSettings } from "./agent-config.ts";
import { count, secondMs } from "./config-parts.ts";
import type { PaceBounds } from "./pace.ts";

const longestServeSeconds = limits.longestSleepMs / secondMs;
const configSchema = z.strictObject({
  $schema: z.string().exactOptional(),
  v: z.literal(1, "use 1, the version that this program reads"),
  gateway: gatewayNameSchema.meta({
    description: "This gateway's name. It belongs to its keys: never change it.",
  }),
  realm: realmSchema.meta({
    description: "The deployment; gateways of different realms never believe each other.",
  }),
  store: z
    .string("use a store URL")
    .min(1, "use a store URL: file:///folder or s3://bucket/prefix")
    .meta({
      description: "file:///folder, or s3://bucket/prefix?region=r. Never with credentials.",
    }),
  storeId: z
    .string("use the id in the folder store's own id file, or leave it out")
    .meta({
      description:
        "The id of the folder store that `init` met: another folder in its place is refused. Absent for buckets.",
    })
    .exactOptional(),
  routes: z
    .record(agentNameSchema, parsed(addressText), "use an object with a field for each name")
    .meta({
      description: 'Names of one\'s own for agents elsewhere, as in { "sre": "eu-lab/diagnose" }.',
    })
    .exactOptional(),
  agents: z
    .record(agentNameSchema, agentSchema, "use an object with a field for each agent")
    .meta({ description: "What requests to this gateway run." })
    .exactOptional(),
  maxConcurrentRuns: count(Number.MAX_SAFE_INTEGER)
    .meta({
      description: `Runs at the same time, those of other processes of this home included. Absent: ${limits.defaultMaxConcurrentRuns}.`,
    })
    .exactOptional(),
  poll: z
    .strictObject({
      maxRuns: count(Number.MAX_SAFE_INTEGER)
        .meta({ description: "The most runs that one pass admits. Absent: no bound." })
        .exactOptional(),
      maxSeconds: count(limits.longestMaxRunMs / secondMs)
        .meta({ description: "How long one pass admits. Absent: no bound." })
        .exactOptional(),
    })
    .meta({ description: "What `postern poll` does without flags." })
    .exactOptional(),
  serve: z
    .strictObject({
      minSeconds: count(longestServeSeconds)
        .meta({
          description: `Between two looks while there is work. Absent: ${limits.serveMinDelayMs / secondMs}.`,
        })
        .exactOptional(),
      maxSeconds: count(longestServeSeconds)
        .meta({
          description: `Between two looks while there is none. Absent: ${limits.serveMaxDelayMs / secondMs}.`,
        })
        .exactOptional(),
    })
    .meta({ description: "How often `postern serve` looks into the store." })
    .exactOptional(),
});

/** `config.json`: one gateway, its store, and what its agents run. */
export type Config = z.output<typeof configSchema>;

const kind: DocumentKind = {
  name: "config.json",
  code: "CONFIG_INVALID",
  maxBytes: limits.maxConfigBytes,
};

/** Throws `CONFIG_INVALID`. The store URL is read by who opens the store. */
export function parseConfig(bytes: Uint8Array): Config {
  return readJsonDocument(bytes, configSchema, kind);
}

/** The same for a config that was made or edited in memory. Throws `CONFIG_INVALID`. */
export function checkConfig(value: unknown): Config {
  return checkDocument(value, configSchema, kind);
}

/** The JSON Schema (draft 7) of `config.json`, for editors. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: "input", target: "draft-7" });
}

export function agentsOf(config: Config): ReadonlyMap<AgentName, AgentSettings> {
  return new Map(
    Object.entries(config.agents ?? {}).map(([text, agent]) => {
      const name = parseAgentName(text);
      return [name, agentSettings(name, agent)];
    }),
  );
}

/** How often a service looks into the store. Throws `CONFIG_INVALID` when its bounds are the wrong way round. */
export function servePaceOf({ serve = {} }: Config): PaceBounds {
  const { minSeconds, maxSeconds } = serve;
  const minDelayMs = minSeconds === undefined ? limits.serveMinDelayMs : minSeconds * secondMs;
  const maxDelayMs =
    maxSeconds === undefined ? Math.max(limits.serveMaxDelayMs, minDelayMs) : maxSeconds * secondMs;
  if (minDelayMs <= maxDelayMs) return { minDelayMs, maxDelayMs };
  throw new PosternError(
    "CONFIG_INVALID",
    "config.json: serve.minSeconds is more than serve.maxSeconds: raise the one or lower the other",
  );
}

export function routesOf(config: Config): ReadonlyMap<string, AgentAddress> {
  const routes = Object.entries(config.routes ?? {});
  return new Map(routes.map(([name, address]) => [name, parseAgentAddress(address)]));
}

/** Stays the text it was, because config.json is written back. */
function addressText(text: string): string {
  parseAgentAddress(text);
  return text;
}
