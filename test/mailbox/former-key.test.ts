import { beforeEach, describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { formerKeyOf } from "../../src/mailbox/former-key.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { ensureOwner } from "../../src/mailbox/owner.ts";
import { signEnvelope } from "../../src/protocol/envelope.ts";
import { signingKeyFromSeed } from "../../src/protocol/keys.ts";
import { objectKey } from "../../src/protocol/object-key.ts";
import { encodeOwner } from "../../src/protocol/owner.ts";
import { twoGateways, type TwoGateways } from "../support/two-gateways.ts";

let two: TwoGateways;
let box: Mailbox;
beforeEach(() => {
  two = twoGateways();
  box = two.doer.process();
});

const otherKey = signingKeyFromSeed(new Uint8Array(32).fill(7));

/** The same state in a home whose key was replaced. */
function withOtherKey(): Mailbox {
  return { ...box, signingKey: otherKey };
}

describe("a former key", () => {
  it("there is none before the first claim, nor while all claims are by the key that signs now", async () => {
    expect(await formerKeyOf(box)).toBeUndefined();
    await ensureOwner(box);
    expect(await formerKeyOf(box)).toBeUndefined();
  });

  it("is found once the key was replaced, however many claims came after", async () => {
    await ensureOwner(box);
    const kid = box.signingKey.publicKey.kid;
    expect(await formerKeyOf(withOtherKey())).toBe(kid);
    for (let hours = 0; hours < 3; hours += 1) {
      two.clock.jump(limits.ownerClaimMs);
      await ensureOwner(withOtherKey());
      expect(await formerKeyOf(withOtherKey())).toBe(kid);
    }
  });

  it("is found by the oldest claim that still stands", async () => {
    await ensureOwner(withOtherKey());
    two.clock.jump(limits.ownerClaimMs);
    await ensureOwner(box);
    expect(await formerKeyOf(withOtherKey())).toBeUndefined();
    const [first] = await two.keys(`${two.doer.name}/owner/`);
    if (first === undefined) throw new Error("there is no claim");
    await two.store.delete(first);
    expect(await formerKeyOf(withOtherKey())).toBe(box.signingKey.publicKey.kid);
  });

  it("is not believed of claims that this state did not make, and of junk", async () => {
    const key = objectKey({ kind: "owner", gateway: two.doer.name, generation: 1 });
    const claim = encodeOwner({ generation: 1, nonce: "a".repeat(26) });
    const claims = { iss: two.doer.name, iat: 0 };
    const { realm } = box;
    for (const bytes of [
      signEnvelope("owner", claims, claim, otherKey, { realm, key }),
      utf8("junk"),
    ]) {
      await two.store.put(key, bytes);
      expect(await formerKeyOf(box)).toBeUndefined();
      await two.store.delete(key);
    }
  });
});
