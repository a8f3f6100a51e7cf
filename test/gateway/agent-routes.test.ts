import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { parseAgentName } from "../../src/base/names.ts";
import { agentRoutes } from "../../src/gateway/agent-routes.ts";
import { checkConfig } from "../../src/gateway/config.ts";
import { close, listen } from "../support/listen.ts";
import { sampleWork } from "../support/sample-work.ts";
import { rejectionCode } from "../support/rejection.ts";

const least = { v: 1, gateway: "acme", realm: "prod", store: "file:///srv/postern" };

let home: string;
beforeAll(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "postern-routes-")));
});
afterAll(() => {
  rmSync(home, { recursive: true });
});

/** What an agent of this config answers. */
async function answerOf(agent: object): Promise<unknown> {
  const config = checkConfig({ ...least, agents: { a: agent } });
  const around = {
    home,
    env: { PATH: process.env["PATH"] },
    clock: systemClock,
    log: silentLogger,
  };
  const route = (await agentRoutes(config, around)).get(parseAgentName("a"));
  const emit = async (): Promise<void> => undefined;
  const ended = await route?.handler.run(sampleWork, emit, new AbortController().signal);
  return ended?.result;
}

describe("an agent of the config", () => {
  it("that is a program runs in the home", async () => {
    expect(await answerOf({ exec: ["pwd", "-P"] })).toBe(`${home}\n`);
  });

  it("that is behind a URL gets the headers of a file in the home, as it is at that time", async () => {
    const server = createServer((request, response) => {
      request.resume();
      response.end(request.headers.authorization);
    });
    const agent = { http: await listen(server), headersFile: "agent.headers" };
    const headersFile = join(home, "agent.headers");
    for (const word of ["one", "two"]) {
      writeFileSync(headersFile, `Authorization: ${word}\n`, { mode: 0o600 });
      expect(await answerOf(agent)).toBe(word);
    }
    expect(await answerOf({ http: agent.http })).toBe("");
    chmodSync(headersFile, 0o640);
    expect(await rejectionCode(answerOf(agent))).toBe("HANDLER_START");
    await close(server);
  });

  it("that is a module in the home runs here", async () => {
    writeFileSync(
      join(home, "agent.mjs"),
      "export default async function* (request) { return [request.caller, process.pid]; }",
    );
    expect(await answerOf({ module: "agent.mjs" })).toEqual(["acme.eu", process.pid]);
  });

  it("puts out what its config says", async () => {
    const line = JSON.stringify({ result: { a: 1 } });
    expect(await answerOf({ exec: ["echo", line], output: "jsonl" })).toEqual({ a: 1 });
    const server = createServer((request, response) => {
      request.resume();
      response.end(line);
    });
    const http = await listen(server);
    expect(await answerOf({ http, output: "jsonl" })).toEqual({ a: 1 });
    expect(await answerOf({ http })).toBe(line);
    await close(server);
  });
});
