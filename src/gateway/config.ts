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
import type { PaceBounds } from "./pace.ts";

function count(most: number): z.ZodInt {
  const shape = `use an integer from 1 to ${most}`;
  return z.int(shape).min(1, shape).max(most, shape);
}

const secondMs = 1000;
const longestServeSeconds = limits.longestSleepMs / secondMs;
const descriptionShape = `use a text of at most ${limits.maxDescriptionBytes} bytes`;
const commandShape = 'use a list of texts, the program first: ["node", "agent.js"]';

/** An agent is what its one field of the kind says: `exec`. Other kinds are further shapes beside this one. */
const agentSchema = z.strictObject({
  exec: z
    .array(
      z.string(commandShape).refine((text) => !text.includes("\0"), "remove the NUL character"),
      commandShape,
    )
    .min(1, commandShape)
    .refine(([program]) => program !== "", commandShape)
    .meta({
      description:
        "The program and its arguments, started without a shell for each request, in the folder of this config.",
    }),
  output: z
    .enum(["text", "jsonl"])
    .meta({
      description:
        "What its stdout is. text (if absent): the answer. jsonl: an event on each line.",
    })
    .exactOptional(),
  description: z
    .string(descriptionShape)
    .refine((text) => Buffer.byteLength(text) <= limits.maxDescriptionBytes, descriptionShape)
    .meta({ description: "What this gateway's card says of the agent." })
    .exactOptional(),
  onCrash: z
    .enum(["report", "retry"])
    .meta({
      description:
        "What becomes of a run whose gateway died. report (if absent): it ends interrupted. retry: it runs again.",
    })
    .exactOptional(),
  maxRunSeconds: count(limits.longestMaxRunMs / secondMs)
    .meta({ description: `How long a run may take. Absent: ${limits.defaultMaxRunMs / secondMs}.` })
    .exactOptional(),
});

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
      description: `Runs at the same time in one process. Absent: ${limits.defaultMaxConcurrentRuns}.`,
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
export type AgentConfig = z.output<typeof agentSchema>;

/** An agent with what its config left out. */
export interface AgentSettings {
  readonly name: AgentName;
  readonly command: readonly string[];
  readonly output: "text" | "jsonl";
  readonly description: string | undefined;
  readonly onCrash: "report" | "retry";
  readonly maxRunMs: number;
}

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
      return [name, settingsOf(name, agent)];
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

function settingsOf(name: AgentName, agent: AgentConfig): AgentSettings {
  return {
    name,
    command: agent.exec,
    output: agent.output ?? "text",
    description: agent.description,
    onCrash: agent.onCrash ?? "report",
    maxRunMs:
      agent.maxRunSeconds === undefined ? limits.defaultMaxRunMs : agent.maxRunSeconds * secondMs,
  };
}

/** Stays the text it was, because config.json is written back. */
function addressText(text: string): string {
  parseAgentAddress(text);
  return text;
}
