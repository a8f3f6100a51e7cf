import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { PosternError } from "../../src/base/errors.ts";
import { stopReason, unlessStopped } from "../../src/handlers/stop.ts";
import { rejection, rejectionCode } from "../support/rejection.ts";

const never = (): Promise<never> => Promise.withResolvers<never>().promise;

describe("what is awaited unless there is a stop", () => {
  test("settles as it does", async () => {
    const { signal } = new AbortController();
    expect(await unlessStopped(Promise.resolve(7), signal)).toBe(7);
    const failure = new PosternError("HANDLER_FAILED", "out of paper");
    expect(await rejection(unlessStopped(Promise.reject(failure), signal))).toBe(failure);
  });

  test("rejects with the reason to stop, which may have been there before", async () => {
    const stop = new AbortController();
    const reason = new PosternError("DEADLINE", "too late");
    const waiting = rejection(unlessStopped(never(), stop.signal));
    stop.abort(reason);
    expect(await waiting).toBe(reason);
    expect(await rejection(unlessStopped(never(), stop.signal))).toBe(reason);
  });

  test("is left to itself then: its own failure is nobody's", async () => {
    const failing = Promise.withResolvers<never>();
    expect(await rejectionCode(unlessStopped(failing.promise, AbortSignal.abort()))).toBe(
      "CANCELLED",
    );
    // Vitest fails a run in which a rejection is left unhandled.
    failing.reject(new Error("nobody hears this"));
    await setImmediate();
  });
});

describe("the reason to stop", () => {
  test("is CANCELLED where none was given that has a code", () => {
    expect(stopReason(AbortSignal.abort(new Error("why not"))).code).toBe("CANCELLED");
  });
});
