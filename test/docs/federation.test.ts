import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Handler, Work } from "../../src/handlers/handler.ts";
import { runIdOf } from "../../src/protocol/run-id.ts";
import { citationsOf, rowsBelow } from "../support/markdown.ts";
import { pass, realm, twoGateways } from "../support/two-gateways.ts";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/federation.md"), "utf8");
const definitions = page.slice(page.indexOf("\n["));
const specification = readFileSync(join(root, "src/protocol/SPEC.md"), "utf8");

it.each([
  ["Request", "field"],
  ["Frames", "event"],
])("the page says something of all that the protocol has in %s", (heading, head) => {
  const names = rowsBelow(specification, heading, head).map(([name = ""]) =>
    name.replaceAll("`", ""),
  );
  expect(names.length).toBeGreaterThan(7);
  for (const name of names.filter((each) => each !== "v"))
    expect(page).toMatch(new RegExp(`\`${name}\\??\``));
});

it("every row that promises something names a test", () => {
  const rows = page
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (?:-|asked)/.test(line));
  const bare = rows.filter((row) => citationsOf(`${row}\n\n${definitions}`).length === 0);
  for (const row of bare)
    expect(row).toMatch(/\*\*Not yet:?\*\*|\*\*None is promised\.\*\*|\| the same/);
  expect(rows.length).toBeGreaterThan(35);
});

it("every field of a request comes to the agent", async () => {
  const two = twoGateways();
  const [asker, doer] = [two.asker.process(), two.doer.process()];
  const works: Work[] = [];
  const handler: Handler = {
    run: async (work) => {
      works.push(work);
      return {};
    },
  };
  const who = { agent: "planner", operator: "ann", tenant: "acme" };
  const earlier = await two.asks(asker, "first", { ...who, idempotencyKey: "k1" });
  await pass(two.clock, doer, handler);
  const { runId, deadline } = await two.asks(asker, "and now?", {
    ...who,
    idempotencyKey: "k2",
    continues: earlier.runId,
    deadlineMs: 60_000,
    meta: { ticket: 7 },
  });
  await pass(two.clock, doer, handler);

  const caller = two.asker.name;
  const parts = { realm, caller, callee: two.doer.name, tenant: "acme", idempotencyKey: "k2" };
  expect(runId).toBe(runIdOf(parts));
  expect(works[1]).toEqual({
    runId,
    caller,
    agent: "work",
    attempt: 1,
    deadline,
    request: {
      agentTarget: "work",
      idempotencyKey: "k2",
      callerIdentity: { gateway: caller, ...who },
      remoteRunId: earlier.runId,
      body: { kind: "prompt", prompt: { text: "and now?" } },
      deadline,
      meta: { ticket: 7 },
    },
  });
});
