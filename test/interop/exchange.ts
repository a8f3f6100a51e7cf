import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { z } from "zod";
import { equalBytes } from "../../src/base/bytes.ts";
import { parseGatewayName, parseRealm, type GatewayName } from "../../src/base/names.ts";
import { decodeCard, encodeCard } from "../../src/protocol/card.ts";
import { decodeCbor, encodeCbor } from "../../src/protocol/cbor.ts";
import { parseEnvelope, signEnvelope, type Claims } from "../../src/protocol/envelope.ts";
import {
  chainOf,
  decodeFrames,
  encodeFrames,
  noPrev,
  type Frame,
  type FrameEvent,
  type FramesPayload,
} from "../../src/protocol/frame.ts";
import { publicKeyFromBytes, signingKeyFromSeed } from "../../src/protocol/keys.ts";
import {
  digest16Of,
  objectKey,
  parseObjectKey,
  type ObjectName,
} from "../../src/protocol/object-key.ts";
import { decodeOwner, encodeOwner } from "../../src/protocol/owner.ts";
import {
  decodeCancel,
  decodeRequest,
  encodeCancel,
  encodeRequest,
  type RequestPayload,
} from "../../src/protocol/request.ts";
import { requestDigestOf, runIdOf } from "../../src/protocol/run-id.ts";
import { cardText, openCard } from "../../src/trust/card.ts";
import { cards, handlerEvents, owners, requests, terminals } from "../protocol/samples.ts";
import {
  claimsOf,
  fromPlain,
  hexText,
  kinds,
  realmText,
  rewritePayload,
  toPlain,
} from "../protocol/vectors.ts";

/** Whole runs for the other side to read: objects in the order in which they were made. */
export const exchangeSchema = z.object({
  realm: realmText,
  gateways: z.record(z.string(), hexText),
  objects: z.array(
    z.object({ key: z.string(), envelope: hexText, claims: claimsOf, value: z.unknown() }),
  ),
  cards: z.array(z.string()),
});
export type Exchange = z.infer<typeof exchangeSchema>;

type NamedObject = Exclude<ObjectName, { readonly kind: "probe" }>;

const runs = 25;
const eventsPerAttempt = 4;

/** Fresh objects of every kind, as plain JSON. The same seed makes the same ones. */
export function makeExchange(seed: number): unknown {
  return new Maker(seed).make();
}

class Maker {
  readonly #realm = parseRealm("interop");
  readonly #caller = parseGatewayName("asker.example");
  readonly #callee = parseGatewayName("answerer");
  readonly #keys: ReadonlyMap<GatewayName, ReturnType<typeof signingKeyFromSeed>>;
  readonly #objects: unknown[] = [];
  #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.#keys = new Map(
      [this.#caller, this.#callee].map((name) => [name, signingKeyFromSeed(this.#seedBytes())]),
    );
  }

  make(): unknown {
    const length = { minLength: runs, maxLength: runs };
    const each = { ...length, selector: (request: RequestPayload) => request.idempotencyKey };
    for (const request of this.#sample(fc.uniqueArray(requests, each), 1).flat())
      this.#run(request);
    for (const owner of this.#sample(owners, 3)) {
      const { generation } = owner;
      this.#sign({ kind: "owner", gateway: this.#callee, generation }, encodeOwner(owner));
    }
    const own = { realm: this.#realm, gateway: this.#callee };
    const keys = [this.#keyOf(this.#callee).publicKey, this.#keyOf(this.#caller).publicKey];
    const texts = this.#sample(cards, 3).map(({ version, ...card }) => {
      const payload = encodeCard({ ...card, ...own, version, keys });
      return cardText(this.#sign({ kind: "card", gateway: this.#callee, version }, payload));
    });
    const gateways = [...this.#keys].map(([name, { publicKey }]) => [name, hex(publicKey.bytes)]);
    return {
      realm: this.#realm,
      gateways: Object.fromEntries(gateways) as unknown,
      objects: this.#objects,
      cards: texts,
    };
  }

  #run(drawn: RequestPayload): void {
    const callerIdentity = { ...drawn.callerIdentity, gateway: this.#caller };
    const request = { ...drawn, callerIdentity };
    const runId = runIdOf({
      realm: this.#realm,
      caller: this.#caller,
      tenant: callerIdentity.tenant,
      callee: this.#callee,
      idempotencyKey: request.idempotencyKey,
    });
    const there = { to: this.#callee, from: this.#caller, runId };
    const envelope = this.#sign({ kind: "request", ...there }, encodeRequest(request));
    const requestDigest = requestDigestOf(envelope);
    const digest16 = digest16Of(requestDigest);
    const cancel = encodeCancel({ runId, requestDigest });
    this.#sign({ kind: "cancel", ...there, digest16 }, cancel);
    for (const attempt of [1, 2]) this.#attempt({ runId, requestDigest, attempt });
  }

  /** Envelopes of two frames each. */
  #attempt(answered: Pick<FramesPayload, "runId" | "requestDigest" | "attempt">): void {
    const { runId, requestDigest, attempt } = answered;
    const [at = 0] = this.#sample(fc.nat({ max: 2e12 }), 1);
    const said: FrameEvent[] = [
      { event: "started", payload: { agent: this.#sampleAgent(), attempt } },
      ...this.#sample(handlerEvents, eventsPerAttempt),
      ...this.#sample(terminals, 1).map((payload) => ({ event: "terminal" as const, payload })),
    ];
    const place = { to: this.#caller, from: this.#callee, runId, attempt };
    let prev = noPrev;
    for (let seq = 0; seq < said.length; seq += 2) {
      const frames = said.slice(seq, seq + 2).map((event): Frame => ({ ...event, at: at + seq }));
      const payload = encodeFrames({ ...answered, seq, prev, frames });
      const name = { kind: "frames" as const, ...place, digest16: digest16Of(requestDigest), seq };
      prev = chainOf(this.#sign(name, payload));
    }
  }

  #sign(name: NamedObject, payload: Uint8Array): Uint8Array {
    const key = objectKey(name);
    const [iat = 0] = this.#sample(fc.nat({ max: 2 ** 40 }), 1);
    const claims = claimsFor(name, iat);
    const binding = { realm: this.#realm, key };
    const envelope = signEnvelope(name.kind, claims, payload, this.#keyOf(claims.iss), binding);
    const value = toPlain(decodeCbor(payload));
    this.#objects.push({ key, envelope: hex(envelope), claims, value });
    return envelope;
  }

  #keyOf(name: GatewayName) {
    return this.#keys.get(name) ?? signingKeyFromSeed(new Uint8Array(32));
  }

  #sampleAgent() {
    const [request] = this.#sample(requests, 1);
    if (request === undefined) throw new TypeError("a sample is empty");
    return request.agentTarget;
  }

  #seedBytes(): Uint8Array {
    const [bytes] = this.#sample(fc.uint8Array({ minLength: 32, maxLength: 32 }), 1);
    return bytes ?? new Uint8Array(32);
  }

  #sample<T>(arbitrary: fc.Arbitrary<T>, numRuns: number): T[] {
    this.#seed += 1;
    return fc.sample(arbitrary, { numRuns, seed: this.#seed });
  }
}

function claimsFor(name: NamedObject, iat: number): Claims {
  switch (name.kind) {
    case "request":
    case "cancel":
      return { iss: name.from, aud: name.to, exp: iat + 60, iat };
    case "frames":
      return { iss: name.from, aud: name.to, iat };
    case "card":
      return { iss: name.gateway, exp: iat + 60, iat };
    case "owner":
      return { iss: name.gateway, iat };
  }
}

/** The number of objects that are in order and in their places. Throws for the first that is not. */
export function readExchange(exchange: Exchange): number {
  const met = new Set<string>();
  const digests = new Map<string, string>();
  const chains = new Map<string, { readonly seq: number; readonly prev: Uint8Array }>();
  for (const { key, envelope, claims, value } of exchange.objects) {
    const name = parseObjectKey(key);
    if (name === undefined || name.kind === "probe") throw new Error(`${key} holds no envelope`);
    met.add(name.kind);
    const parsed = parseEnvelope(name.kind, envelope);
    const publicKey = publicKeyFromBytes(exchange.gateways[parsed.claims.iss] ?? new Uint8Array());
    const payload = parsed.verify(publicKey, { realm: exchange.realm, key });
    expectSame(parsed.claims, claims, `the claims of ${key}`);
    const { exp: _, ...asked } = claimsFor(name, claims.iat);
    const { exp: __, ...said } = parsed.claims;
    expectSame(said, asked, `the claims that ${key} asks for`);
    const written = encodeCbor(fromPlain(value));
    expectSame(hex(rewritePayload[name.kind](payload)), hex(written), `the payload of ${key}`);
    expectPlace(exchange, name, payload, digests);
    if (name.kind === "request") digests.set(name.runId, requestDigestOf(envelope));
    if (name.kind === "frames") {
      const { seq, prev, frames } = decodeFrames(payload);
      const chain = `${name.runId} ${name.attempt}`;
      const expected = chains.get(chain) ?? { seq: 0, prev: noPrev };
      if (seq !== expected.seq || !equalBytes(prev, expected.prev))
        throw new Error(`chain: ${key}`);
      chains.set(chain, { seq: seq + frames.length, prev: chainOf(envelope) });
    }
  }
  expectSame([...met].toSorted(), [...kinds].toSorted(), "the kinds that were met");
  for (const text of exchange.cards) {
    const found = exchange.objects.find(({ envelope }) => cardText(envelope) === text);
    const { card, signer } = openCard(text, (found?.claims.iat ?? 0) * 1000);
    expectSame(hex(signer.bytes), hex(exchange.gateways[card.gateway] ?? new Uint8Array()), text);
  }
  return exchange.objects.length + exchange.cards.length;
}

/** That an object's key says what its payload says. */
function expectPlace(
  { realm }: Exchange,
  name: NamedObject,
  payload: Uint8Array,
  digests: ReadonlyMap<string, string>,
): void {
  const key = objectKey(name);
  switch (name.kind) {
    case "request": {
      const { callerIdentity, idempotencyKey } = decodeRequest(payload);
      const { gateway: caller, tenant } = callerIdentity;
      const runId = runIdOf({ realm, caller, tenant, callee: name.to, idempotencyKey });
      return expectSame([caller, runId], [name.from, name.runId], key);
    }
    case "cancel": {
      const { runId, requestDigest } = decodeCancel(payload);
      const said = { runId, digest16: digest16Of(requestDigest) };
      expectSame(said, { runId: name.runId, digest16: name.digest16 }, key);
      return expectSame(requestDigest, digests.get(runId), key);
    }
    case "frames": {
      const { runId, requestDigest, attempt, seq } = decodeFrames(payload);
      expectSame(requestDigest, digests.get(runId), key);
      const { to, from } = name;
      const digest16 = digest16Of(requestDigest);
      return expectSame({ kind: "frames", to, from, runId, digest16, attempt, seq }, name, key);
    }
    case "owner":
      return expectSame(decodeOwner(payload).generation, name.generation, key);
    case "card":
      return expectSame(decodeCard(payload).version, name.version, key);
  }
}

function expectSame(found: unknown, expected: unknown, what: string): void {
  if (isDeepStrictEqual(found, expected)) return;
  throw new Error(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
