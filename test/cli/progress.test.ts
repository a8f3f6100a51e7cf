import { beforeEach, describe, expect, test } from "vitest";
import { parseAgentName, parseGatewayName } from "../../src/base/names.ts";
import { after, ProgressPrinter, progressText, type Standing } from "../../src/cli/progress.ts";
import type { RunPrinter } from "../../src/cli/run-printer.ts";
import { StatusLine } from "../../src/cli/status-line.ts";
import type { PlacedFrame } from "../../src/mailbox/frame-reader.ts";
import type { FrameEvent } from "../../src/protocol/frame.ts";
import { SteppedClock } from "../support/stepped-clock.ts";
import { pairInFolder } from "./support/stores.ts";
import { hasTerminal } from "./support/terminal.ts";

const callee = parseGatewayName("lab");
const erase = "\r\u001b[K";

function frame(event: FrameEvent): PlacedFrame {
  return { ...event, attempt: 1, seq: 0, at: 0 };
}

const started = frame({
  event: "started",
  payload: { agent: parseAgentName("a"), attempt: 1 },
});
const toolCall = (name: string): PlacedFrame =>
  frame({ event: "toolCall", payload: { id: "1", name, input: {} } });
const tokens = (totalTokens: number): PlacedFrame =>
  frame({ event: "tokenUsage", payload: { inputTokens: 0, outputTokens: 0, totalTokens } });

describe("how far a run is", () => {
  const told = (...frames: readonly PlacedFrame[]): string =>
    progressText(frames.reduce<Standing>(after, { callee }), 12_345);

  test.each([
    ["waiting, until it starts", [], "waiting for lab... 12s"],
    ["running", [started], "lab is running it... 12s"],
    [
      "running, with the tools it called",
      [started, toolCall("df"), toolCall("du")],
      "lab is running it, 2 tool calls (du)... 12s",
    ],
    [
      "running, with the tokens it used in all",
      [started, toolCall("df"), tokens(1000), tokens(1204)],
      "lab is running it, 1 tool call (df), 1,204 tokens... 12s",
    ],
    [
      "begun anew, when another attempt starts",
      [started, toolCall("df"), tokens(7), started],
      "lab is running it... 12s",
    ],
  ])("is %s", (_, frames, expected) => {
    expect(told(...frames)).toBe(expected);
  });

  test("is told in minutes once it takes that long", () => {
    expect(progressText({ callee }, 125_000)).toBe("waiting for lab... 2m 5s");
  });
});

describe("a status line", () => {
  let output: string;
  let line: StatusLine;
  beforeEach(() => {
    output = "";
    line = new StatusLine(
      (text) => {
        output += text;
      },
      () => 20,
    );
  });

  test("takes the place of the one before, and goes once", () => {
    line.show("one");
    line.show("two");
    line.clear();
    line.clear();
    expect(output).toBe(`\rone\u001b[K\rtwo\u001b[K${erase}`);
  });

  test("never carries escape codes to the terminal, nor a line end", () => {
    line.show("\u001b[2J\n");
    expect(output).toBe(`\r${String.raw`\u{1b}[2J\u{a}`}\u001b[K`);
  });

  test("never reaches the edge, where it would wrap", () => {
    line.show("x".repeat(30));
    expect(output).toBe(`\r${"x".repeat(19)}\u001b[K`);
    output = "";
    line.show("語".repeat(30));
    expect(output).toBe(`\r${"語".repeat(9)}\u001b[K`);
  });
});

describe("a printer with progress", () => {
  let clock: SteppedClock;
  let output: string;
  let midLine: boolean;
  let progress: ProgressPrinter;
  beforeEach(() => {
    clock = new SteppedClock();
    output = "";
    midLine = false;
    const line = new StatusLine(
      (text) => {
        output += text;
      },
      () => 80,
    );
    const printer: RunPrinter = {
      get midLine() {
        return midLine;
      },
      frame: ({ event }) => {
        line.clear();
        output += `<${event}>`;
      },
      end: () => {
        output += "<end>";
      },
    };
    progress = new ProgressPrinter(printer, { callee, clock, line });
  });

  test("says nothing of what comes within a second", async () => {
    await clock.advance(999);
    progress.end({ status: "succeeded" });
    await clock.advance(5000);
    expect(output).toBe("<end>");
  });

  test("tells every second how far it is, until something is printed", async () => {
    await clock.advance(2000);
    progress.frame(started);
    await clock.advance(1000);
    progress.end({ status: "succeeded" });
    await clock.advance(5000);
    const lines = ["waiting for lab... 1s", "waiting for lab... 2s"].map(
      (text) => `\r${text}\u001b[K`,
    );
    const running = `\rlab is running it... 3s\u001b[K`;
    expect(output).toBe(`${lines.join("")}${erase}<started>${running}${erase}<end>`);
  });

  test("leaves a text alone whose line has not ended", async () => {
    midLine = true;
    await clock.advance(3000);
    expect(output).toBe("");
    midLine = false;
    await clock.advance(1000);
    expect(output).toBe(`\rwaiting for lab... 4s\u001b[K`);
  });

  test("takes its line away when it is done with, however the waiting ends", async () => {
    await clock.advance(1000);
    progress[Symbol.dispose]();
    await clock.advance(5000);
    expect(output).toBe(`\rwaiting for lab... 1s\u001b[K${erase}`);
  });
});

describe("a call at a terminal", () => {
  const ask = ["call", "eu-lab/echo", "--idempotency-key", "k", "--prompt", "hold"];

  test.skipIf(!hasTerminal)("shows how far it is, and in the end only the answer", async () => {
    const pair = await pairInFolder();
    pair.hold();
    const call = pair.user.atTerminal([...ask, "--home", pair.caller]);
    await call.sees("waiting for eu-lab... ");
    const poll = pair.start(pair.callee, ["poll"]);
    await call.sees("eu-lab is running it... ");
    pair.release();
    expect(await call.ended).toBe(0);
    expect(await poll.ended).toMatchObject({ status: 0 });
    // eslint-disable-next-line no-control-regex
    const left = call.seen().replaceAll(/\r[^\r\n]*\u001B\[K/g, "");
    expect(left).toBe("begun\r\nreleased\r\n");
    pair.remove();
  });

  test.skipIf(!hasTerminal)("shows nothing of it with --json", async () => {
    const pair = await pairInFolder();
    const call = pair.user.atTerminal([...ask, "--home", pair.caller, "--json", "--timeout", "3s"]);
    expect(await call.ended).toBe(75);
    expect(call.seen()).not.toContain("waiting for");
    expect(call.seen()).toContain("WAIT_TIMEOUT");
    pair.remove();
  });
});
