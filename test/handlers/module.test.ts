import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { inspect } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { silentLogger, type Logger } from "../../src/base/log.ts";
import type { HandlerResult } from "../../src/handlers/handler.ts";
import { moduleHandler, type ModuleOptions } from "../../src/handlers/module.ts";
import type { HandlerEvent } from "../../src/protocol/frame.ts";
import { rejection, rejectionCode } from "../support/rejection.ts";
import { SteppedClock } from "../support/stepped-clock.ts";
import { contractOutputBytes, handlerContract } from "./handler-contract.ts";
import { sampleDocument, sampleWork } from "../support/sample-work.ts";

const optionsFor = (file: string): ModuleOptions => ({
  file,
  clock: systemClock,
  log: silentLogger,
  limits: { ...limits, handlerKillGraceMs: 300, maxRunOutputBytes: contractOutputBytes },
});

handlerContract(
  "module",
  () => moduleHandler(optionsFor(join(import.meta.dirname, "script-module.ts"))),
  () => moduleHandler(optionsFor("/nowhere/agent.mjs")),
);

/** What the modules of these tests share with them. */
interface Shared {
  /** What they note, in order. */
  readonly notes: unknown[];
  /** What they wait for where they wait. */
  released: Promise<void>;
  /** What they throw. */
  thrown?: unknown;
}
const shared: Shared = { notes: [], released: Promise.resolve() };

let folder: string;
let files = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-module-"));
  Object.assign(globalThis, { posternTest: shared });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  Reflect.deleteProperty(globalThis, "posternTest");
});
beforeEach(() => {
  shared.notes.length = 0;
  shared.released = Promise.resolve();
});

function moduleFile(code: string): string {
  const file = join(folder, `agent-${(files += 1)}.mjs`);
  writeFileSync(file, `const { notes } = globalThis.posternTest; ${code}`);
  return file;
}

/** A module whose agent has this body. */
function agentFile(body: string): string {
  return moduleFile(`export default async function* (request, { signal }) { ${body} }`);
}

interface Extra {
  readonly signal?: AbortSignal;
  readonly emit?: (event: HandlerEvent) => Promise<void>;
}

const ignore = async (): Promise<void> => undefined;
const say = (text: string): string =>
  `yield { event: "textDelta", payload: { text: ${JSON.stringify(text)} } };`;

function run(
  file: string,
  options: Partial<ModuleOptions> = {},
  { emit = ignore, signal = new AbortController().signal }: Extra = {},
): Promise<HandlerResult> {
  return moduleHandler({ ...optionsFor(file), ...options }).run(sampleWork, emit, signal);
}

describe("a module", () => {
  test("is imported once, for the first run", async () => {
    const file = moduleFile("notes.push('imported'); export default async function* () {}");
    expect(shared.notes).toEqual([]);
    await Promise.all([run(file), run(file)]);
    await run(file);
    expect(shared.notes).toEqual(["imported"]);
  });

  test.each([
    ["is not there", undefined],
    ["is no JavaScript", "export default async function* ( {"],
    ["throws", "throw new Error('secret')"],
    ["exports nothing by default", "export const agent = async function* () {};"],
    ["exports a function that is no generator", "export default async () => notes.push('ran');"],
    ["exports a generator that is not async", "export default function* () {}"],
    ["exports an object", "export default {};"],
  ])("that %s cannot be started, runs nothing, and its place stays here", async (_, code) => {
    const file = code === undefined ? join(folder, "missing.mjs") : moduleFile(code);
    const failure = await rejection(run(file));
    expect(failure?.code).toBe("HANDLER_START");
    expect(failure?.message).not.toMatch(/secret|mjs|tmp/);
    expect(shared.notes).toEqual([]);
  });

  test("whose import never ends is left when the run is stopped", async () => {
    const stop = new AbortController();
    const file = moduleFile("notes.push('waits'); await new Promise(() => {});");
    const code = rejectionCode(run(file, {}, { signal: stop.signal }));
    await expect.poll(() => shared.notes).toEqual(["waits"]);
    stop.abort();
    expect(await code).toBe("CANCELLED");
  });
});

describe("what the agent is given", () => {
  test("is the request, and a copy of it", async () => {
    const file = agentFile(`const before = structuredClone(request); request.meta.ticket = 0;
      request.callerIdentity.operator = "eve"; return before;`);
    expect(await run(file)).toEqual({ result: sampleDocument });
    expect(await run(file)).toEqual({ result: sampleDocument });
  });
});

describe("what the agent says", () => {
  test("is taken as JSON.stringify writes it", async () => {
    const file = agentFile(`
      yield { event: "toolCall", payload: { id: "1", name: "at", input: { when: new Date(0), no: undefined } } };
      return { list: [undefined], at: new Date(0), no: undefined };`);
    const events: HandlerEvent[] = [];
    const emit = async (event: HandlerEvent): Promise<void> => void events.push(event);
    const at = "1970-01-01T00:00:00.000Z";
    expect(await run(file, {}, { emit })).toEqual({ result: { list: [null], at } });
    expect(events).toEqual([
      { event: "toolCall", payload: { id: "1", name: "at", input: { when: at } } },
    ]);
  });

  test("may be the result null, which is one", async () => {
    expect(await run(agentFile(`${say("a")} return null;`))).toEqual({ result: null });
  });

  test.each([
    ["nothing", "undefined"],
    ["a function", "() => {}"],
    ["a bigint", "{ event: 'textDelta', payload: { text: 1n } }"],
    ["a cycle", "(() => { const a = { event: 'textDelta' }; a.payload = a; return a; })()"],
    ["what throws when it is read", "{ get event() { throw new Error('secret'); } }"],
    ["a result", "{ result: 1 }"],
  ])("cannot be %s: HANDLER_OUTPUT, and the agent is told to stop", async (_, value) => {
    const file = agentFile(`signal.addEventListener("abort", () => notes.push("told"));
      try { yield ${value}; notes.push("went on"); } finally { notes.push("ended"); }`);
    const failure = await rejection(run(file));
    expect(failure?.code).toBe("HANDLER_OUTPUT");
    expect(failure?.message).not.toContain("secret");
    expect(shared.notes).toEqual(["told", "ended"]);
  });

  test.each(["() => {}", "1n", "Symbol()"])("cannot have the result %s", async (value) => {
    expect(await rejectionCode(run(agentFile(`return ${value};`)))).toBe("HANDLER_OUTPUT");
  });

  test("over the cap is an error, in its result too", async () => {
    const file = agentFile(`return "x".repeat(${contractOutputBytes});`);
    expect(await rejectionCode(run(file))).toBe("HANDLER_OUTPUT");
  });

  test("is asked for no faster than it is taken", async () => {
    const file = agentFile(`for (let i = 1; i <= 3; i += 1) { notes.push(i); ${say("x")} }`);
    const emit = async (): Promise<void> => {
      const asked = shared.notes.length;
      await setImmediate();
      expect(shared.notes).toHaveLength(asked);
    };
    expect(await run(file, {}, { emit })).toEqual({ result: "xxx" });
  });
});

const unshowable = {
  [inspect.custom]: () => {
    throw new Error("secret");
  },
};

describe("an agent that throws", () => {
  test.each([
    ["an error", new Error("secret")],
    ["an error with one of the codes of Postern", new PosternError("STATE_FULL", "secret")],
    ["nothing at all", undefined],
    ["what has no text", Object.create(null)],
    ["what throws when it is looked at", unshowable],
  ])("%s has failed: HANDLER_FAILED, and the log alone knows why", async (_, thrown) => {
    shared.thrown = thrown;
    const logged: string[] = [];
    const log: Logger = { ...silentLogger, warn: (fields) => logged.push(JSON.stringify(fields)) };
    const file = agentFile(`${say("a")} throw globalThis.posternTest.thrown;`);
    const failure = await rejection(run(file, { log }));
    expect(failure?.code).toBe("HANDLER_FAILED");
    expect(failure?.message).not.toContain("secret");
    expect(logged).toHaveLength(1);
    expect(logged.join("").includes("secret")).toBe(thrown instanceof Error);
  });

  test("before it begins has failed as well", async () => {
    const file = moduleFile("export default async function* (a, b, c = notes.none.none) {}");
    expect(await rejectionCode(run(file))).toBe("HANDLER_FAILED");
  });
});

test("an agent that is stopped, and throws then what throws when it is looked at, ends nothing else", async () => {
  shared.thrown = unshowable;
  const reasons: string[] = [];
  const log: Logger = { ...silentLogger, debug: (fields) => reasons.push(JSON.stringify(fields)) };
  const file = agentFile(
    "try { yield 'no event'; } finally { throw globalThis.posternTest.thrown; }",
  );
  expect(await rejectionCode(run(file, { log }))).toBe("HANDLER_OUTPUT");
  expect(reasons).toHaveLength(1);
});

describe("a stop", () => {
  test("before the start imports nothing", async () => {
    const file = moduleFile("notes.push('imported'); export default async function* () {}");
    const signal = AbortSignal.abort();
    expect(await rejectionCode(run(file, {}, { signal }))).toBe("CANCELLED");
    expect(shared.notes).toEqual([]);
  });

  test("is heard by an agent that listens, which may end in peace; the run ends with the reason", async () => {
    const stop = new AbortController();
    const reason = new PosternError("DEADLINE", "too late");
    const file = agentFile(`try { ${say("ready")}
      await new Promise((resolve) => signal.addEventListener("abort", resolve)); ${say("late")}
      } finally { await null; notes.push(signal.reason.code); }`);
    const texts: HandlerEvent[] = [];
    const emit = async (event: HandlerEvent): Promise<void> => {
      texts.push(event);
      setTimeout(() => stop.abort(reason), 1);
    };
    // A clock that stands still: nothing but the agent ends the run.
    const stopped = run(file, { clock: new SteppedClock() }, { signal: stop.signal, emit });
    expect(await rejection(stopped)).toBe(reason);
    expect(shared.notes).toEqual(["DEADLINE"]);
    expect(texts).toHaveLength(1);
  });

  test.each([
    [
      "ignores it",
      Promise.resolve(),
      `${say("begun")} await posternTest.released; ${say("late")} notes.push("more");`,
    ],
    [
      "never cleans up",
      Promise.withResolvers<void>().promise,
      `try { ${say("begun")} } finally { await posternTest.released; ${say("late")} }`,
    ],
  ])(
    "of an agent that %s ends the run after the grace period, and not before",
    async (_, taken, body) => {
      const release = Promise.withResolvers<void>();
      shared.released = release.promise;
      const stop = new AbortController();
      const clock = new SteppedClock();
      const heard: HandlerEvent[] = [];
      const emit = (event: HandlerEvent): Promise<void> => {
        heard.push(event);
        setTimeout(() => stop.abort(), 1);
        return taken;
      };
      const file = agentFile(body);
      const bounds = { ...limits, handlerKillGraceMs: 5000 };
      const state = { ended: false };
      const stopped = rejectionCode(
        run(file, { clock, limits: bounds }, { signal: stop.signal, emit }),
      ).finally(() => {
        state.ended = true;
      });
      await expect.poll(() => stop.signal.aborted).toBe(true);
      await clock.advance(4999);
      expect(state.ended).toBe(false);
      await clock.advance(1);
      expect(await stopped).toBe("CANCELLED");
      release.resolve();
      await setImmediate();
      expect({ heard: heard.length, notes: shared.notes }).toEqual({ heard: 1, notes: [] });
    },
  );

  test("does not wait for an event that is never taken", async () => {
    const stop = new AbortController();
    const emit = (): Promise<void> => {
      queueMicrotask(() => stop.abort());
      return Promise.withResolvers<void>().promise;
    };
    const code = rejectionCode(run(agentFile(say("a")), {}, { signal: stop.signal, emit }));
    expect(await code).toBe("CANCELLED");
  });

  test("of the frames tells the agent to stop, and rejects with what the frames said", async () => {
    const reason = new PosternError("FRAME_CHAIN_BROKEN", "other bytes stand there");
    const file = agentFile(`try { ${say("a")} } finally { notes.push(signal.reason.code); }`);
    const emit = (): Promise<void> => Promise.reject(reason);
    expect(await rejection(run(file, {}, { emit }))).toBe(reason);
    expect(shared.notes).toEqual(["FRAME_CHAIN_BROKEN"]);
  });
});
