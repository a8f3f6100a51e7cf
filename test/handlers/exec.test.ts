import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { setImmediate, setTimeout } from "node:timers/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { silentLogger, type Logger } from "../../src/base/log.ts";
import { parseRunId } from "../../src/base/names.ts";
import { execHandler, type ExecOptions } from "../../src/handlers/exec.ts";
import type { HandlerResult, Work } from "../../src/handlers/handler.ts";
import type { HandlerEvent } from "../../src/protocol/frame.ts";
import type { OutputKind } from "../../src/handlers/output-reader.ts";
import { byteHandlerContract, contractOutputBytes, handlerContract } from "./handler-contract.ts";
import { sampleDocument, sampleWork } from "../support/sample-work.ts";

const work = sampleWork;
const env = { PATH: process.env["PATH"], HOME: "/home/of/none", SECRET: "do not pass on" };
const quick = { ...limits, handlerDrainMs: 300, handlerKillGraceMs: 300 };

const js = (code: string): string[] => [process.execPath, "-e", code];
const sh = (code: string): string[] => ["sh", "-c", code];

interface Ran {
  readonly events: readonly HandlerEvent[];
  readonly text: string;
  readonly outcome: HandlerResult | PosternError;
}

interface Extra {
  readonly work?: Work;
  readonly signal?: AbortSignal;
  readonly emit?: (event: HandlerEvent) => Promise<void>;
}

async function run(options: Partial<ExecOptions>, extra: Extra = {}): Promise<Ran> {
  const events: HandlerEvent[] = [];
  const handler = execHandler({
    command: [],
    output: "text",
    cwd: folder,
    env,
    clock: systemClock,
    log: silentLogger,
    ...options,
  });
  const emit = async (event: HandlerEvent): Promise<void> => {
    events.push(event);
    await extra.emit?.(event);
  };
  const outcome = await handler
    .run(extra.work ?? work, emit, extra.signal ?? new AbortController().signal)
    .catch((thrown: unknown) => {
      if (thrown instanceof PosternError) return thrown;
      throw thrown;
    });
  const text = events
    .map((event) => (event.event === "textDelta" ? event.payload.text : ""))
    .join("");
  return { events, text, outcome };
}

function codeOf(outcome: HandlerResult | PosternError): string {
  return outcome instanceof PosternError ? outcome.code : "no error";
}

function messageOf(outcome: HandlerResult | PosternError): string {
  return outcome instanceof PosternError ? outcome.message : "no error";
}

/** Time that passes only when the test says so. */
class ManualClock implements Clock {
  #now = 0;
  #waiting: { readonly at: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ at: this.#now + ms, wake: resolve });
    signal?.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  }

  /** Lets `ms` pass in steps, so that one sleep after another is woken. */
  async pass(ms: number): Promise<void> {
    for (const until = this.#now + ms; this.#now < until;) {
      this.#now += 1;
      const due = this.#waiting.filter(({ at }) => at <= this.#now);
      this.#waiting = this.#waiting.filter(({ at }) => at > this.#now);
      for (const { wake } of due) wake();
      if (due.length > 0) await setImmediate();
    }
  }
}

/** A killed process that its new parent has not yet waited for is dead all the same. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return (
      process.platform !== "linux" || !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")
    );
  } catch {
    return false;
  }
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-exec-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const contractLimits = { ...quick, maxRunOutputBytes: contractOutputBytes };
const execOf = (command: readonly string[], output: OutputKind) =>
  execHandler({
    command,
    output,
    cwd: import.meta.dirname,
    env,
    clock: systemClock,
    log: silentLogger,
    limits: contractLimits,
  });

const scripted = (output: OutputKind) =>
  execOf([process.execPath, "script-child.ts", output], output);

handlerContract(
  "exec",
  () => scripted("jsonl"),
  () => execOf(["/nowhere/program"], "jsonl"),
);
byteHandlerContract("exec", scripted);

describe("what the program is given", () => {
  test("is the request as one JSON document on stdin", async () => {
    const { text } = await run({ command: ["cat"] });
    expect(text.endsWith("\n")).toBe(true);
    expect(JSON.parse(text)).toEqual(sampleDocument);
  });

  test("is a tool call under its own name, with what it continues", async () => {
    const body = {
      kind: "toolCall",
      toolCall: { name: "disk.usage", input: { path: "/" } },
    } as const;
    const request = { ...work.request, body, remoteRunId: parseRunId("b".repeat(52)) };
    const { text } = await run(
      { command: ["cat"] },
      { work: { ...work, request, deadline: null } },
    );
    expect(JSON.parse(text)).toMatchObject({
      toolCall: { name: "disk.usage", input: { path: "/" } },
      remoteRunId: "b".repeat(52),
      deadline: null,
    });
    expect(JSON.parse(text)).not.toHaveProperty("prompt");
    expect(JSON.parse(text)).not.toHaveProperty("kind");
  });

  test("is a clean environment: PATH, HOME, LANG, TZ and its own variables, nothing else", async () => {
    const { text } = await run({ command: js("console.log(JSON.stringify(process.env))") });
    expect(JSON.parse(text)).toEqual({
      PATH: env.PATH,
      HOME: "/home/of/none",
      POSTERN_RUN_ID: work.runId,
      POSTERN_CALLER: "acme.eu",
      POSTERN_AGENT: "diagnose",
      POSTERN_DEADLINE: "1800000000",
    });
  });

  test("is an empty POSTERN_DEADLINE when the caller set none", async () => {
    const command = sh('set -u; printf "<%s>" "$POSTERN_DEADLINE"');
    expect((await run({ command }, { work: { ...work, deadline: null } })).text).toBe("<>");
  });

  test("never passes a shell: arguments arrive as they are", async () => {
    const { text } = await run({ command: ["printf", "%s|", "$HOME", "a b", "; echo no", "*"] });
    expect(text).toBe("$HOME|a b|; echo no|*|");
  });

  test("is the folder it runs in", async () => {
    expect((await run({ command: ["pwd", "-P"] })).text.trim()).toBe(folder);
  });

  test("is looked for from that folder when its path is relative", async () => {
    await writeFile(join(folder, "here.sh"), "#!/bin/sh\necho found", { mode: 0o700 });
    expect((await run({ command: ["./here.sh"] })).text).toBe("found\n");
  });

  test("may be left unread, however long it is", async () => {
    const body = { kind: "prompt", prompt: { text: "x".repeat(900_000) } } as const;
    const { outcome } = await run(
      { command: ["echo", "done"] },
      { work: { ...work, request: { ...work.request, body } } },
    );
    expect(outcome).toEqual({ result: "done\n" });
  });
});

describe("text output", () => {
  test("comes as deltas while the program still runs, and whole as the result", async () => {
    const go = join(folder, "go");
    const command = sh(`printf 'one '; while [ ! -e ${go} ]; do sleep 0.02; done; printf two`);
    const emit = async (): Promise<void> => {
      await writeFile(go, "");
    };
    const { events, outcome } = await run({ command }, { emit });
    expect(events).toEqual([
      { event: "textDelta", payload: { text: "one " } },
      { event: "textDelta", payload: { text: "two" } },
    ]);
    expect(outcome).toEqual({ result: "one two" });
  });

  test("may be nothing at all", async () => {
    expect(await run({ command: ["true"] })).toMatchObject({ events: [], outcome: { result: "" } });
  });

  test("keeps characters whole that a write has cut, and a leading byte order mark", async () => {
    const code = `const b = Buffer.from("\\ufeffé€😀"); let i = 0;
      const next = () => { if (i < b.length) process.stdout.write(b.subarray(i, ++i), () => setTimeout(next, 5)); }; next();`;
    const { text, outcome } = await run({ command: js(code) });
    expect(text).toBe("\ufeffé€😀");
    expect(outcome).toEqual({ result: text });
  });

  test("shows bytes that are no UTF-8 as U+FFFD, a cut character at the end too", async () => {
    const { outcome } = await run({ command: sh(String.raw`printf 'a\377b\303'`) });
    expect(outcome).toEqual({ result: "a\ufffdb\ufffd" });
  });

  test("longer than one frame is an error, because the whole of it is the result", async () => {
    const small = { ...quick, maxFrameBytes: 1024 + 10 };
    const fits = await run({ command: ["printf", "€€€"], limits: small });
    expect(fits.outcome).toEqual({ result: "€€€" });
    const { outcome } = await run({ command: ["printf", "€€€€"], limits: small });
    expect(codeOf(outcome)).toBe("HANDLER_OUTPUT");
  });

  test("past the cap is an error, not a truncation, and ends the program", async () => {
    const { outcome, text } = await run({
      command: ["yes"],
      limits: { ...quick, maxRunOutputBytes: 200_000 },
    });
    expect(codeOf(outcome)).toBe("HANDLER_OUTPUT");
    expect(text.length).toBeLessThanOrEqual(200_000);
  });

  test("is read no faster than it is taken", async () => {
    const written = join(folder, "written");
    const code = `const fs = require("node:fs"); for (let i = 1; i <= 40; i++) {
      fs.writeSync(1, "x".repeat(65536)); fs.writeFileSync(${JSON.stringify(written)}, String(i)); }`;
    const seen: number[] = [];
    let taken = 0;
    const emit = async (event: HandlerEvent): Promise<void> => {
      taken += event.event === "textDelta" ? event.payload.text.length : 0;
      if (seen.length > 0) return;
      await systemClock.sleep(300);
      seen.push(Number(await readFile(written, "utf8").catch(() => "0")));
    };
    const large = { ...quick, maxFrameBytes: 100 * 65536 };
    const { outcome } = await run({ command: js(code), limits: large }, { emit });
    expect(outcome).not.toBeInstanceOf(PosternError);
    expect(taken).toBe(40 * 65536);
    expect(seen[0]).toBeLessThan(20);
  });
});

const lines = (...texts: readonly string[]): Partial<ExecOptions> => ({
  command: ["printf", "%s", texts.join("\n")],
  output: "jsonl",
});
const delta = (text: string): string => JSON.stringify({ event: "textDelta", payload: { text } });

describe("jsonl output", () => {
  test("splits long texts into frames that fit, never inside a character", async () => {
    const small = { ...quick, maxFrameBytes: 1024 + 10 };
    const { events, text, outcome } = await run({ ...lines(delta("€".repeat(20))), limits: small });
    expect(text).toBe("€".repeat(20));
    expect(events.length).toBeGreaterThan(5);
    for (const event of events) {
      expect(event.event === "textDelta" && Buffer.byteLength(event.payload.text) <= 10).toBe(true);
    }
    expect(outcome).toEqual({});
  });

  test("is one frame a line, and the texts together are the result", async () => {
    const usage = { inputTokens: 1, outputTokens: 2, totalTokens: 3 };
    const { events, outcome } = await run(
      lines(
        delta("a"),
        "",
        JSON.stringify({ event: "tokenUsage", payload: usage }),
        `${delta("b")}\r`,
      ),
    );
    expect(events).toEqual([
      { event: "textDelta", payload: { text: "a" } },
      { event: "tokenUsage", payload: usage },
      { event: "textDelta", payload: { text: "b" } },
    ]);
    expect(outcome).toEqual({ result: "ab" });
  });

  test("whose texts together do not fit into one frame has no result, unless a line holds one", async () => {
    const small = { ...quick, maxFrameBytes: 1024 + 10 };
    const fits = lines(delta("€€"), delta("€"), delta("x"));
    expect((await run({ ...fits, limits: small })).outcome).toEqual({ result: "€€€x" });
    const long = [delta("€€€"), delta("€"), delta("x")];
    const none = await run({ ...lines(...long), limits: small });
    expect(none).toMatchObject({ text: "€€€€x", outcome: {} });
    expect(none.outcome).not.toHaveProperty("result");
    const explicit = await run({ ...lines(...long, '{"result":1}'), limits: small });
    expect(explicit.outcome).toEqual({ result: 1 });
  });

  test("may end with a line that holds the result", async () => {
    const { events, outcome } = await run(
      lines(delta("thinking"), '{"result":{"free":12,"ok":null}}', ""),
    );
    expect(events).toHaveLength(1);
    expect(outcome).toEqual({ result: { free: 12, ok: null } });
  });

  test("without any text and without a result has none", async () => {
    expect((await run(lines('{"event":"phaseEnd","payload":{"phase":"plan"}}'))).outcome).toEqual(
      {},
    );
  });

  test.each([
    ["what is no JSON", "{nope"],
    [
      "an event that is not the handler's to say",
      '{"event":"terminal","payload":{"status":"succeeded"}}',
    ],
    ["started", '{"event":"started","payload":{"agent":"diagnose","attempt":1}}'],
    ["an unknown event", '{"event":"shrug","payload":{}}'],
    ["an event with a result beside it", '{"event":"textDelta","payload":{"text":"a"},"result":1}'],
    ["a malformed payload", '{"event":"textDelta","payload":{"text":7}}'],
    ["a list", "[1]"],
    ["half a surrogate pair", String.raw`{"event":"textDelta","payload":{"text":"\ud800"}}`],
    ["a nesting without end", "[".repeat(100_000)],
  ])("fails the run on %s and names the line", async (_, line) => {
    const { events, outcome } = await run(lines(delta("fine"), line, delta("never")));
    expect(events).toHaveLength(1);
    expect(codeOf(outcome)).toBe("HANDLER_OUTPUT");
    expect(messageOf(outcome)).toContain("line 2");
    expect(messageOf(outcome)).not.toContain("nope");
  });

  test("fails the run on bytes that are no UTF-8", async () => {
    const { outcome } = await run({ command: sh(String.raw`printf '"\377"\n'`), output: "jsonl" });
    expect(codeOf(outcome)).toBe("HANDLER_OUTPUT");
  });

  test("fails the run on a line after the result", async () => {
    const { outcome } = await run(lines('{"result":1}', delta("late")));
    expect(codeOf(outcome)).toBe("HANDLER_OUTPUT");
    expect(messageOf(outcome)).toContain("line 2");
  });

  test("splits a long text", async () => {
    const small = { ...quick, maxFrameBytes: 1024 + 64 };
    const long = "y".repeat(150);
    const split = await run({ ...lines(delta(long)), limits: small });
    expect(split.text).toBe(long);
    expect(split.events).toHaveLength(3);
  });

  test("that a failing program leaves unfinished says that it failed, not that the line is bad", async () => {
    const { events, outcome } = await run({
      command: sh(`printf '%s\\n{"ev' '${delta("a")}'; exit 3`),
      output: "jsonl",
    });
    expect(events).toHaveLength(1);
    expect(codeOf(outcome)).toBe("HANDLER_FAILED");
  });
});

describe("how a program ends", () => {
  test("another status than 0 fails the run; the message says which, and nothing of stderr", async () => {
    const { text, outcome } = await run({ command: sh("printf part; echo secret >&2; exit 7") });
    expect(text).toBe("part");
    expect(codeOf(outcome)).toBe("HANDLER_FAILED");
    expect(messageOf(outcome)).toContain("exit status 7");
    expect(messageOf(outcome)).not.toContain("secret");
  });

  test("a signal fails the run", async () => {
    const { outcome } = await run({ command: sh("kill -KILL $$") });
    expect(codeOf(outcome)).toBe("HANDLER_FAILED");
    expect(messageOf(outcome)).toContain("SIGKILL");
  });

  test.each([
    ["a program that is not there", { command: ["/nowhere/program"] }],
    ["a name that is not on PATH", { command: ["no-such-program-anywhere"] }],
    ["a file that is not executable", { command: ["/etc/passwd"] }],
    ["a folder that is not there", { command: ["true"], cwd: "/nowhere" }],
    ["an argument with a NUL", { command: ["true", "a\0b"] }],
    ["an empty command", { command: [] }],
  ])("%s cannot be started, and the message keeps the path to itself", async (_, options) => {
    const { outcome } = await run(options);
    expect(codeOf(outcome)).toBe("HANDLER_START");
    expect(messageOf(outcome)).not.toContain("nowhere");
  });

  test("stderr goes to the log, escaped and bounded", async () => {
    const said: unknown[] = [];
    const keep = (fields: object): void => void said.push("line" in fields ? fields.line : fields);
    const log: Logger = { ...silentLogger, info: keep, warn: keep };
    const code = String.raw`printf 'one\nred \033[31m\n' >&2; head -c 5000 /dev/zero >&2`;
    await run({ command: sh(code), log, limits: { ...quick, maxHandlerLogBytes: 1000 } });
    expect(said.slice(0, 2)).toEqual(["one", String.raw`red \u{1b}[31m`]);
    expect(JSON.stringify(said).length).toBeLessThan(8000);
    expect(JSON.stringify(said)).not.toContain("\u0000");
  });

  test("a group that is gone is not signalled later, when its number may be another's", async () => {
    using kill = vi.spyOn(process, "kill");
    const emit = () => setTimeout(2 * quick.handlerDrainMs);
    const { text } = await run({ command: sh("echo $$"), limits: quick }, { emit });
    const signals = kill.mock.calls
      .filter(([pid]) => pid === -Number(text))
      .map(([, sent]) => sent);
    expect(signals.length).toBeGreaterThan(0);
    expect(new Set(signals)).toEqual(new Set([0]));
  });

  test("a process of its group that it leaves behind does not hold up the run, and is ended", async () => {
    const { outcome, text } = await run({ command: sh("sleep 600 & echo $!"), limits: quick });
    expect(outcome).toEqual({ result: text });
    await expect.poll(() => isAlive(Number(text))).toBe(false);
  });

  test("a process that left its group and holds stdout does not hold up the run", async () => {
    const code = `const { spawn } = require("node:child_process");
      const child = spawn("sleep", ["600"], { detached: true, stdio: ["ignore", "inherit", "inherit"] });
      child.unref(); console.log(child.pid);`;
    const { outcome, text } = await run({ command: js(code), limits: quick });
    expect(outcome).toEqual({ result: text });
    process.kill(Number(text), "SIGKILL");
  });

  test("what a filter behind it still writes after it has exited belongs to the answer", async () => {
    const command = sh("(sleep 0.2; printf late) & printf early");
    // However late the filter comes to its turn.
    const { outcome } = await run({ command, limits: { ...limits, handlerDrainMs: 60_000 } });
    expect(outcome).toEqual({ result: "earlylate" });
  });
});

describe("a stop", () => {
  test("before the start starts nothing", async () => {
    const mark = join(folder, "never");
    const { outcome } = await run({ command: ["touch", mark] }, { signal: AbortSignal.abort() });
    expect(codeOf(outcome)).toBe("CANCELLED");
    await expect(readFile(mark)).rejects.toThrow("ENOENT");
  });

  test("asks the program to end, lets it end in peace, and rejects with the reason", async () => {
    const stop = new AbortController();
    const mark = join(folder, "peace");
    const command = sh(
      `trap 'echo bye; echo saved > ${mark}; exit 0' TERM; echo ready; while :; do sleep 0.05; done`,
    );
    const reason = new PosternError("DEADLINE", "too late");
    const emit = async (): Promise<void> => stop.abort(reason);
    const { outcome, text } = await run({ command }, { signal: stop.signal, emit });
    expect(outcome).toBe(reason);
    expect(text).toBe("ready\n");
    expect(await readFile(mark, "utf8")).toBe("saved\n");
  });

  test("kills whoever ignores it after the grace period of the clock, and not before", async () => {
    const stop = new AbortController();
    const clock = new ManualClock();
    let pid = 0;
    const emit = async (event: HandlerEvent): Promise<void> => {
      if (event.event === "textDelta") pid = Number(event.payload.text);
      stop.abort();
    };
    const running = run(
      { command: sh("trap '' TERM; echo $$; while :; do sleep 0.05; done"), clock },
      { signal: stop.signal, emit },
    );
    await expect.poll(() => stop.signal.aborted, { timeout: 5000 }).toBe(true);
    await clock.pass(limits.handlerKillGraceMs - 1);
    expect(isAlive(pid)).toBe(true);
    await clock.pass(1);
    expect(codeOf((await running).outcome)).toBe("CANCELLED");
    expect(isAlive(pid)).toBe(false);
  });

  test("reaches the children of the program, those that ignore it too", async () => {
    const stop = new AbortController();
    let child = 0;
    const emit = async (event: HandlerEvent): Promise<void> => {
      if (event.event === "textDelta") child = Number(event.payload.text);
      stop.abort();
    };
    const command = sh("sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done'; true");
    const { outcome } = await run({ command, limits: quick }, { signal: stop.signal, emit });
    expect(codeOf(outcome)).toBe("CANCELLED");
    await expect.poll(() => isAlive(child)).toBe(false);
  });

  test("does not wait for an event that is never taken", async () => {
    const stop = new AbortController();
    const emit = (): Promise<void> => {
      queueMicrotask(() => stop.abort());
      return Promise.withResolvers<void>().promise;
    };
    const { outcome } = await run(
      { command: sh("echo a; exec sleep 600"), limits: quick },
      { signal: stop.signal, emit },
    );
    expect(codeOf(outcome)).toBe("CANCELLED");
  });

  test("of the frames ends the program, and the run with what the frames said", async () => {
    const reason = new PosternError("FRAME_CHAIN_BROKEN", "other bytes stand there");
    const { outcome } = await run(
      { command: ["yes"], limits: quick },
      { emit: () => Promise.reject(reason) },
    );
    expect(outcome).toBe(reason);
  });
});
