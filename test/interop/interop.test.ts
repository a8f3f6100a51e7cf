import { randomInt } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { decodeCbor, encodeCbor } from "../../src/protocol/cbor.ts";
import { codeOf } from "../base/code-of.ts";
import { mutantsOf } from "../protocol/mutations.ts";
import { cborValues, envelopeSamples, realm } from "../protocol/samples.ts";
import { openEnvelope, rewritePayload, vectorsFolder } from "../protocol/vectors.ts";
import { exchangeSchema, makeExchange, readExchange } from "./exchange.ts";
import { prepareInterop } from "./python.ts";

const seconds = 1000;
const prepared = await prepareInterop();
const reason = "missing" in prepared ? prepared.missing : undefined;
if (reason !== undefined) {
  process.stdout.write(`\nINTEROP SKIPPED: the other implementation cannot run here: ${reason}\n`);
}

function interop() {
  if ("missing" in prepared) throw new Error(prepared.missing);
  return prepared;
}

test("where CI is set, the other implementation runs", () => {
  const mayBeMissing = (process.env["CI"] ?? "") === "";
  expect(mayBeMissing ? undefined : reason).toBeUndefined();
});

describe.skipIf(reason !== undefined)(
  "an implementation in another language",
  { timeout: 120 * seconds },
  () => {
    const vectors = fileURLToPath(vectorsFolder);
    let folder = "";

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "postern-interop-"));
    });

    afterAll(async () => {
      await rm(folder, { recursive: true, force: true });
    });

    test("passes all vectors", async () => {
      const said = await interop().run(["check", vectors]);
      const { checked } = z.object({ checked: z.int() }).parse(JSON.parse(said));
      expect(checked).toBeGreaterThan(700);
    });

    test("makes the vectors as they are checked in, byte for byte", async () => {
      await interop().run(["vectors", folder]);
      const names = (await readdir(vectors)).toSorted();
      expect(names.length).toBeGreaterThan(10);
      for (const name of names) {
        const [kept, made] = await Promise.all(
          [vectors, folder].map((where) => readFile(join(where, name), "utf8")),
        );
        expect(made === kept, `${name} is what the script makes`).toBe(true);
      }
    });

    test("makes objects of every kind that are read here", async () => {
      await interop().run(["make", folder]);
      const text = await readFile(join(folder, "exchange.json"), "utf8");
      expect(readExchange(exchangeSchema.parse(JSON.parse(text)))).toBeGreaterThan(50);
    });

    test("reads objects of every kind that are made here", async () => {
      const seed = randomInt(2 ** 31);
      await writeFile(join(folder, "exchange.json"), JSON.stringify(makeExchange(seed)));
      const said = await interop()
        .run(["read", folder])
        .catch((error: unknown) => {
          throw new Error(`seed ${seed}`, { cause: error });
        });
      expect(z.object({ read: z.int() }).parse(JSON.parse(said)).read).toBeGreaterThan(50);
    });

    /** Both sides' verdicts on the same cases must be the same, code for code. */
    async function expectAgreement(cases: readonly Case[]): Promise<void> {
      const asked = cases.map(({ verdict: _, ...rest }) => rest);
      const said = await interop().run(["judge"], JSON.stringify(asked));
      const theirs = z.array(z.string()).parse(JSON.parse(said));
      const ours = cases.map(({ verdict }) => verdict.replace("accepted", "valid"));
      const shown = (verdicts: readonly string[]) =>
        cases.map(({ name }, index) => `${name}: ${verdicts[index]}`);
      expect(shown(theirs)).toEqual(shown(ours));
    }

    test("agrees about every structural mutation of every payload", async () => {
      const cases = envelopeSamples.flatMap(({ kind, payload }) =>
        mutantsOf(payload).map(({ name, bytes }) => payloadCase(kind, name, bytes)),
      );
      expect(cases.length).toBeGreaterThan(1000);
      await expectAgreement(cases);
    });

    test("agrees about every single-bit flip and every truncation of every payload", async () => {
      const cases = envelopeSamples.flatMap(({ kind, payload }) => [
        ...flipsOf(payload, 1).map(({ name, bytes }) => payloadCase(kind, name, bytes)),
        ...truncationsOf(payload).map(({ name, bytes }) => payloadCase(kind, name, bytes)),
      ]);
      expect(cases.length).toBeGreaterThan(5000);
      await expectAgreement(cases);
    });

    test("agrees about mutations of whole envelopes", async () => {
      const cases = envelopeSamples.flatMap((sample) =>
        [
          ...flipsOf(sample.envelope, 23),
          ...truncationsOf(sample.envelope),
          ...mutantsOf(sample.envelope.subarray(1)).map(({ name, bytes }) => ({
            name,
            bytes: Uint8Array.of(0xd2, ...bytes),
          })),
        ].map(({ name, bytes }) => envelopeCase(sample, name, bytes)),
      );
      expect(cases.length).toBeGreaterThan(1000);
      await expectAgreement(cases);
    });

    test("agrees about CBOR that is wrong in more than one place", async () => {
      const seed = randomInt(2 ** 31);
      const drawn = fc.sample(
        fc.tuple(cborValues, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 })),
        { seed, numRuns: 3000 },
      );
      const cases = drawn.map(([value, changes], index) => {
        const bytes = encodeCbor(value);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        const verdict = codeOf(() => decodeCbor(bytes));
        return { name: `seed ${seed}, ${index}`, as: "cbor", hex: hex(bytes), verdict };
      });
      await expectAgreement(cases);
    });
  },
);

interface Case {
  readonly name: string;
  readonly verdict: string;
}

interface Changed {
  readonly name: string;
  readonly bytes: Uint8Array;
}

function payloadCase(kind: keyof typeof rewritePayload, name: string, bytes: Uint8Array): Case {
  const verdict = codeOf(() => rewritePayload[kind](bytes));
  const asked = { as: kind, hex: hex(bytes) };
  return { name: `${kind}: ${name}`, ...asked, verdict };
}

function envelopeCase(
  { kind, key: signer, binding }: (typeof envelopeSamples)[number],
  name: string,
  envelope: Uint8Array,
): Case {
  const place = { kind, realm, key: binding.key };
  const publicKey = signer.publicKey.bytes;
  const verdict = codeOf(() => openEnvelope({ ...place, publicKey, envelope }));
  const asked = { ...place, publicKey: hex(publicKey), envelope: hex(envelope) };
  return { name: `${kind}: ${name}`, ...asked, verdict };
}

/** Every `step`-th single-bit flip. */
function flipsOf(bytes: Uint8Array, step: number): Changed[] {
  const flips: Changed[] = [];
  for (let bit = 0; bit < bytes.length * 8; bit += step) {
    const flipped = Uint8Array.from(bytes);
    const at = Math.floor(bit / 8);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit % 8));
    flips.push({ name: `bit ${bit}`, bytes: flipped });
  }
  return flips;
}

function truncationsOf(bytes: Uint8Array): Changed[] {
  return Array.from(bytes, (_, length) => ({
    name: `the first ${length} bytes`,
    bytes: bytes.subarray(0, length),
  }));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
