import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { PosternError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { parseGatewayName, type GatewayName } from "../../src/base/names.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { quarantine, quarantineObject, strangersBucket } from "../../src/mailbox/quarantine.ts";
import { keyOf } from "../support/store-key.ts";
import { bytesAt, twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
let box: Mailbox;
beforeEach(() => {
  two = twoGateways();
  box = two.doer.process();
});

const error = new PosternError("SIGNATURE_INVALID", "made up by a test");
const megabyte = 1024 * 1024;

/** Keeps `count` refused objects of `size` bytes each; says how many were kept whole. */
async function refuse(from: GatewayName, count: number, size: number): Promise<number> {
  let kept = 0;
  for (let number = 0; number < count; number += 1) {
    const refused = { key: `${from}/${number}`, from, bytes: new Uint8Array(size), size, error };
    if ((await quarantine(box, refused)) === "kept") kept += 1;
  }
  return kept;
}

describe("an object that is refused", () => {
  const key = keyOf("doer/inbox/asker/x");

  it("is kept whole, and only then taken out of the store", async () => {
    two.store.plant(key, utf8("bytes"));
    await quarantineObject(box, key, {
      from: two.asker.name,
      bytes: utf8("bytes"),
      size: 5,
      error,
    });
    expect(two.doer.quarantined).toEqual([{ code: "SIGNATURE_INVALID", kept: true }]);
    expect(await bytesAt(two.store, key)).toBeUndefined();
  });

  it("that was never read is recorded and left in place", async () => {
    two.store.plant(key, utf8("bytes"));
    await quarantineObject(box, key, { from: two.asker.name, bytes: null, size: 5, error });
    expect(await bytesAt(two.store, key)).toEqual(utf8("bytes"));
  });

  it("that is met again with the same bytes is kept once, and taken out again", async () => {
    const refused = { from: two.asker.name, bytes: utf8("bytes"), size: 5, error };
    await quarantineObject(box, key, refused);
    two.store.plant(key, utf8("bytes"));
    await quarantineObject(box, key, refused);
    expect(two.doer.quarantined).toHaveLength(1);
    expect(await bytesAt(two.store, key)).toBeUndefined();
  });
});

describe("a budget", () => {
  it("of bytes is each peer's own: past it an object is left in place", async () => {
    const most = limits.quarantineBytesPerPeer / megabyte;
    two.doer.trusts(two.asker);
    two.doer.peers["other"] = two.doer.peers["asker"];
    delete two.doer.peers["asker"];
    const other = parseGatewayName("other");
    expect(await refuse(other, most + 2, megabyte)).toBe(most);
    expect(await refuse(two.asker.name, 1, megabyte)).toBe(1);

    const key = keyOf("doer/inbox/other/x");
    two.store.plant(key, utf8("more"));
    await quarantineObject(box, key, { from: other, bytes: new Uint8Array(4), size: 4, error });
    expect(await bytesAt(two.store, key)).toEqual(utf8("more"));
  });

  it("of entries holds for small objects", async () => {
    const most = limits.quarantineEntriesPerPeer;
    expect(await refuse(two.asker.name, most + 5, 1)).toBe(most);
  });

  it("is one for all strangers, whose names cost nothing", async () => {
    const most = limits.quarantineBytesPerPeer / megabyte;
    let kept = 0;
    for (let number = 0; number < most + 3; number += 1) {
      kept += await refuse(parseGatewayName(`stranger${number}`), 1, megabyte);
    }
    expect(kept).toBe(most);
    const buckets = [...two.doer.disk.content.quarantine.values()].map(({ bucket }) => bucket);
    expect(new Set(buckets)).toEqual(new Set([strangersBucket]));
    expect(await refuse(two.asker.name, 1, megabyte)).toBe(1);
  });
});
