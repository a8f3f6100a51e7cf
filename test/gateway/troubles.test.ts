import { beforeEach, describe, expect, it } from "vitest";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { ask, deliver } from "../../src/gateway/ask.ts";
import { serve, type ServeReport } from "../../src/gateway/serve.ts";
import { Troubles } from "../../src/gateway/troubles.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { claimedElsewhere } from "../support/claimed-elsewhere.ts";
import { plantFrames, plantRequest, started, succeeds } from "../support/forged.ts";
import {
  codeOf,
  hanger,
  pass,
  routes,
  sayer,
  twoGateways,
  type Trouble,
  type TwoGateways,
} from "../support/two-gateways.ts";

let two: TwoGateways;
let asker: Mailbox;
let doer: Mailbox;
beforeEach(() => {
  two = twoGateways();
  asker = two.asker.process();
  doer = two.doer.process();
});

const troublesOf = async ({ state }: Mailbox): Promise<string[]> =>
  (await state.troubles()).map(({ subject, code }) => `${subject} ${code}`);
const passesOf = async ({ state }: Mailbox) => {
  const { lastPass, lastGoodPassMs } = await state.overview();
  return { code: lastPass?.code, atMs: lastPass?.atMs, goodMs: lastGoodPassMs };
};

/** Counts what this process has its state remember, or lets that fail. */
function watch({ state }: Mailbox, fails = false): string[] {
  const steps: string[] = [];
  const watched =
    <Value>(name: string, step: (value: Value) => Promise<void>) =>
    async (value: Value): Promise<void> => {
      steps.push(name);
      if (fails) throw new PosternError("STATE_FULL", "made up by a test");
      await step(value);
    };
  state.noteTrouble = watched("noteTrouble", state.noteTrouble.bind(state));
  state.clearTrouble = watched("clearTrouble", state.clearTrouble.bind(state));
  state.notePass = watched("notePass", state.notePass.bind(state));
  return steps;
}

describe("a pass", () => {
  it("that goes well is remembered by one note, however many runs it had", async () => {
    const steps = watch(doer);
    for (const idempotencyKey of ["a", "b", "c"]) plantRequest(two, { idempotencyKey });
    await pass(two.clock, doer);
    expect(steps).toEqual(["notePass"]);
    const { code, atMs, goodMs } = await passesOf(doer);
    expect([code, goodMs]).toEqual([null, atMs]);
  });

  it("that rejects is remembered with its code, until one goes well", async () => {
    await pass(two.clock, doer);
    const { goodMs } = await passesOf(doer);
    two.clock.jump(1000);
    two.doer.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
    expect(await codeOf(two.clock, pass(two.clock, doer))).toBe("STORE_UNREACHABLE");
    expect(await passesOf(doer)).toMatchObject({ code: "STORE_UNREACHABLE", goodMs });
    expect(await troublesOf(doer)).toEqual([" STORE_UNREACHABLE"]);
    two.doer.trouble = () => undefined;
    await pass(two.clock, two.doer.process());
    expect((await passesOf(doer)).code).toBeNull();
    expect(await troublesOf(doer)).toEqual([]);
  });

  it("whose trust document cannot be used says so, too", async () => {
    two.doer.trustExpires = "2020-01-01T00:00:00Z";
    await pass(two.clock, doer).catch(() => undefined);
    expect(await troublesOf(doer)).toEqual([" TRUST_EXPIRED"]);
  });

  it("whose asking side alone fails has not gone well", async () => {
    await two.asks(asker, "hi");
    two.asker.trouble = awayForAnswers();
    await pass(two.clock, asker);
    expect((await passesOf(asker)).code).toBe("STORE_UNREACHABLE");
    expect(await troublesOf(asker)).toEqual([" STORE_UNREACHABLE"]);
  });

  it("keeps its own result where nothing can be noted, and its own failure", async () => {
    watch(doer, true);
    plantRequest(two);
    expect((await pass(two.clock, doer)).admitted).toBe(1);
    expect(two.doer.reports).toEqual(["STATE_FULL"]);
    two.doer.trouble = () => ({ when: "before", code: "STORE_DENIED" });
    expect(await codeOf(two.clock, pass(two.clock, doer))).toBe("STORE_DENIED");
  });
});

/** The store is away whenever an answer is looked for, and for the look that tells this from an answer's own fault. */
function awayForAnswers(): Trouble {
  let isAway = false;
  return ({ operation }) => {
    const fails = operation === "get" || (operation === "list" && isAway);
    isAway = operation === "get";
    return fails ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
  };
}

describe("a peer's trouble", () => {
  it("is the code of what it sent and what was refused, until something of it goes well", async () => {
    plantRequest(two, { idempotencyKey: "bad", signedFor: "elsewhere" });
    await pass(two.clock, doer);
    expect(await troublesOf(doer)).toEqual(["asker SIGNATURE_INVALID"]);
    expect((await passesOf(doer)).code).toBeNull();
    await pass(two.clock, doer);
    expect(await troublesOf(doer)).toEqual(["asker SIGNATURE_INVALID"]);
    plantRequest(two, { idempotencyKey: "good" });
    await pass(two.clock, doer);
    expect(await troublesOf(doer)).toEqual([]);
  });

  it("outweighs what goes well of it in the same pass", async () => {
    for (const idempotencyKey of ["a", "b", "c"]) plantRequest(two, { idempotencyKey });
    plantRequest(two, { idempotencyKey: "bad", signedFor: "elsewhere" });
    await pass(two.clock, doer);
    expect(await troublesOf(doer)).toEqual(["asker SIGNATURE_INVALID"]);
  });

  it("is none of a stranger's, whose name costs nothing", async () => {
    two.doer.peers = {};
    plantRequest(two);
    await pass(two.clock, doer);
    expect(two.doer.quarantined).toHaveLength(1);
    expect(await troublesOf(doer)).toEqual([]);
  });

  it("is that of a run of it that cannot be dealt with", async () => {
    const record = await two.asks(asker, "hi");
    two.doer.trouble = ({ operation, name }) =>
      operation === "put" && name.includes(record.runId)
        ? { when: "before", code: "STORE_DENIED" }
        : undefined;
    await pass(two.clock, doer);
    expect(await troublesOf(doer)).toEqual(["asker STORE_DENIED"]);
    two.doer.trouble = () => undefined;
    const next = two.doer.process();
    await two.asks(asker, "again", { idempotencyKey: "k2" });
    await pass(two.clock, next);
    expect(await troublesOf(doer)).toEqual([]);
  });

  it("is that answers of it do not verify, until they do", async () => {
    const { runId, requestDigest } = await two.asks(asker, "hi");
    const { key } = plantFrames(two, {
      runId,
      requestDigest,
      frames: [started()],
      signingKey: two.asker.signingKey,
    });
    const { problems } = await pass(two.clock, asker);
    expect(problems).toEqual([]);
    expect(await troublesOf(asker)).toEqual(["doer KEY_UNKNOWN"]);
    await two.store.delete(key);
    await pass(two.clock, asker);
    expect(await troublesOf(asker)).toEqual(["doer KEY_UNKNOWN"]);
    plantFrames(two, { runId, requestDigest, frames: [started()] });
    await pass(two.clock, asker);
    expect(await troublesOf(asker)).toEqual([]);
  });

  it("is a broken chain, until the run closes", async () => {
    const { runId, requestDigest } = await two.asks(asker, "hi");
    plantFrames(two, { runId, requestDigest, frames: [started()] });
    const prev = new Uint8Array(32).fill(1);
    plantFrames(two, { runId, requestDigest, seq: 1, prev, frames: [succeeds] });
    await pass(two.clock, asker);
    expect(await troublesOf(asker)).toEqual(["doer FRAME_CHAIN_BROKEN"]);
    plantFrames(two, { runId, requestDigest, attempt: 2, frames: [succeeds] });
    await pass(two.clock, asker);
    expect(await troublesOf(asker)).toEqual([]);
  });
});

describe("what is remembered of a trouble", () => {
  it("has nothing that moves a cursor, and a bounded length", async () => {
    const troubles = new Troubles(doer);
    const message = `\u001b[2J${"x".repeat(10_000)}`;
    troubles.failed(two.asker.name, { code: "CARD_INVALID", message });
    await troubles.tell();
    const [trouble] = await doer.state.troubles();
    expect(trouble?.message).toHaveLength(limits.maxTroubleCharacters);
    expect(trouble?.message.startsWith("\\u{1b}[2Jxx")).toBe(true);
  });
});

describe("asking from here", () => {
  const request = {
    target: "doer/work",
    idempotencyKey: "k",
    body: { kind: "prompt", prompt: { text: "hi" } },
  } as const;

  it("remembers that the store is away, until a request is put", async () => {
    const asked = await ask(asker, new Map(), request);
    two.asker.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
    expect(await codeOf(two.clock, deliver(asker, asked))).toBe("STORE_UNREACHABLE");
    expect(await troublesOf(asker)).toEqual([" STORE_UNREACHABLE"]);
    two.asker.trouble = () => undefined;
    await deliver(asker, asked);
    expect(await troublesOf(asker)).toEqual([]);
  });

  it("remembers what is wrong with one inbox as the callee's", async () => {
    const asked = await ask(asker, new Map(), request);
    two.asker.trouble = () => ({ when: "before", code: "STORE_DENIED" });
    await deliver(asker, asked).catch(() => undefined);
    expect(await troublesOf(asker)).toEqual(["doer STORE_DENIED"]);
  });

  it("remembers an own trust document that cannot be used", async () => {
    two.asker.trustExpires = "2020-01-01T00:00:00Z";
    await ask(asker, new Map(), request).catch(() => undefined);
    expect(await troublesOf(asker)).toEqual([" TRUST_EXPIRED"]);
  });

  it("tells what is wrong with the request to who made it, and remembers nothing", async () => {
    const codes = [
      await codeOf(two.clock, ask(asker, new Map(), { ...request, target: "nobody" })),
      await codeOf(two.clock, ask(asker, new Map(), { ...request, target: "third/agent" })),
    ];
    expect(codes).toEqual(["TARGET_UNKNOWN", "PEER_UNKNOWN"]);
    expect(await troublesOf(asker)).toEqual([]);
  });

  it("clears nothing that a request does not meet, and writes nothing when all is well", async () => {
    const steps = watch(asker);
    await deliver(asker, await ask(asker, new Map(), request));
    expect(steps).toEqual([]);
    const behind = { subject: "", code: "CLOCK_BEHIND", message: "m", atMs: 1 };
    await asker.state.noteTrouble(behind);
    await deliver(asker, await ask(asker, new Map(), { ...request, idempotencyKey: "other" }));
    expect(await asker.state.troubles()).toEqual([behind]);
  });

  it("keeps its own failure where nothing can be noted", async () => {
    watch(asker, true);
    const asked = await ask(asker, new Map(), request);
    two.asker.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
    expect(await codeOf(two.clock, deliver(asker, asked))).toBe("STORE_UNREACHABLE");
  });
});

describe("a service", () => {
  let stop: AbortController;
  beforeEach(() => {
    stop = new AbortController();
  });

  function serving(box: Mailbox, handler = sayer()): Promise<ServeReport> {
    return serve(box, {
      ...routes(handler),
      minDelayMs: limits.serveMinDelayMs,
      maxDelayMs: limits.serveMaxDelayMs,
      graceMs: limits.serveGraceMs,
      signal: stop.signal,
    });
  }

  async function stopped(service: Promise<unknown>): Promise<void> {
    stop.abort();
    await two.clock.until(service);
  }

  const storeIsAway = (): void => {
    two.doer.trouble = () => ({ when: "before", code: "STORE_UNREACHABLE" });
  };

  it("that goes well notes so at once, then at most once a minute", async () => {
    const steps = watch(doer);
    const service = serving(doer);
    await two.clock.advance(1000);
    expect(steps).toEqual(["notePass"]);
    await two.clock.advance(10 * limits.troublesTellMs);
    expect(new Set(steps)).toEqual(new Set(["notePass"]));
    expect(steps.length).toBeGreaterThan(5);
    expect(steps.length).toBeLessThanOrEqual(11);
    await stopped(service);
  });

  it("notes at once that its outcome has changed, and repeats it once a minute", async () => {
    const steps = watch(doer);
    const service = serving(doer);
    await two.clock.advance(10 * limits.troublesTellMs + 10_000);
    storeIsAway();
    await two.clock.advance(limits.serveMaxDelayMs);
    expect(await passesOf(doer)).toMatchObject({ code: "STORE_UNREACHABLE" });
    expect(await troublesOf(doer)).toEqual([" STORE_UNREACHABLE"]);
    steps.splice(0);
    await two.clock.advance(10 * limits.troublesTellMs);
    expect(steps.filter((step) => step === "noteTrouble").length).toBeLessThanOrEqual(11);
    two.doer.trouble = () => undefined;
    await two.clock.advance(limits.serveMaxDelayMs);
    expect(await passesOf(doer)).toMatchObject({ code: null });
    expect(await troublesOf(doer)).toEqual([]);
    await stopped(service);
  });

  it("notes a peer's trouble at once, and clears it within a minute of better news", async () => {
    const service = serving(doer);
    await two.clock.advance(10_000);
    plantRequest(two, { idempotencyKey: "bad", signedFor: "elsewhere" });
    await two.clock.advance(limits.serveMaxDelayMs);
    expect(await troublesOf(doer)).toEqual(["asker SIGNATURE_INVALID"]);
    await two.clock.advance(2 * limits.troublesTellMs);
    plantRequest(two, { idempotencyKey: "good" });
    await two.clock.advance(limits.troublesTellMs + limits.serveMaxDelayMs);
    expect(await troublesOf(doer)).toEqual([]);
    await stopped(service);
  });

  it("repeats a peer's trouble that lasts at most once a minute", async () => {
    const { runId, requestDigest } = await two.asks(asker, "hi");
    const signingKey = two.asker.signingKey;
    plantFrames(two, { runId, requestDigest, frames: [started()], signingKey });
    const steps = watch(asker);
    const service = serving(asker);
    await two.clock.advance(10 * limits.troublesTellMs);
    expect(await troublesOf(asker)).toEqual(["doer KEY_UNKNOWN"]);
    expect(steps.filter((step) => step === "noteTrouble").length).toBeLessThanOrEqual(11);
    await stopped(service);
  });

  it("shows the trouble of one part while the others go well", async () => {
    await two.asks(asker, "hi");
    two.asker.trouble = awayForAnswers();
    const service = serving(asker);
    await two.clock.advance(5 * limits.troublesTellMs);
    expect(await troublesOf(asker)).toEqual([" STORE_UNREACHABLE"]);
    expect(await passesOf(asker)).toMatchObject({ code: "STORE_UNREACHABLE", goodMs: null });
    await stopped(service);
  });

  it("remembers what ended it", async () => {
    const service = serving(doer);
    await two.clock.advance(1000);
    await claimedElsewhere(doer.state, two.clock.now());
    expect(await codeOf(two.clock, service)).toBe("STATE_ELSEWHERE");
    expect(await troublesOf(doer)).toEqual([" STATE_ELSEWHERE"]);
  });

  it("remembers what went wrong while it wound up", async () => {
    const { handler, finish } = hanger();
    const service = serving(doer, handler);
    plantRequest(two);
    await two.clock.advance(limits.serveMaxDelayMs);
    two.doer.trouble = ({ operation }) =>
      operation === "put" ? { when: "before", code: "STORE_DENIED" } : undefined;
    stop.abort();
    finish();
    await two.clock.until(service);
    expect(await troublesOf(doer)).toEqual(["asker STORE_DENIED"]);
  });
});
