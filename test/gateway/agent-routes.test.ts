import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { parseAgentName } from "../../src/base/names.ts";
import { agentRoutes } from "../../src/gateway/agent-routes.ts";
import { checkConfig } from "../../src/gateway/config.ts";
import { sampleWork } from "../handlers/sample-work.ts";

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
  const route = agentRoutes(config, around).get(parseAgentName("a"));
  const emit = async (): Promise<void> => undefined;
  const ended = await route?.handler.run(sampleWork, emit, new AbortController().signal);
  return ended?.result;
}

describe("an agent of the config", () => {
  it("that is a program runs in the home", async () => {
    expect(await answerOf({ exec: ["pwd", "-P"] })).toBe(`${home}\n`);
  });
});
