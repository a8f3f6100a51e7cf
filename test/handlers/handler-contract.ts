import { beforeEach, describe, expect, test } from "vitest";
import type { RunId } from "../../src/base/names.ts";
import type { Ask } from "../../src/gateway/ask.ts";
import { poll } from "../../src/gateway/poll.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import type { OutputKind } from "../../src/handlers/output-reader.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import type { HandlerEvent, TerminalPayload } from "../../src/protocol/frame.ts";
import type { OutboxRecord } from "../../src/state/outbox.ts";
import { readAll, routes, twoGateways } from "../support/two-gateways.ts";
import { drive } from "./drive.ts";
import { secret, type Script } from "./script.ts";

/** What a flood soon exceeds, and nothing else of the contract. */
export const contractOutputBytes = 100_000;

/** How long the agents of the contract may take, which is longer than they do. */
const maxRunMs = 60_000;

const textDelta = (text: string) => ({ event: "textDelta", payload: { text } }) as const;

const everyEvent = [
  { event: "toolCall", payload: { id: "1", name: "df", input: { path: "/", deep: [null, 1.5] } } },
  { event: "toolResult", payload: { id: "1", output: "82 %", isError: false } },
  { event: "tokenUsage", payload: { inputTokens: 8, outputTokens: 1, totalTokens: 9, model: "m" } },
  textDelta("The logs take 41 GB.\n"),
  { event: "phaseEnd", payload: { phase: "diagnosis" } },
  { event: "error", payload: { code: "SLOW_DISK", message: "it took long", retryable: true } },
] as const satisfies readonly HandlerEvent[];

/** Makes a handler whose agent does what `Script` says. Its clock is the system's, its bounds are small. */
type Make = (output: OutputKind) => Handler;

/**
 * What every kind of handler promises, as the caller of a run sees it. `makeUnstartable` makes one whose agent
 * cannot be started at all.
 */
export function handlerContract(
  kind: string,
  make: () => Handler,
  makeUnstartable: () => Handler,
): void {
  describe(`${kind} handler`, () => {
    let scene: Scene;
    beforeEach(() => {
      scene = new Scene();
    });

    test("gives the agent the request, whole and as one JSON document", async () => {
      const script: Script = { tells: "request" };
      const { terminal } = await scene.told(make(), script);
      expect(terminal).toEqual({
        status: "succeeded",
        result: {
          v: 1,
          runId: scene.two.doer.onlyReceipt.runId,
          caller: "asker",
          agent: "work",
          attempt: 1,
          deadline: null,
          idempotencyKey: "k1",
          callerIdentity: { gateway: "asker" },
          prompt: { text: JSON.stringify(script) },
        },
      });
    });

    test("sends on every event that there is, in order, and the result", async () => {
      const script = { says: everyEvent, result: { fullest: "/var/log", left: null } };
      expect(await scene.told(make(), script)).toEqual({
        events: everyEvent,
        terminal: { status: "succeeded", result: { fullest: "/var/log", left: null } },
      });
    });

    test("takes the texts together for the result where the agent gives none", async () => {
      const says = [textDelta("a"), everyEvent[0], textDelta("b")];
      const { terminal } = await scene.told(make(), { says });
      expect(terminal).toEqual({ status: "succeeded", result: "ab" });
    });

    test("succeeds without a result where the agent ends at once and says nothing", async () => {
      const { events, terminal } = await scene.told(make(), {});
      expect({ events, terminal }).toEqual({ events: [], terminal: { status: "succeeded" } });
    });

    test("cannot start: failed, HANDLER_START", async () => {
      const { terminal } = await scene.told(makeUnstartable(), {});
      expect(codesOf(terminal)).toBe("failed HANDLER_START");
    });

    test("whose agent fails: failed, HANDLER_FAILED, and nothing of what it said about that", async () => {
      const { events, terminal } = await scene.told(make(), { ends: "fail" });
      expect(codesOf(terminal)).toBe("failed HANDLER_FAILED");
      expect(JSON.stringify({ events, terminal })).not.toContain(secret);
    });

    test("whose agent breaks off: failed, HANDLER_FAILED, and what it said before stands", async () => {
      const says = [textDelta("so far")];
      const { events, terminal } = await scene.told(make(), { says, ends: "break" });
      expect(events).toEqual(says);
      expect(codesOf(terminal)).toBe("failed HANDLER_FAILED");
    });

    test("whose agent floods: failed, HANDLER_OUTPUT, and no more than the cap", async () => {
      const answer = await scene.told(make(), { ends: "flood" });
      expect(codesOf(answer.terminal)).toBe("failed HANDLER_OUTPUT");
      expect(textOf(answer).length).toBeLessThanOrEqual(contractOutputBytes);
    });

    test.each([
      ["an event that there is not", { event: "shrug", payload: {} }],
      [
        "an event that is the gateway's to say",
        { event: "terminal", payload: { status: "succeeded" } },
      ],
      ["a malformed payload", { event: "textDelta", payload: { text: 7 } }],
      ["what is no object", [1]],
      ["an event and a result in one", { ...textDelta("a"), result: 1 }],
      ["half a character", textDelta("\ud800")],
    ])("whose agent says %s: failed, HANDLER_OUTPUT, and nothing after it", async (_, bad) => {
      const says = [textDelta("fine"), bad, textDelta("never")];
      const { events, terminal } = await scene.told(make(), { says });
      expect(events).toEqual([textDelta("fine")]);
      expect(codesOf(terminal)).toBe("failed HANDLER_OUTPUT");
    });

    describe("whose agent hangs", () => {
      const script: Script = { says: [textDelta("begun")], ends: "hang" };

      /** What the caller is told when `happens` comes about once the agent has begun. */
      async function toldAfter(happens: (runId: RunId) => Promise<unknown>, more?: Partial<Ask>) {
        const { record, polling, heard } = await scene.begin(make(), script, more);
        await drive(scene.two.clock, heard);
        expect(scene.two.doer.onlyReceipt.state).not.toBe("ended");
        await happens(record.runId);
        await drive(scene.two.clock, polling);
        return scene.ended(record);
      }

      test("is stopped by a cancel: cancelled, CANCELLED, and what it said stands", async () => {
        const { events, terminal } = await toldAfter((runId) => cancelRun(scene.asker, runId));
        expect(events).toEqual([textDelta("begun")]);
        expect(codesOf(terminal)).toBe("cancelled CANCELLED");
      });

      test("is stopped at the deadline: cancelled, DEADLINE", async () => {
        const deadlineMs = maxRunMs / 2;
        const passes = (): Promise<void> => scene.two.clock.advance(deadlineMs + 1000);
        const { terminal } = await toldAfter(passes, { deadlineMs });
        expect(codesOf(terminal)).toBe("cancelled DEADLINE");
      });

      test("is stopped when it takes longer than its agent may: cancelled, DEADLINE", async () => {
        const { terminal } = await toldAfter(() => scene.two.clock.advance(maxRunMs));
        expect(codesOf(terminal)).toBe("cancelled DEADLINE");
      });
    });
  });
}

/** What those promise besides whose agents put out bytes. */
export function byteHandlerContract(kind: string, make: Make): void {
  describe(`${kind} handler`, () => {
    test.each([[["one ", "two"]], [[]]])(
      "takes plain output for the answer, and nothing for an empty one: %j",
      async (says) => {
        const answer = await new Scene().told(make("text"), { says });
        expect(textOf(answer)).toBe(says.join(""));
        expect(answer.terminal).toEqual({ status: "succeeded", result: says.join("") });
      },
    );

    test("shows bytes of a plain answer that are no UTF-8 as U+FFFD", async () => {
      const bytes = Buffer.from("\xffb\xc3", "latin1").toString("base64");
      const { terminal } = await new Scene().told(make("text"), { says: ["a"], bytes });
      expect(terminal).toEqual({ status: "succeeded", result: "a\ufffdb\ufffd" });
    });

    test("whose agent writes a line that is no UTF-8: failed, HANDLER_OUTPUT", async () => {
      const bytes = Buffer.from('"\xff"\n', "latin1").toString("base64");
      const { terminal } = await new Scene().told(make("jsonl"), { bytes });
      expect(codesOf(terminal)).toBe("failed HANDLER_OUTPUT");
    });
  });
}

/** What the caller of a run is told. */
interface Told {
  readonly events: readonly { readonly event: string; readonly payload: object }[];
  readonly terminal: TerminalPayload | undefined;
}

/** Two gateways on a bucket in memory, whose clock the test owns, and an agent at work in real time. */
class Scene {
  readonly two = twoGateways();
  readonly asker = this.two.asker.process();

  /** What the caller is told of a run of this agent. */
  async told(handler: Handler, script: Script): Promise<Told> {
    const { record, polling } = await this.begin(handler, script);
    await drive(this.two.clock, polling);
    return this.ended(record);
  }

  /** Asks, and starts a pass of the gateway that was asked; `heard` resolves with the agent's first event. */
  async begin(handler: Handler, script: Script, more: Partial<Ask> = {}) {
    const record = await this.two.asks(this.asker, JSON.stringify(script), more);
    const heard = Promise.withResolvers<void>();
    const overheard: Handler = {
      run: (work, emit, signal) =>
        handler.run(work, (event) => emit(event).then(heard.resolve), signal),
    };
    const polling = poll(this.two.doer.process(), routes(overheard, { maxRunMs }));
    return { record, polling, heard: heard.promise };
  }

  async ended(record: OutboxRecord): Promise<Told> {
    const { frames, followed } = await readAll(this.two.clock, this.asker, record);
    const events = frames
      .map(({ event, payload }) => ({ event, payload }))
      .filter(({ event }) => event !== "started" && event !== "terminal");
    const terminal = followed.status === "closed" ? followed.terminal : undefined;
    return { events, terminal };
  }
}

function codesOf(terminal: TerminalPayload | undefined): string {
  return `${terminal?.status} ${terminal?.error?.code}`;
}

function textOf({ events }: Told): string {
  return events.map(({ payload }) => ("text" in payload ? String(payload.text) : "")).join("");
}
