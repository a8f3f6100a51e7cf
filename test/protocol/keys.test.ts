import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { Point } from "@noble/ed25519";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toBase32, toBase64Url, utf8 } from "../../src/base/bytes.ts";
import {
  fingerprintOf,
  publicKeyFromBytes,
  signingKeyFromSeed,
  verifySignature,
} from "../../src/protocol/keys.ts";
import { codeOf } from "../base/code-of.ts";
import { concat } from "./mutations.ts";

function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

// RFC 8032 section 7.1: TEST 1, TEST 2, TEST 3 and TEST SHA(abc).
const vectors = [
  {
    seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    key: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    message: "",
    signature:
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  },
  {
    seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    key: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    message: "72",
    signature:
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  },
  {
    seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    key: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    message: "af82",
    signature:
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  },
  {
    seed: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
    key: "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    message: hex(new Uint8Array(createHash("sha512").update("abc").digest())),
    signature:
      "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
  },
];

describe("RFC 8032", () => {
  test.each(vectors)(
    "$key: key, signature and verification agree",
    ({ seed, key, message, signature }) => {
      const signing = signingKeyFromSeed(unhex(seed));
      expect(hex(signing.publicKey.bytes)).toBe(key);
      expect(hex(signing.sign(unhex(message)))).toBe(signature);
      expect(
        verifySignature(publicKeyFromBytes(unhex(key)), unhex(message), unhex(signature)),
      ).toBe(true);
    },
  );
});

const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
const prime = 2n ** 255n - 19n;

function littleEndian(value: bigint): Uint8Array {
  return unhex(value.toString(16).padStart(64, "0")).toReversed();
}

function fromLittleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${hex(Uint8Array.from(bytes).toReversed())}`);
}

/** A key whose secret scalar the test holds, so that it can make signatures that no honest signer makes. */
const seed = new Uint8Array(32).fill(7);
const honest = signingKeyFromSeed(seed);
const scalar = ((): bigint => {
  const half = new Uint8Array(createHash("sha512").update(seed).digest()).slice(0, 32);
  half[0] = (half[0] ?? 0) & 248;
  half[31] = ((half[31] ?? 0) & 127) | 64;
  return fromLittleEndian(half);
})();
const message = utf8("a message");

function challenge(r: Uint8Array, key: Uint8Array, said: Uint8Array): bigint {
  const digest = createHash("sha512").update(r).update(key).update(said).digest();
  return BigInt(`0x${hex(Uint8Array.from(digest).toReversed())}`) % order;
}

/** The signature with nonce `nonce` whose R is written as `r`. */
function crafted(
  r: Uint8Array,
  nonce: bigint,
  key: Uint8Array = honest.publicKey.bytes,
  said = message,
): Uint8Array {
  return concat(r, littleEndian((nonce + challenge(r, key, said) * scalar) % order));
}

const orderEight = Point.fromHex(
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
);
const smallOrder = Array.from({ length: 8 }, (_, times) => times).map((times) => {
  let point = Point.ZERO;
  for (let index = 0; index < times; index += 1) point = point.add(orderEight);
  return point;
});

/** Encodings of the points with small y that RFC 8032 does not allow: y not reduced, or x = 0 with a sign. */
const notCanonical = [
  littleEndian(prime),
  littleEndian(prime + 2n ** 255n),
  littleEndian(prime + 1n),
  littleEndian(prime + 1n + 2n ** 255n),
  littleEndian(1n + 2n ** 255n),
  littleEndian(prime - 1n + 2n ** 255n),
  littleEndian(prime + 3n),
  new Uint8Array(32).fill(0xff),
];

describe("vetting a public key", () => {
  test("there are eight points of small order, and none is a key", () => {
    const encodings = smallOrder.map((point) => hex(point.toBytes()));
    expect(new Set(encodings).size).toBe(8);
    expect(smallOrder.every((point) => point.isSmallOrder())).toBe(true);
    for (const encoding of encodings) {
      expect(
        codeOf(() => publicKeyFromBytes(unhex(encoding))),
        encoding,
      ).toBe("KEY_INVALID");
    }
  });

  test.each(notCanonical.map((bytes) => [hex(bytes), bytes] as const))(
    "refuses %s, which is not canonical",
    (_, bytes) => {
      expect(codeOf(() => publicKeyFromBytes(bytes))).toBe("KEY_INVALID");
    },
  );

  test("refuses what is no point of the curve, about half of all bytes", () => {
    const codes = Array.from({ length: 64 }, (_, y) =>
      codeOf(() => publicKeyFromBytes(littleEndian(BigInt(y + 2)))),
    );
    expect(new Set(codes)).toEqual(new Set(["accepted", "KEY_INVALID"]));
  });

  test.each([0, 31, 33, 64])("refuses %d bytes", (length) => {
    expect(codeOf(() => publicKeyFromBytes(new Uint8Array(length).fill(9)))).toBe("KEY_INVALID");
    expect(codeOf(() => signingKeyFromSeed(new Uint8Array(length).fill(9)))).toBe("KEY_INVALID");
  });

  test("keeps its own copy of the bytes", () => {
    const bytes = Uint8Array.from(honest.publicKey.bytes);
    const key = publicKeyFromBytes(bytes);
    bytes.fill(0);
    expect(key).toEqual(honest.publicKey);
    expect(verifySignature(key, message, honest.sign(message))).toBe(true);
  });
});

describe("verifying is strict", () => {
  const good = honest.sign(message);

  test("the crafted signatures below differ from a good one in one thing only", () => {
    expect(verifySignature(honest.publicKey, message, good)).toBe(true);
    expect(
      verifySignature(honest.publicKey, message, crafted(Point.BASE.multiply(5n).toBytes(), 5n)),
    ).toBe(true);
  });

  test("every bit of signature and message counts", () => {
    const accepted: number[] = [];
    for (let bit = 0; bit < 512; bit += 1) {
      const changed = Uint8Array.from(good);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (verifySignature(honest.publicKey, message, changed)) accepted.push(bit);
    }
    expect(accepted).toEqual([]);
    expect(verifySignature(honest.publicKey, utf8("b message"), good)).toBe(false);
  });

  test("S is below the order of the group", () => {
    const s = fromLittleEndian(good.slice(32));
    for (const times of [1n, 2n, 7n, 15n]) {
      const changed = concat(good.slice(0, 32), littleEndian(s + times * order));
      expect(verifySignature(honest.publicKey, message, changed), `S + ${times} L`).toBe(false);
    }
  });

  test("R is not of small order, also where the equation holds", () => {
    for (const point of smallOrder) {
      const r = point.toBytes();
      expect(verifySignature(honest.publicKey, message, crafted(r, 0n)), hex(r)).toBe(false);
    }
  });

  test("R is canonical", () => {
    for (const r of notCanonical) {
      expect(verifySignature(honest.publicKey, message, crafted(r, 0n)), hex(r)).toBe(false);
    }
  });

  test("R with a part of small order does not verify: the equation has no cofactor", () => {
    for (const point of smallOrder.slice(1)) {
      const r = Point.BASE.multiply(5n).add(point).toBytes();
      expect(verifySignature(honest.publicKey, message, crafted(r, 5n)), hex(r)).toBe(false);
    }
  });

  test("under a key with a part of small order, only what holds without the cofactor verifies", () => {
    const mixed = publicKeyFromBytes(
      Point.fromBytes(honest.publicKey.bytes).add(orderEight).toBytes(),
    );
    const r = Point.BASE.multiply(5n).toBytes();
    const results = Array.from({ length: 40 }, (_, index) => {
      const said = utf8(`message ${index}`);
      const cancels = challenge(r, mixed.bytes, said) % 8n === 0n;
      return { cancels, verifies: verifySignature(mixed, said, crafted(r, 5n, mixed.bytes, said)) };
    });
    expect(results.some(({ cancels }) => cancels)).toBe(true);
    expect(results.filter(({ cancels, verifies }) => cancels !== verifies)).toEqual([]);
  });

  test.each([0, 32, 63, 65, 128])("a signature of %d bytes is none", (length) => {
    const wrong = new Uint8Array(length);
    wrong.set(good.subarray(0, length));
    expect(verifySignature(honest.publicKey, message, wrong)).toBe(false);
  });

  test("a key that nobody vetted verifies nothing", () => {
    const forged = { ...honest.publicKey };
    expect(codeOf(() => verifySignature(forged, message, good))).toBe("KEY_INVALID");
  });

  test("whatever is signed verifies under its own key and no other", () => {
    const other = signingKeyFromSeed(new Uint8Array(32).fill(8)).publicKey;
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ maxLength: 200 }),
        (secret, said) => {
          const key = signingKeyFromSeed(secret);
          const signature = key.sign(said);
          expect(verifySignature(key.publicKey, said, signature)).toBe(true);
          expect(verifySignature(other, said, signature)).toBe(false);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe("a key's names", () => {
  const key = publicKeyFromBytes(unhex(vectors[0]?.key ?? ""));

  test("the thumbprint is SHA-256 over {1: 1, -1: 6, -2: x} (RFC 9679)", () => {
    const required = concat(unhex("a301012006215820"), key.bytes);
    expect(key.thumbprint).toEqual(new Uint8Array(createHash("sha256").update(required).digest()));
    expect(hex(key.thumbprint)).toBe(
      "866eefbd6718c8846cd7ddfe43fc74ab1daac4538ff8514ea2ec2d410a415743",
    );
  });

  test("the kid is the thumbprint in base32, the fingerprint thirteen groups of it", () => {
    expect(key.kid).toBe(toBase32(key.thumbprint));
    expect(key.kid).toBe("qzxo7plhddeii3gx3x7eh7duvmo2vrctr74fctvc5qwuccsbk5bq");
    expect(fingerprintOf(key)).toMatch(/^(?:[a-z2-7]{4}-){12}[a-z2-7]{4}$/);
    expect(fingerprintOf(key).replaceAll("-", "")).toBe(key.kid);
  });
});

describe("a signing key keeps its secret", () => {
  const secret = Uint8Array.from({ length: 32 }, (_, index) => 200 - index);
  const key = signingKeyFromSeed(secret);

  test("from everything that prints or serialises it", () => {
    const shown = [
      inspect(key, { showHidden: true, depth: 10, getters: true, maxArrayLength: null }),
      JSON.stringify(key),
      JSON.stringify(Object.getOwnPropertyDescriptors(key)),
    ].join("\n");
    for (const form of [
      hex(secret),
      toBase64Url(secret),
      Buffer.from(secret).toString("base64"),
      toBase32(secret),
    ]) {
      expect(shown).not.toContain(form);
    }
    expect(shown.replaceAll(/[^0-9]+/g, ",")).not.toContain("200,199,198,197");
    expect(Reflect.ownKeys(key)).toEqual(["publicKey"]);
  });

  test("and does not depend on the seed's array afterwards", () => {
    const own = Uint8Array.from(secret);
    const kept = signingKeyFromSeed(own);
    own.fill(0);
    expect(kept.sign(message)).toEqual(key.sign(message));
  });
});
