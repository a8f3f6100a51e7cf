import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { decodeFrames, type TerminalPayload } from "../../src/protocol/frame.ts";
import { digest16Of, parseObjectKey, type FramesName } from "../../src/protocol/object-key.ts";
import { requestDigestOf } from "../../src/protocol/run-id.ts";
import type { RequestDigest, RunId } from "../../src/base/names.ts";
import type { Work } from "../../src/handlers/handler.ts";
import type { PlacedFrame } from "../../src/mailbox/frame-reader.ts";
import type { Receipt } from "../../src/protocol/receipt.ts";
import type { Machine } from "./machine.ts";
import type { BucketWatch } from "./sim-store.ts";
import type { World } from "./world.ts";

/** The most starts that an agent may have for one run: more only where its route says `retry`. */
const mostStarts = { report: 1, retry: 3 } as const;

/**
 * Watches everything from outside and holds it against the six promises of SPEC.md. It believes nobody's
 * state but compares states, bucket, handlers and readers with each other.
 */
export class Checker implements BucketWatch {
  readonly #world: World;
  readonly #machines = new Map<string, Machine>();
  /** What callers asked under each run, all bodies ever signed for it. */
  readonly #asked = new Map<string, Set<string>>();
  readonly #starts = new Map<string, number>();
  readonly #emitted = new Map<string, string[]>();
  readonly #outcomes = new Map<string, string>();
  readonly #told = new Map<string, string>();
  readonly #committed = new Map<string, string>();
  /** What each process read last at each key. */
  readonly #read = new Map<string, RequestDigest>();
  readonly counts = { starts: 0, terminals: 0, closed: 0, conflicts: 0 };

  constructor(world: World) {
    this.#world = world;
  }

  watch(machine: Machine): void {
    this.#machines.set(machine.name, machine);
  }

  asked(runId: RunId, text: string): void {
    const texts = this.#asked.get(runId) ?? new Set();
    this.#asked.set(runId, texts.add(text));
  }

  /** A handler was started (promises 1 and 3). */
  started(work: Work, onCrash: keyof typeof mostStarts): void {
    this.counts.starts += 1;
    const starts = (this.#starts.get(work.runId) ?? 0) + 1;
    this.#starts.set(work.runId, starts);
    if (starts > mostStarts[onCrash]) {
      this.#world.violate(
        "promise 1",
        `run ${work.runId} (${onCrash}) was started ${starts} times`,
      );
    }
    const { body } = work.request;
    const text = body.kind === "prompt" ? body.prompt.text : body.kind;
    if (this.#asked.get(work.runId)?.has(text) !== true) {
      this.#world.violate(
        "promise 3",
        `a handler was given ${JSON.stringify(text)}, which nobody asked as ${work.runId}`,
      );
    }
  }

  /** A handler said something, in this order. */
  emitted(work: Work, text: string): void {
    const key = `${work.runId}/${work.attempt}`;
    this.#emitted.set(key, [...(this.#emitted.get(key) ?? []), text]);
  }

  /** A reader's frames of one attempt so far are a prefix of what that attempt's handler said (promise 5). */
  yielded(runId: RunId, frames: readonly PlacedFrame[]): void {
    const attempt = frames.at(-1)?.attempt ?? 1;
    const ofAttempt = frames.filter((frame) => frame.attempt === attempt);
    const gap = ofAttempt.findIndex((frame, index) => frame.seq !== index);
    if (gap >= 0)
      this.#world.violate(
        "promise 5",
        `a reader of ${runId} got frame ${gap} of attempt ${attempt} out of order`,
      );
    const texts = ofAttempt.flatMap((frame) =>
      frame.event === "textDelta" ? [frame.payload.text] : [],
    );
    const said = this.#emitted.get(`${runId}/${attempt}`) ?? [];
    if (texts.some((text, index) => text !== said[index])) {
      this.#world.violate(
        "promise 5",
        `a reader of ${runId} got what attempt ${attempt} never said`,
      );
    }
  }

  /** A caller's process came to know how a run ended: always the same (promise 2). */
  told(machine: Machine, runId: RunId, terminal: TerminalPayload): void {
    this.counts.closed += 1;
    const key = `${machine.name}/${machine.lives}/${runId}`;
    const text = JSON.stringify(terminal);
    const before = this.#told.get(key);
    if (before !== undefined && before !== text) {
      this.#world.violate(
        "promise 2",
        `${machine.name} was told two ends of ${runId}: ${before} and ${text}`,
      );
    }
    this.#told.set(key, text);
  }

  /** After every step of a state: an outcome that was committed stays, and what has ended stays ended. */
  stepped(machine: Machine): void {
    if (machine.hasCollected) return;
    for (const receipt of machine.disk.content.receipts.values()) {
      const place = `${machine.name}/${machine.lives}/${receipt.runId}/${receipt.requestDigest}`;
      const outcome = receipt.outcome ?? receipt.ended?.terminal?.payload;
      const now = `${receipt.ended === null ? "" : "ended "}${JSON.stringify(outcome ?? null)}`;
      const before = this.#committed.get(place) ?? "null";
      const stays = before === "null" || now === before || now === `ended ${before}`;
      if (!stays) this.#world.violate("promise 2", `${place} went from ${before} to ${now}`);
      this.#committed.set(place, now);
    }
  }

  onPut(key: string, bytes: Uint8Array): void {
    const name = parseObjectKey(key);
    if (name?.kind === "frames") this.#checkTerminal(name, bytes);
  }

  /** All terminals ever published for one request say the same, and its receipt says it too (promise 2). */
  #checkTerminal(name: FramesName, bytes: Uint8Array): void {
    const callee = this.#machines.get(name.from);
    const terminal = callee === undefined ? undefined : terminalIn(callee, name, bytes);
    if (callee === undefined || terminal === undefined) return;
    this.counts.terminals += 1;
    if (terminal.error?.code === "IDEMPOTENCY_CONFLICT") this.counts.conflicts += 1;
    if (callee.stateWasLost) return;
    const place = `${name.runId}/${name.digest16}`;
    const text = JSON.stringify(terminal);
    const before = this.#outcomes.get(place) ?? text;
    this.#outcomes.set(place, text);
    if (before !== text)
      this.#world.violate(
        "promise 2",
        `two ends were published for ${place}: ${before} and ${text}`,
      );
    const receipt = receiptAt(callee, name);
    if (receipt !== undefined && JSON.stringify(receipt.ended?.terminal?.payload) !== text) {
      this.#world.violate("promise 2", `the end published for ${place} is not the one committed`);
    }
  }

  onRead(key: string, bytes: Uint8Array, by: string): void {
    this.#read.set(`${by} ${key}`, requestDigestOf(bytes));
  }

  /**
   * What its reader deletes from an inbox was run, answered or quarantined (promise 4). A delete says which key,
   * not which bytes: a run of that name has ended, or what this process read there is kept. A newer object that
   * the delete meets is put again by its sender.
   */
  onDelete(key: string, _bytes: Uint8Array, by: string): void {
    const name = parseObjectKey(key);
    const machine = this.#machines.get(by.split("#")[0] ?? "");
    if (name?.kind !== "request" || machine === undefined || name.to !== machine.name) return;
    if (machine.stateWasLost || machine.hasCollected) return;
    const digest = this.#read.get(`${by} ${key}`);
    const { receipts, quarantine } = machine.disk.content;
    const ended = [...receipts.values()].some(
      (receipt) => receipt.runId === name.runId && receipt.ended !== null,
    );
    const kept = [...quarantine.values()].some(
      (entry) =>
        entry.key === key && entry.bytes !== null && requestDigestOf(entry.bytes) === digest,
    );
    if (!ended && !kept) {
      this.#world.violate(
        "promise 4",
        `${by} deleted ${key} without having run, answered or kept it`,
      );
    }
  }

  /** After faults have stopped and everybody polled: nothing is left undone (promises 2 and 6). */
  checkQuiet({ bucketLied }: { readonly bucketLied: boolean }): void {
    for (const machine of this.#machines.values()) {
      for (const receipt of machine.disk.content.receipts.values()) {
        if (receipt.ended?.acknowledged !== true) {
          this.#world.violate(
            "promise 2",
            `${machine.name} left ${receipt.runId} ${receipt.state} and unanswered`,
          );
        }
      }
      for (const { record } of machine.disk.content.outbox.values()) {
        const answer = this.#answerOf(record.to, record.runId, record.requestDigest);
        if (record.state === "closed") {
          const same = answer === undefined || JSON.stringify(record.terminal) === answer;
          if (!same)
            this.#world.violate(
              "promise 2",
              `${machine.name} closed ${record.runId} with another end`,
            );
        } else if (
          record.state === "open" ||
          (answer !== undefined && !bucketLied && !machine.stateWasLost)
        ) {
          this.#world.violate(
            "promise 2",
            `${machine.name} left ${record.runId} ${record.state}, answer ${answer ?? "none"}`,
          );
        }
      }
    }
  }

  /** The end that a callee's receipt holds for one request, if the callee can still be asked. */
  #answerOf(callee: string, runId: RunId, digest: Receipt["requestDigest"]): string | undefined {
    const machine = this.#machines.get(callee);
    if (machine === undefined || machine.stateWasLost) return undefined;
    const receipt = [...machine.disk.content.receipts.values()].find(
      (other) => other.runId === runId && other.requestDigest === digest,
    );
    const payload = receipt?.ended?.terminal?.payload;
    return payload === undefined ? undefined : JSON.stringify(payload);
  }
}

function terminalIn(
  callee: Machine,
  name: FramesName,
  bytes: Uint8Array,
): TerminalPayload | undefined {
  const key = `${name.to}/frames/${name.from}/${name.runId}/${name.digest16}`;
  try {
    const place = `${key}/${String(name.attempt).padStart(4, "0")}-${String(name.seq).padStart(10, "0")}`;
    const payload = parseEnvelope("frames", bytes).verify(callee.signingKey.publicKey, {
      realm: callee.realm,
      key: place,
    });
    const last = decodeFrames(payload).frames.at(-1);
    return last?.event === "terminal" ? last.payload : undefined;
  } catch {
    return undefined;
  }
}

function receiptAt(callee: Machine, name: FramesName): Receipt | undefined {
  return [...callee.disk.content.receipts.values()].find(
    (receipt) =>
      receipt.runId === name.runId && digest16Of(receipt.requestDigest) === name.digest16,
  );
}
