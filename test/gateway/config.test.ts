import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { parseAgentName } from "../../src/base/names.ts";
import {
  agentsOf,
  configJsonSchema,
  parseConfig,
  routesOf,
  servePaceOf,
  type Config,
} from "../../src/gateway/config.ts";
import { codeOf } from "../base/code-of.ts";

const least = { v: 1, gateway: "acme.eu", realm: "prod", store: "file:///srv/postern" };
const echo = { exec: ["cat"] };

function read(fields: object): Config {
  return parseConfig(utf8(JSON.stringify({ ...least, ...fields })));
}

describe("a config", () => {
  test("is read with no more than the needed fields, and with all", () => {
    expect(read({})).toEqual(least);
    const all = {
      $schema: "./schema/config.schema.json",
      routes: { sre: "eu-lab/diagnose" },
      agents: {
        diagnose: {
          exec: ["node", "a b.js"],
          output: "jsonl",
          description: "looks",
          onCrash: "retry",
          maxRunSeconds: 60,
        },
      },
      maxConcurrentRuns: 2,
      poll: { maxRuns: 10, maxSeconds: 50 },
    };
    expect(read(all)).toEqual({ ...least, ...all });
  });

  test.each([
    ["an unknown field", { storeUrl: "x" }, "storeUrl: no such field"],
    ["another version", { v: 2 }, "v is 2: use 1"],
    ["no store", { store: undefined }, "store is missing"],
    ["an empty store", { store: "" }, "file:///folder or s3://bucket/prefix"],
    ["a gateway that is no name", { gateway: "Acme_" }, '"Acme_" is not a gateway name'],
    ["a reserved name", { gateway: "con" }, "not a gateway name"],
    ["a route to no address", { routes: { sre: "eu-lab" } }, "routes.sre"],
    ["a route of no name", { routes: { "a/b": "eu-lab/diagnose" } }, 'routes["a/b"]'],
    ["an agent of no name", { agents: { Diagnose: echo } }, "agents.Diagnose"],
    ["an agent without a program", { agents: { a: { exec: [] } } }, "agents.a.exec is []"],
    ["an empty program", { agents: { a: { exec: ["", "x"] } } }, "agents.a.exec"],
    [
      "a program in one text",
      { agents: { a: { exec: "node x.js" } } },
      'agents.a.exec is "node x.js": use a list',
    ],
    ["a NUL in an argument", { agents: { a: { exec: ["a", "\0"] } } }, "agents.a.exec[1]"],
    [
      "a kind of agent that is not known yet",
      { agents: { a: { http: "http://x" } } },
      "agents.a.http: no such field",
    ],
    [
      "an unknown output",
      { agents: { a: { ...echo, output: "xml" } } },
      'agents.a.output is "xml"',
    ],
    [
      "no time to run",
      { agents: { a: { ...echo, maxRunSeconds: 0 } } },
      "agents.a.maxRunSeconds is 0",
    ],
    [
      "too long a time",
      { agents: { a: { ...echo, maxRunSeconds: 1e9 } } },
      "agents.a.maxRunSeconds",
    ],
    [
      "too long a description",
      { agents: { a: { ...echo, description: "é".repeat(257) } } },
      "agents.a.description",
    ],
    ["a poll that admits nothing", { poll: { maxRuns: 0 } }, "poll.maxRuns is 0"],
  ])("refuses %s, and says where and what to do", (_, fields, says) => {
    expect(codeOf(() => read(fields))).toBe("CONFIG_INVALID");
    expect(() => read(fields)).toThrow(says);
    expect(() => read(fields)).toThrow("config.json");
  });

  test("is refused as a whole where it is malformed", () => {
    expect(codeOf(() => parseConfig(utf8("{")))).toBe("CONFIG_INVALID");
    expect(codeOf(() => parseConfig(utf8('{"v":1,"v":1}')))).toBe("CONFIG_INVALID");
    expect(codeOf(() => parseConfig(new Uint8Array(limits.maxConfigBytes + 1)))).toBe(
      "CONFIG_INVALID",
    );
  });

  test("gives its agents with what they left out", () => {
    const agents = agentsOf(
      read({
        agents: { a: echo, b: { ...echo, output: "jsonl", onCrash: "retry", maxRunSeconds: 5 } },
      }),
    );
    expect(agents.get(parseAgentName("a"))).toEqual({
      name: "a",
      command: ["cat"],
      output: "text",
      description: undefined,
      onCrash: "report",
      maxRunMs: limits.defaultMaxRunMs,
    });
    expect(agents.get(parseAgentName("b"))).toMatchObject({
      output: "jsonl",
      onCrash: "retry",
      maxRunMs: 5000,
    });
    expect(agentsOf(read({})).size).toBe(0);
  });

  test("gives its routes as addresses", () => {
    expect(routesOf(read({ routes: { sre: "eu-lab/diagnose" } })).get("sre")).toEqual({
      gateway: "eu-lab",
      agent: "diagnose",
    });
    expect(routesOf(read({})).size).toBe(0);
  });

  test("is described by a JSON Schema that knows no other fields", () => {
    expect(configJsonSchema()).toMatchObject({
      additionalProperties: false,
      required: ["v", "gateway", "realm", "store"],
      properties: {
        agents: { additionalProperties: { additionalProperties: false, required: ["exec"] } },
      },
    });
  });
});

describe("how often a service looks", () => {
  test("is the default's where nothing is said, and never the wrong way round", () => {
    const { serveMinDelayMs: minDelayMs, serveMaxDelayMs: maxDelayMs } = limits;
    expect(servePaceOf(read({}))).toEqual({ minDelayMs, maxDelayMs });
    expect(servePaceOf(read({ serve: { minSeconds: 60 } }))).toEqual({
      minDelayMs: 60_000,
      maxDelayMs: 60_000,
    });
    expect(servePaceOf(read({ serve: { minSeconds: 2, maxSeconds: 9 } }))).toEqual({
      minDelayMs: 2000,
      maxDelayMs: 9000,
    });
    expect(codeOf(() => servePaceOf(read({ serve: { minSeconds: 9, maxSeconds: 2 } })))).toBe(
      "CONFIG_INVALID",
    );
  });
});
