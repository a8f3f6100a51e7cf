import { describe, expect, test } from "vitest";
import { parseAgentName, parseRunId } from "../../src/base/names.ts";
import { runPrinter, type RunPrinter } from "../../src/cli/run-printer.ts";
import type { PlacedFrame } from "../../src/mailbox/frame-reader.ts";
import type { FrameEvent, TerminalPayload } from "../../src/protocol/frame.ts";

const runId = parseRunId("a".repeat(52));

/** What a printer writes and notes. */
function printer(options: { json?: boolean; terminal?: boolean } = {}) {
  const said = { out: "", notes: [] as string[] };
  const printing: RunPrinter = runPrinter({
    runId,
    json: options.json ?? false,
    terminal: options.terminal ?? false,
    write: (text) => {
      said.out += text;
    },
    note: (text) => void said.notes.push(text),
  });
  return { said, printing };
}

function at(attempt: number, seq: number, event: FrameEvent): PlacedFrame {
  return { ...event, attempt, seq, at: 1000 };
}

function delta(attempt: number, seq: number, text: string): PlacedFrame {
  return at(attempt, seq, { event: "textDelta", payload: { text } });
}

function started(attempt: number): PlacedFrame {
  return at(attempt, 0, { event: "started", payload: { agent: parseAgentName("a"), attempt } });
}

const succeeded = (result?: TerminalPayload["result"]): TerminalPayload =>
  result === undefined ? { status: "succeeded" } : { status: "succeeded", result };

describe("a run for people", () => {
  test("is its text, piece by piece, and not the result again", () => {
    const { said, printing } = printer();
    printing.frame(started(1));
    printing.frame(delta(1, 1, "one "));
    expect(said.out).toBe("one ");
    printing.frame(delta(1, 2, "two"));
    printing.end(succeeded("one two"));
    expect(said).toEqual({ out: "one two", notes: [] });
  });

  test("ends its last line on a terminal", () => {
    const { said, printing } = printer({ terminal: true });
    printing.frame(delta(1, 1, "one"));
    printing.end(succeeded());
    expect(said.out).toBe("one\n");
  });

  test.each([
    ["a text as it is", "plain", "plain"],
    ["other JSON over several lines", { a: [1] }, '{\n  "a": [\n    1\n  ]\n}\n'],
  ])("without text is the result: %s", (_, result, expected) => {
    const { said, printing } = printer();
    printing.frame(started(1));
    printing.end(succeeded(result));
    expect(said).toEqual({ out: expected, notes: [] });
  });

  test("has its errors, and why it failed, on the other side", () => {
    const { said, printing } = printer();
    const payload = { code: "E_TOOL", message: "no luck", retryable: true };
    printing.frame(at(1, 1, { event: "error", payload }));
    printing.end({ status: "failed", error: { code: "HANDLER_FAILED", message: "gone" } });
    expect(said.out).toBe("");
    expect(said.notes).toEqual(["E_TOOL: no luck", "HANDLER_FAILED: the run ended failed: gone"]);
  });

  test("says when an attempt is abandoned, and starts over", () => {
    const { said, printing } = printer();
    printing.frame(delta(1, 1, "half"));
    printing.frame(started(2));
    expect(said.notes).toEqual([expect.stringContaining("attempt 1 was abandoned")]);
    printing.end(succeeded("whole"));
    expect(said.out).toBe("halfwhole");
  });

  test("begins silently at a later attempt", () => {
    const { said, printing } = printer();
    printing.frame(started(3));
    printing.end(succeeded());
    expect(said.notes).toEqual([]);
  });

  test("never carries escape codes to the terminal", () => {
    const { said, printing } = printer();
    printing.frame(delta(1, 1, "\u001b[2J\u202e"));
    printing.end(succeeded());
    expect(said.out).toBe(String.raw`\u{1b}[2J\u{202e}`);
  });
});

describe("a run as JSON", () => {
  test("is a line for each frame, with every field in its order", () => {
    const { said, printing } = printer({ json: true });
    printing.frame(started(1));
    printing.frame(delta(1, 1, "a\nb"));
    const lines = said.out.split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[0]).toBe(
      `{"runId":"${runId}","attempt":1,"seq":0,"event":"started","payload":{"agent":"a","attempt":1},"at":1000}`,
    );
    expect(JSON.parse(lines[1] ?? "")).toMatchObject({ seq: 1, payload: { text: "a\nb" } });
  });
});
