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
    ["an agent of no kind", { agents: { a: {} } }, "agents.a is {}: use exactly one of exec, http"],
    [
      "an agent of two kinds",
      { agents: { a: { ...echo, http: "http://x" } } },
      "use exactly one of exec, http and module",
    ],
    [
      "a kind of agent that there is not",
      { agents: { a: { shell: "ls" } } },
      "use exactly one of exec, http and module",
    ],
    [
      "a field of another kind",
      { agents: { a: { ...echo, headersFile: "h" } } },
      "a.headersFile: no",
    ],
    ["output of a module", { agents: { a: { module: "m", output: "text" } } }, "a.output: no such"],
    ["an agent at no URL", { agents: { a: { http: "host/path" } } }, "agents.a.http: use a URL"],
    ["an agent at another URL", { agents: { a: { http: "ftp://host/" } } }, "a.http: use a URL"],
    ["a URL with a fragment", { agents: { a: { http: "http://h/#x" } } }, "agents.a.http: take"],
    ["an agent in no file", { agents: { a: { module: "" } } }, "agents.a.module: use the path"],
    [
      "headers in no file",
      { agents: { a: { http: "http://h/", headersFile: 7 } } },
      "agents.a.headersFile is 7: use the path",
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

  test.each(["https://ann:hunter2@host/", "https://hunter2@host/"])(
    "refuses credentials in a URL without repeating them: %s",
    (http) => {
      const refused = (): Config => read({ agents: { a: { http } } });
      expect(codeOf(refused)).toBe("CONFIG_INVALID");
      expect(refused).toThrow("headersFile");
      expect(refused).not.toThrow("hunter2");
    },
  );

  describe("gives its agents with what they left out", () => {
    const name = parseAgentName("a");
    const settingsOf = (agent: object) => agentsOf(read({ agents: { a: agent } })).get(name);
    const common = {
      name: "a",
      description: undefined,
      onCrash: "report",
      maxRunMs: limits.defaultMaxRunMs,
    };

    test.each([
      [echo, { kind: "exec", command: ["cat"], output: "text" }],
      [
        { ...echo, output: "jsonl" },
        { kind: "exec", command: ["cat"], output: "jsonl" },
      ],
      [
        { http: "http://h/x?y=z" },
        { kind: "http", url: "http://h/x?y=z", headersFile: undefined, output: "text" },
      ],
      [
        { http: "https://h", headersFile: "h.txt", output: "jsonl" },
        { kind: "http", url: "https://h", headersFile: "h.txt", output: "jsonl" },
      ],
      [{ module: "./m.js" }, { kind: "module", file: "./m.js" }],
    ])("%j", (agent, settings) => {
      expect(settingsOf(agent)).toEqual({ ...common, ...settings });
    });

    test.each([echo, { http: "http://h" }, { module: "m" }])(
      "and with what they say: %j",
      (kind) => {
        const said = { description: "looks", onCrash: "retry", maxRunSeconds: 5 };
        expect(settingsOf({ ...kind, ...said })).toMatchObject({
          description: "looks",
          onCrash: "retry",
          maxRunMs: 5000,
        });
      },
    );

    test("and none where it has none", () => {
      expect(agentsOf(read({})).size).toBe(0);
    });
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
        agents: {
          additionalProperties: {
            anyOf: ["exec", "http", "module"].map((kind) => ({
              additionalProperties: false,
              required: [kind],
            })),
          },
        },
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
