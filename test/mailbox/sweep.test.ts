import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import type { RunId } from "../../src/base/names.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { ensureOwner } from "../../src/mailbox/owner.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import {
  nothingSwept,
  sweepCancels,
  sweepFrames,
  sweepOwnerKeys,
  sweepProbes,
  type Swept,
} from "../../src/mailbox/sweep.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import { digestOf, runOf } from "../support/receipts.ts";
import {
  codeOf,
  pass,
  readAll,
  sayer,
  twoGateways,
  type TwoGateways,
} from "../support/two-gateways.ts";

let two: TwoGateways;
let asker: Mailbox;
beforeEach(() => {
  two = twoGateways();
  asker = two.asker.process();
});

function plantUnknown(runId: RunId = runOf("a")): string {
  const place = { to: two.asker.name, from: two.doer.name, attempt: 1, seq: 0 };
  const key = objectKey({ kind: "frames", ...place, runId, digest16: digest16Of(digestOf("a")) });
  two.store.plant(key, utf8("x"));
  return key;
}

const swept = (some: Partial<Swept>): Swept => ({ ...nothingSwept(), ...some });

async function framesLeft(): Promise<readonly string[]> {
  const { entries } = await two.store.list({ prefix: "asker/frames/", limit: 10 });
  return entries.map(({ key }) => key);
}

describe("sweeping frames", () => {
  it("deletes those that answer a closed run again, and not those of an open one", async () => {
    const closed = await two.asks(asker, "closed", { idempotencyKey: "closed" });
    await pass(two.clock, two.doer.process(), sayer("text"));
    await readAll(two.clock, asker, closed);
    expect(await framesLeft()).toEqual([]);
    // The very request comes again, as a lost response brings it about, and is answered again.
    two.store.plant(closed.key, closed.envelope);
    const open = await two.asks(asker, "open", { idempotencyKey: "open" });
    await pass(two.clock, two.doer.process(), sayer("text"));
    expect(await framesLeft()).toHaveLength(2);

    expect(await sweepFrames(asker, { dryRun: true })).toEqual(swept({ answeredFrames: 1 }));
    expect(await framesLeft()).toHaveLength(2);
    expect(await sweepFrames(asker)).toEqual(swept({ answeredFrames: 1 }));
    const [left, ...more] = await framesLeft();
    expect(left).toContain(open.runId);
    expect(more).toEqual([]);
  });

  it("makes sure that a transcript outlasts the machine's power before its frames go", async () => {
    const record = await two.asks(asker, "hi");
    await pass(two.clock, two.doer.process(), sayer("text"));
    asker.state.sync = () => Promise.reject(new PosternError("STATE_BUSY", "made up by a test"));
    await readAll(two.clock, asker, record);
    expect(await framesLeft()).toHaveLength(1);
    expect(await sweepFrames(two.asker.process())).toMatchObject({ answeredFrames: 1 });
    two.asker.disk.losePower();
    expect(two.asker.outbox).toMatchObject([{ state: "closed" }]);
  });

  it("reports and leaves those of unknown runs, and names that no rule makes", async () => {
    plantUnknown();
    two.store.plant("asker/frames/junk", utf8("x"));
    two.clock.jump(limits.retentionMs + limits.skewMs);
    expect(await sweepFrames(asker)).toEqual(swept({ leftFrames: 2 }));
    expect(two.asker.reports).toHaveLength(1);
    expect(await framesLeft()).toHaveLength(2);
  });

  it("deletes those of unknown runs once retention has passed, and junk never", async () => {
    plantUnknown();
    two.store.plant("asker/frames/junk", utf8("x"));
    two.clock.jump(limits.retentionMs + limits.skewMs + 1);
    expect(await sweepFrames(asker, { dryRun: true })).toEqual(
      swept({ unknownFrames: 1, leftFrames: 1 }),
    );
    expect(await framesLeft()).toHaveLength(2);
    expect(await sweepFrames(asker)).toEqual(swept({ unknownFrames: 1, leftFrames: 1 }));
    expect(await framesLeft()).toEqual(["asker/frames/junk"]);
  });

  it("leaves them under a clock that is behind", async () => {
    plantUnknown();
    two.clock.jump(2 * limits.retentionMs);
    await asker.state.notePass({ atMs: 1, code: null });
    two.clock.jump(-1);
    expect(await sweepFrames(asker)).toEqual(swept({ leftFrames: 1 }));
  });

  it("leaves them to the state that serves the name: STATE_ELSEWHERE", async () => {
    const other = { ...two.asker.process(), state: two.doer.process().state };
    await ensureOwner(other);
    plantUnknown();
    two.clock.jump(2 * limits.retentionMs);
    expect(await codeOf(two.clock, sweepFrames(asker, { dryRun: true }))).toBe("STATE_ELSEWHERE");
    expect((await asker.state.owner()).elsewhere).toBe(false);
    expect(await codeOf(two.clock, sweepFrames(asker))).toBe("STATE_ELSEWHERE");
    expect(await framesLeft()).toHaveLength(1);
  });

  it("goes on to the end, or for as many pages as it is told", async () => {
    for (let number = 0; number <= limits.listPageKeys; number += 1)
      two.store.plant(`asker/frames/junk-${number}`, utf8("x"));
    expect((await sweepFrames(asker, { maxPages: 1 })).leftFrames).toBe(limits.listPageKeys);
    expect((await sweepFrames(asker)).leftFrames).toBe(limits.listPageKeys + 1);
    expect((await sweepFrames(asker, { signal: AbortSignal.abort() })).leftFrames).toBe(0);
  });
});

describe("sweeping cancels", () => {
  it("deletes what has nothing left to stop, and no request", async () => {
    const doer = two.doer.process();
    const ended = await two.asks(asker, "ended", { idempotencyKey: "ended" });
    await pass(two.clock, doer, sayer());
    await cancelRun(asker, ended.runId);
    const waits = await two.asks(asker, "waits", { idempotencyKey: "waits" });
    await cancelRun(asker, waits.runId);
    expect(await sweepCancels(doer, { dryRun: true })).toEqual(swept({ cancels: 1 }));
    expect(await two.keys("doer/inbox/")).toHaveLength(3);
    expect(await sweepCancels(doer)).toEqual(swept({ cancels: 1 }));
    const left = await two.keys("doer/inbox/");
    expect(left).toHaveLength(2);
    expect(left.every((key) => key.includes(waits.runId))).toBe(true);
    two.clock.jump(limits.maxTtlMs + 3 * limits.skewMs + 1);
    expect(await sweepCancels(doer)).toEqual(swept({ cancels: 1 }));
    expect(await two.keys("doer/inbox/")).toEqual([waits.key]);
  });
});

describe("sweeping probes", () => {
  it("deletes own ones that are left over, and nobody else's", async () => {
    const id = "a".repeat(26);
    for (const key of [`asker/probe/${id}`, "asker/probe/junk", `doer/probe/${id}`])
      two.store.plant(key, utf8("x"));
    two.clock.jump(limits.staleProbeMs + limits.skewMs);
    expect(await sweepProbes(asker)).toEqual(swept({}));
    two.clock.jump(1);
    expect(await sweepProbes(asker, { dryRun: true })).toEqual(swept({ probes: 1 }));
    expect(await sweepProbes(asker)).toEqual(swept({ probes: 1 }));
    const { entries } = await two.store.list({ prefix: "", limit: 10 });
    expect(entries.map(({ key }) => key)).toEqual(["asker/probe/junk", `doer/probe/${id}`]);
  });
});

describe("what fails at one object alone", () => {
  const probe = (letter: string): string => `asker/probe/${letter.repeat(26)}`;
  const probes = ["a", "b", "c", "d"].map(probe);
  let counted: Swept;
  beforeEach(() => {
    counted = nothingSwept();
    for (const key of probes) two.store.plant(key, utf8("x"));
    two.clock.jump(2 * limits.staleProbeMs);
  });

  /** What a sweep of the probes ends with; what it counted is in `counted`. */
  const sweptProbes = (): Promise<string> => codeOf(two.clock, sweepProbes(asker, {}, counted));

  it.each([
    ["STORE_DENIED", "STORE_DENIED"],
    ["STORE_UNREACHABLE", "STORE_FAILED"],
  ] as const)(
    "%s keeps no other from being deleted, and is told at the end",
    async (code, told) => {
      two.asker.trouble = ({ operation, name }) => {
        if (operation !== "delete") return undefined;
        if (name === probe("a")) return { when: "before", code };
        return name === probe("c") ? { when: "before", code: "STORE_READ_ONLY" } : undefined;
      };
      expect(await sweptProbes()).toBe(told);
      expect(counted).toEqual(swept({ probes: 2 }));
      expect(await two.keys("asker/probe/")).toEqual([probe("a"), probe("c")]);
    },
  );

  it("is not counted where its deletion is only not known of", async () => {
    two.asker.trouble = ({ operation }) =>
      operation === "delete" ? { when: "after", code: "STORE_UNREACHABLE" } : undefined;
    expect(await sweptProbes()).toBe("STORE_FAILED");
    expect(counted).toEqual(swept({}));
    expect(await two.keys("asker/probe/")).toEqual([]);
  });

  it("keeps no other from being read", async () => {
    for (let claims = 0; claims < limits.keptOwnerKeys + 3; claims += 1) {
      two.clock.jump(limits.ownerClaimMs);
      await ensureOwner(asker);
    }
    two.asker.trouble = ({ operation }) =>
      operation === "delete" ? { when: "before", code: "STORE_DENIED" } : undefined;
    two.clock.jump(limits.ownerClaimMs);
    await ensureOwner(asker);
    two.clock.jump(limits.ownerClaimMs);
    await ensureOwner(asker);
    const before = await two.keys("asker/owner/");
    two.asker.trouble = ({ operation, name }) =>
      operation === "get" && name === before[0]
        ? { when: "before", code: "STORE_DENIED" }
        : undefined;
    const { generation } = await asker.state.owner();
    const ended = sweepOwnerKeys(asker, generation, {}, counted);
    expect(await codeOf(two.clock, ended)).toBe("STORE_DENIED");
    expect(counted).toEqual(swept({ ownerKeys: 1 }));
    expect(await two.keys("asker/owner/")).toEqual(before.filter((_, place) => place !== 1));
  });

  it("ends the sweep once it has taken too long", async () => {
    let tries = 0;
    two.asker.trouble = ({ operation }) => {
      if (operation !== "delete") return undefined;
      tries += 1;
      two.clock.jump(limits.sweepFailuresMs / 2);
      return tries > 1 ? { when: "before", code: "STORE_DENIED" } : undefined;
    };
    expect(await sweptProbes()).toBe("STORE_DENIED");
    expect([tries, counted]).toEqual([3, swept({ probes: 1 })]);
  });

  it("is told from a store that is away, which ends the sweep at once", async () => {
    let deleted = 0;
    two.asker.trouble = ({ operation }) => {
      if (operation === "delete") deleted += 1;
      return deleted > 1 ? { when: "before", code: "STORE_UNREACHABLE" } : undefined;
    };
    expect(await sweptProbes()).toBe("STORE_UNREACHABLE");
    expect([deleted, counted]).toEqual([2, swept({ probes: 1 })]);
  });

  it("hides nothing of the frames that are left in place", async () => {
    const key = plantUnknown();
    two.store.plant("asker/frames/junk", utf8("x"));
    two.clock.jump(2 * limits.retentionMs);
    two.asker.trouble = ({ name }) =>
      name === key ? { when: "before", code: "STORE_DENIED" } : undefined;
    expect(await codeOf(two.clock, sweepFrames(asker, {}, counted))).toBe("STORE_DENIED");
    expect([counted, two.asker.reports.length]).toEqual([swept({ leftFrames: 1 }), 1]);
  });
});
