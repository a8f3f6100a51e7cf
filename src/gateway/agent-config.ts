import { z } from "zod";
import { limits } from "../base/limits.ts";
import type { AgentName } from "../base/names.ts";
import type { OutputKind } from "../handlers/output-reader.ts";
import { count, secondMs } from "./config-parts.ts";

const commandShape = 'use a list of texts, the program first: ["node", "agent.js"]';
const fileShape =
  "use the path of a file; one that is relative begins in the folder of this config";
const urlShape = "use a URL with http or https, as in https://host/path";
const descriptionShape = `use a text of at most ${limits.maxDescriptionBytes} bytes`;

const file = z.string(fileShape).refine((text) => text !== "" && !text.includes("\0"), fileShape);

const output = z
  .enum(["text", "jsonl"])
  .meta({
    description: "What it puts out. text (if absent): the answer. jsonl: an event on each line.",
  })
  .exactOptional();

/** What every kind of agent has. */
const common = {
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
};

const execSchema = z.strictObject({
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
  output,
  ...common,
});

const httpSchema = z.strictObject({
  http: z
    .string(urlShape)
    .superRefine((text, context) => {
      const fault = urlFault(text);
      if (fault !== undefined) context.addIssue({ code: "custom", message: fault });
    })
    .meta({ description: "Where each request is POSTed to. Never with credentials." }),
  headersFile: file
    .meta({
      description:
        "A file with lines `Name: value`, credentials say, that go with each request. Nobody else may read it.",
    })
    .exactOptional(),
  output,
  ...common,
});

const moduleSchema = z.strictObject({
  module: file.meta({
    description:
      "An ES module whose default export is an async generator function. It runs in the gateway's own process.",
  }),
  ...common,
});

export const agentSchema = z.union(
  [execSchema, httpSchema, moduleSchema],
  "use exactly one of exec, http and module",
);

export type AgentConfig = z.output<typeof agentSchema>;

/** An agent with what its config left out. Paths stand as they were written. */
export type AgentSettings = CommonSettings & (ExecSettings | HttpSettings | ModuleSettings);

interface CommonSettings {
  readonly name: AgentName;
  readonly description: string | undefined;
  readonly onCrash: "report" | "retry";
  readonly maxRunMs: number;
}

interface ExecSettings {
  readonly kind: "exec";
  readonly command: readonly string[];
  readonly output: OutputKind;
}

interface HttpSettings {
  readonly kind: "http";
  readonly url: string;
  readonly headersFile: string | undefined;
  readonly output: OutputKind;
}

interface ModuleSettings {
  readonly kind: "module";
  readonly file: string;
}

export function agentSettings(name: AgentName, agent: AgentConfig): AgentSettings {
  const { description, onCrash = "report", maxRunSeconds } = agent;
  const maxRunMs = maxRunSeconds === undefined ? limits.defaultMaxRunMs : maxRunSeconds * secondMs;
  return { name, description, onCrash, maxRunMs, ...kindSettings(agent) };
}

function kindSettings(agent: AgentConfig): ExecSettings | HttpSettings | ModuleSettings {
  if ("exec" in agent) {
    const { exec: command, output: put = "text" } = agent;
    return { kind: "exec", command, output: put };
  }
  if ("http" in agent) {
    const { http: url, headersFile, output: put = "text" } = agent;
    return { kind: "http", url, headersFile, output: put };
  }
  return { kind: "module", file: agent.module };
}

/** What is wrong with a URL; nothing of it is repeated, because it may hold a secret. */
function urlFault(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return urlShape;
  if (url.username !== "" || url.password !== "")
    return 'take the credentials out of the URL, and name a "headersFile" with them';
  return url.hash === "" ? undefined : "take the #fragment out of the URL: it is never sent";
}
