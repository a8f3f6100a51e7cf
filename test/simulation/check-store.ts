import { equalBytes } from "../../src/base/bytes.ts";
import { limits } from "../../src/base/limits.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { chainOf, decodeFrames, noPrev, type FramesPayload } from "../../src/protocol/frame.ts";
import {
  parseObjectKey,
  type FramesName,
  type RequestName,
} from "../../src/protocol/object-key.ts";
import { decodeOwner, type OwnerPayload } from "../../src/protocol/owner.ts";
import { requestDigestOf } from "../../src/protocol/run-id.ts";
import type { OwnerChecks } from "./check-owners.ts";
import { placeOf, receiptAnsweredBy, type Ledger } from "./ledger.ts";
import type { Machine } from "./machine.ts";
import type { BucketWatch, User } from "./sim-store.ts";
import type { Weather } from "./weather.ts";

/** Where the next envelope of one attempt belongs, by those that were put before it. */
interface Chain {
  readonly seq: number;
  readonly prev: Uint8Array;
}

/** What gateways write to the bucket, and what they delete there. */
export class StoreChecks implements BucketWatch {
  readonly #ledger: Ledger;
  readonly #owners: OwnerChecks;
  readonly #weather: Weather;
  /** The bytes that each state ever tried to put at a key. */
  readonly #tried = new Map<string, Uint8Array>();
  /** What each process read last at each key of an inbox. */
  readonly #read = new Map<string, Uint8Array>();
  readonly #chains = new Map<string, Chain>();
  readonly #putMs = new Map<string, number>();

  constructor(ledger: Ledger, owners: OwnerChecks, weather: Weather) {
    this.#ledger = ledger;
    this.#owners = owners;
    this.#weather = weather;
  }

  onTry(key: string, bytes: Uint8Array, by: User): void {
    const name = parseObjectKey(key);
    if (name?.kind !== "request" && name?.kind !== "cancel" && name?.kind !== "frames") return;
    const { machine } = by;
    const place = `${machine.label}/${machine.lives}/${key}`;
    const before = this.#tried.get(place);
    this.#tried.set(place, bytes);
    const isForgotten = this.#ledger.collected.has(`${machine.label}/${name.runId}`);
    if (before !== undefined && !isForgotten && !equalBytes(before, bytes))
      this.#ledger.violate("promise 5", `${by.life.name} puts ${key} with other bytes than before`);
    if (name.kind === "request") this.#checkRequest(name, bytes, by);
    if (name.kind === "frames") this.#checkFrames(name, bytes, by);
  }

  /** A request is sent only once it cannot be forgotten, and never when it has expired. */
  #checkRequest({ runId }: RequestName, bytes: Uint8Array, { machine, life }: User): void {
    const record = machine.disk.durable.outbox.get(runId)?.record;
    if (record === undefined || record.requestDigest !== requestDigestOf(bytes))
      return this.#ledger.violate("promise 2", `${life.name} sends ${runId} and may forget it`);
    const isSlow =
      life.wasPaused || this.#weather.clocks === "stepping" || this.#weather.clocks === "wild";
    if (!isSlow && life.clock.now() > record.exp * 1000 + 60_000)
      this.#ledger.violate("promise 6", `${life.name} sends ${runId} again, which has expired`);
  }

  /** Frames come after the start that they tell of, and an end after its commit: both as good as the disk. */
  #checkFrames(name: FramesName, bytes: Uint8Array, { machine, life }: User): void {
    const payload = framesIn(bytes);
    const receipt = receiptAnsweredBy(machine.disk.durable, name);
    const last = payload.frames.at(-1);
    if (last?.event !== "terminal") {
      if (receipt === undefined || receipt.starts === 0 || receipt.attempt < name.attempt)
        this.#ledger.violate("promise 2", `${life.name} writes frames of ${name.runId} too early`);
      return;
    }
    // Whoever read the receipt before it was collected says once more what stood there.
    if (this.#ledger.collected.has(`${machine.label}/${name.runId}`)) return;
    const committed = JSON.stringify(receipt?.ended?.terminal?.payload);
    if (committed !== JSON.stringify(last.payload))
      this.#ledger.violate(
        "promise 2",
        `${life.name} publishes an end of ${name.runId} that is not committed for good`,
      );
  }

  onPut(key: string, bytes: Uint8Array, by: User): void {
    const name = parseObjectKey(key);
    this.#putMs.set(key, by.machine.world.nowMs);
    if (name?.kind === "cancel") this.#ledger.cancels.set(key, by.machine.world.nowMs);
    if (name?.kind === "owner") this.#owners.claimed(by.machine, claimIn(bytes));
    if (name?.kind !== "frames") return;
    const payload = framesIn(bytes);
    this.#checkChain(name, bytes, payload, by);
    this.#checkTerminal(name, payload, by.machine);
  }

  /** An envelope is put only after the one before it is known to stand. */
  #checkChain(
    name: FramesName,
    bytes: Uint8Array,
    payload: FramesPayload,
    { machine }: User,
  ): void {
    const attempt = `${machine.name}/${placeOf(name)}/${name.attempt}`;
    const before = this.#chains.get(attempt) ?? { seq: 0, prev: noPrev };
    const follows = before.seq === payload.seq && equalBytes(before.prev, payload.prev);
    // One that came late, or again after it was deleted, has others behind it already.
    if (!follows && payload.seq >= before.seq)
      this.#ledger.violate(
        "promise 5",
        `an envelope of ${name.runId} was put before the one before it`,
      );
    if (!follows) return;
    const seq = payload.seq + payload.frames.length;
    this.#chains.set(attempt, { seq, prev: chainOf(bytes) });
  }

  /** All terminals ever published for one request say the same (promise 2). */
  #checkTerminal(name: FramesName, { frames }: FramesPayload, machine: Machine): void {
    const last = frames.at(-1);
    if (last?.event !== "terminal") return;
    const { counts, published } = this.#ledger;
    counts.terminals += 1;
    if (last.payload.error?.code === "IDEMPOTENCY_CONFLICT") counts.conflicts += 1;
    const place = placeOf(name);
    const ends = (published.get(place) ?? new Set()).add(JSON.stringify(last.payload));
    published.set(place, ends);
    if (ends.size > 1 && !machine.stateWasLost)
      this.#ledger.violate(
        "promise 2",
        `two ends were published for ${place}: ${[...ends].join(" and ")}`,
      );
  }

  onRead(key: string, bytes: Uint8Array, { life }: User): void {
    if (key.includes("/inbox/")) this.#read.set(`${life.name} ${key}`, bytes);
  }

  readBy(key: string, { life }: User): Uint8Array | undefined {
    return this.#read.get(`${life.name} ${key}`);
  }

  onDelete(key: string, by: User, read: Uint8Array | undefined): void {
    const name = parseObjectKey(key);
    const { machine, life } = by;
    this.#ledger.cancels.delete(key);
    const reader = name === undefined ? undefined : "to" in name ? name.to : name.gateway;
    if (name === undefined || reader !== machine.name)
      return this.#ledger.violate("promise 4", `${life.name} deleted ${key}, which is not its own`);
    if (name.kind === "request" && !this.#isDealtWith(key, name, machine, read))
      this.#ledger.violate(
        "promise 4",
        `${life.name} deleted ${key} without having run, answered or kept it`,
      );
    if (name.kind === "frames" && !this.#isRead(key, name, by))
      this.#ledger.violate("promise 5", `${life.name} deleted ${key} without a transcript of it`);
    if (
      name.kind === "owner" &&
      name.generation >= this.#owners.highest(machine) - limits.keptOwnerKeys
    )
      this.#ledger.violate("promise 1", `${life.name} deleted ${key}, by which others are known`);
  }

  /**
   * A delete says which key, not which bytes: a run of that name has ended, or what its process had read there is
   * kept, and neither is lost with the power. A newer object that the delete meets is put again by its sender.
   */
  #isDealtWith(
    key: string,
    { runId }: RequestName,
    machine: Machine,
    read: Uint8Array | undefined,
  ): boolean {
    if (machine.stateWasLost || this.#ledger.collected.has(`${machine.label}/${runId}`))
      return true;
    const { receipts, quarantine } = machine.disk.durable;
    for (const receipt of receipts.values())
      if (receipt.runId === runId && receipt.ended !== null) return true;
    if (read === undefined) return false;
    return [...quarantine.values()].some(
      (entry) => entry.key === key && entry.bytes !== null && equalBytes(entry.bytes, read),
    );
  }

  /** Frames go once their transcript is there for good; those of runs that nobody knows, after retention. */
  #isRead(key: string, { runId }: FramesName, { machine }: User): boolean {
    const { transcripts, outbox } = machine.disk.durable;
    if (transcripts.has(runId) || this.#weather.clocks === "wild") return true;
    if (machine.stateWasLost || this.#ledger.collected.has(`${machine.label}/${runId}`))
      return true;
    const oldMs = machine.world.nowMs - (this.#putMs.get(key) ?? 0);
    return !outbox.has(runId) && oldMs > limits.retentionMs;
  }
}

function claimIn(bytes: Uint8Array): OwnerPayload {
  return decodeOwner(parseEnvelope("owner", bytes).untrustedPayload);
}

function framesIn(bytes: Uint8Array): FramesPayload {
  return decodeFrames(parseEnvelope("frames", bytes).untrustedPayload);
}
