import { describe, expect, it } from "vitest";
import { screenText } from "../../../src/cli/status/screen.ts";
import type { StatusView } from "../../../src/cli/status/view.ts";
import { ageOf, healthy } from "./samples.ts";

/** What stands beside a name at the beginning of a line. */
function line(change: Partial<StatusView>, name: string): string | undefined {
  const text = screenText({ ...healthy, attention: [], ...change });
  return text
    .split("\n")
    .find((one) => one.startsWith(`${name} `))
    ?.slice(name.length)
    .trim();
}

describe("the screen", () => {
  it("says in a line each how things stand", () => {
    const names = ["pass", "inbox", "received", "asked", "owner", "trust", "attention"];
    expect(names.map((name) => line({}, name))).toEqual([
      "went well 30s ago",
      "2 waiting, the oldest for 5s",
      "1 admitted, 2 running, 3 to be published, the oldest for 1m",
      "4 open, 0 unknown, the oldest for 1m",
      "this state, generation 7, claimed 20m ago",
      "version 3, expires in 365d",
      "nothing needs any",
    ]);
  });

  it("says what is wrong, with its code", () => {
    const store = { ...healthy.store, reached: false, code: "STORE_DENIED", message: "m" };
    const passes = { last: { ...ageOf(1), code: "STORE_BUSY" }, lastGood: ageOf(86_400) };
    const trust = { version: null, expiresAt: null, expiresInSeconds: null, code: "TRUST_INVALID" };
    const change = { store, passes, trust, inbox: null };
    expect(["store", "pass", "inbox", "trust"].map((name) => line(change, name))).toEqual([
      "file:///store, STORE_DENIED",
      "failed 1s ago (STORE_BUSY); the last good one 1d ago",
      "not looked at",
      "cannot be used: TRUST_INVALID",
    ]);
  });

  it("stays one, whatever there is to tell", () => {
    const many = Array.from({ length: 1000 }, (_, number) => `peer-${number}`);
    const troubles = many.map((peer) => ({ peer, code: "C", message: "m", ...ageOf(1) }));
    const latest = { ...ageOf(1), code: "C" };
    const quarantine = many.map((sender) => ({
      sender,
      entries: 1,
      bytes: 1,
      released: 0,
      latest,
    }));
    const senders = many.map((sender) => ({ sender, waiting: 1, oldest: ageOf(1) }));
    const inbox = { waiting: 1000, complete: false, oldest: ageOf(1), senders };
    const text = screenText({ ...healthy, troubles, quarantine, inbox, attention: [] });
    expect(text.split("\n").length).toBeLessThan(50);
    expect(text.match(/and 990 more/g)).toHaveLength(3);
    expect(text).toContain("1000 or more waiting");
  });
});
