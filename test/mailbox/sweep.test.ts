import { beforeEach, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { sweepFrames } from "../../src/mailbox/sweep.ts";
import { digest16Of, objectKey } from "../../src/protocol/object-key.ts";
import { digestOf, runOf } from "../support/receipts.ts";
import { pass, readAll, sayer, twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
beforeEach(() => {
  two = twoGateways();
});

it("frames that answer a closed run again are deleted, those of an open one are not", async () => {
  const asker = two.asker.process();
  const closed = await two.asks(asker, "closed", { idempotencyKey: "closed" });
  await pass(two.clock, two.doer.process(), sayer("text"));
  await readAll(two.clock, asker, closed);
  expect(await two.keys("asker/frames/")).toEqual([]);
  // The very request comes again, as a lost response brings it about, and is answered again.
  two.store.plant(closed.key, closed.envelope);
  const open = await two.asks(asker, "open", { idempotencyKey: "open" });
  await pass(two.clock, two.doer.process(), sayer("text"));
  expect(await two.keys("asker/frames/")).toHaveLength(2);

  expect(await sweepFrames(asker)).toBe(1);
  const [left, ...more] = await two.keys("asker/frames/");
  expect(left).toContain(open.runId);
  expect(more).toEqual([]);
});

it("frames of unknown runs, and names that no rule makes, are reported and left", async () => {
  const place = {
    kind: "frames",
    to: two.asker.name,
    from: two.doer.name,
    runId: runOf("a"),
    digest16: digest16Of(digestOf("a")),
    attempt: 1,
    seq: 0,
  } as const;
  two.store.plant(objectKey(place), utf8("x"));
  two.store.plant("asker/frames/junk", utf8("x"));
  expect(await sweepFrames(two.asker.process())).toBe(0);
  expect(two.asker.reports).toHaveLength(1);
  expect((await two.store.list({ prefix: "asker/", limit: 10 })).entries).toHaveLength(2);
});
