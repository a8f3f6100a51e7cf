import { describe, expect, test } from "vitest";
import { CLIError, ExitError } from "@oclif/core/errors";
import { PosternError } from "../../src/base/errors.ts";
import { failureOf } from "../../src/cli/run.ts";

describe("what a failed command ends with", () => {
  test("is the status of the error's class and one plain line", () => {
    const failure = failureOf(new PosternError("STORE_DENIED", "no way: look at the policy"));
    expect(failure).toEqual({ status: 3, report: "STORE_DENIED: no way: look at the policy" });
  });

  test("is 2 for wrong usage, without colours", () => {
    const failure = failureOf(new CLIError("Nonexistent flag: \u001b[31m--nope\u001b[39m"));
    expect(failure).toEqual({ status: 2, report: "USAGE: Nonexistent flag: --nope" });
  });

  test("is 2 for an unknown command, whatever status a plugin chose", () => {
    expect(failureOf(new CLIError("command nope not found", { exit: 127 })).status).toBe(2);
  });

  test("is the status that the command exited with, and silence", () => {
    expect(failureOf(new ExitError(75))).toEqual({ status: 75 });
  });

  test("is 70 with a stack for a fault of the program", () => {
    const failure = failureOf(new TypeError("x is not a function"));
    expect(failure.status).toBe(70);
    expect(failure.report).toMatch(/^INTERNAL: .*x is not a function\nTypeError: .*\n +at /);
  });

  test("is 70 for a module that cannot be loaded", () => {
    const missing = new CLIError("[MODULE_NOT_FOUND] nope", { exit: 1, code: "MODULE_NOT_FOUND" });
    expect(failureOf(missing).status).toBe(70);
  });

  test("is 70 for what is no error at all", () => {
    expect(failureOf("thrown text")).toMatchObject({ status: 70 });
  });
});
