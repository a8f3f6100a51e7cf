import { describe, expect, test } from "vitest";
import { PosternError, type ErrorCode } from "../../src/base/errors.ts";
import { terminalStatuses } from "../../src/protocol/frame.ts";
import { exitStatusOf, exitStatusOfTerminal } from "../../src/cli/exit-status.ts";

describe("the exit status of a failure", () => {
  const examples: readonly (readonly [ErrorCode, number])[] = [
    ["NOT_GRANTED", 1],
    ["HANDLER_FAILED", 1],
    ["USAGE", 2],
    ["CONFIG_INVALID", 2],
    ["STATE_FULL", 2],
    ["STORE_UNREACHABLE", 3],
    ["STORE_DENIED", 3],
    ["SIGNATURE_INVALID", 4],
    ["TRUST_EXPIRED", 4],
    ["IDEMPOTENCY_CONFLICT", 5],
    ["INTERNAL", 70],
    ["PASS_RUNNING", 75],
    ["WAIT_TIMEOUT", 75],
  ];

  test.each(examples)("of %s is %d", (code, status) => {
    expect(exitStatusOf(new PosternError(code, "said so"))).toBe(status);
  });
});

describe("the exit status of a run that was followed to its end", () => {
  test("is 0 for success alone", () => {
    const statuses = terminalStatuses.map((status) => [status, exitStatusOfTerminal({ status })]);
    expect(statuses).toEqual(
      terminalStatuses.map((status) => [status, status === "succeeded" ? 0 : 1]),
    );
  });

  test("is 5 when the callee refused the key for another request", () => {
    const error = { code: "IDEMPOTENCY_CONFLICT", message: "another request has this key" };
    expect(exitStatusOfTerminal({ status: "refused", error })).toBe(5);
  });

  test("is 1 when a handler only calls its failure a conflict", () => {
    const error = { code: "IDEMPOTENCY_CONFLICT", message: "made up" };
    expect(exitStatusOfTerminal({ status: "failed", error })).toBe(1);
  });
});
