import { describe, expect, it } from "vitest";
import type { RunId } from "../../src/base/names.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import { follow } from "../../src/mailbox/follow.ts";
import { parseObjectKey } from "../../src/protocol/object-key.ts";
import { decodeRequest } from "../../src/protocol/request.ts";
import type { OutboxRecord } from "../../src/state/outbox.ts";
import {
  agent,
  CronWorld,
  type CronMachine,
  type Passed,
  type Trouble,
} from "../support/cron-world.ts";

const minuteMs = 60_000;
const minutes = 60;
/** Enough for the longest run to end, for its answer to be read, and for what is left over to be swept. */
const quietMinutes = 6;
const callsInAll = 24;

/** An hour on two machines with a pass each minute, while both go off and on and the store comes and goes. */
class Hour {
  readonly world: CronWorld;
  readonly executions = new Map<RunId, number>();
  readonly passed: Passed[] = [];
  readonly #underWay: Promise<void>[] = [];

  constructor(seed: number) {
    this.world = new CronWorld(seed);
  }

  async run(): Promise<readonly [CronMachine, CronMachine]> {
    const { clock } = this.world;
    const machines = await this.world.twoMachines(this.#handler());
    const [north, south] = machines;
    const northIsOn = this.#cron(north);
    const southIsOn = this.#cron(south);
    for (let number = 0; number < callsInAll; number += 1) {
      if (number % 2 === 0) this.#ask(number, north, south, northIsOn);
      else this.#ask(number, south, north, southIsOn);
    }
    await clock.advance(minutes * minuteMs);
    for (let minute = 0; minute < quietMinutes; minute += 1) {
      for (const machine of machines) this.#pass(0, machine, {}, true);
      await clock.advance(minuteMs);
    }
    await clock.until(Promise.all(this.#underWay));
    return machines;
  }

  /** Works as long as it is asked to, and counts. */
  #handler(): Handler {
    return {
      run: async ({ runId, request }, emit, signal) => {
        this.executions.set(runId, (this.executions.get(runId) ?? 0) + 1);
        const text = promptOf(request);
        await emit({ event: "textDelta", payload: { text } });
        await this.world.clock.sleep(Number.parseInt(text, 10), signal);
        return { result: answerTo(text) };
      },
    };
  }

  /** Asks at some moment, now and then once more under the same key, now and then for an answer that is wanted soon. */
  #ask(number: number, from: CronMachine, to: CronMachine, minutesOn: readonly number[]): void {
    const { random } = this.world;
    const longMs = random.chance(0.2) ? 150_000 : 8000;
    const request = {
      target: `${to.name}/${agent}`,
      prompt: `${random.integer(0, longMs)} of ${number}`,
      idempotencyKey: `key-${number}`,
      ...(random.chance(0.25) ? { deadlineMs: random.integer(5, 120) * 1000 } : {}),
    } as const;
    for (let times = random.chance(0.4) ? 2 : 1; times > 0; times -= 1) {
      const trouble = this.#draw(0.3, 1);
      const minute = random.pick(minutesOn) ?? 0;
      this.#later(minute * minuteMs + random.integer(0, minuteMs - 1), async () => {
        await from.send(request, trouble);
      });
    }
  }

  /** A pass each minute, but for spells in which the machine is off. Returns the minutes in which it is on. */
  #cron(machine: CronMachine): readonly number[] {
    const { random } = this.world;
    const on: number[] = [];
    let offUntil = 0;
    for (let minute = 0; minute < minutes; minute += 1) {
      if (minute < offUntil) continue;
      on.push(minute);
      this.#pass(minute * minuteMs, machine, this.#draw(0.3, 6));
      if (!random.chance(0.05)) continue;
      offUntil = minute + random.integer(2, 12);
      this.#later(minute * minuteMs + random.integer(1, minuteMs), async () => machine.powerOff());
    }
    return on;
  }

  #pass(inMs: number, machine: CronMachine, trouble: Trouble, thorough = false): void {
    this.#later(inMs, async () => {
      this.passed.push(await machine.pass(trouble, thorough));
    });
  }

  /** Perhaps something that goes wrong; an outage begins within the first `calls` calls to the store. */
  #draw(probability: number, calls: number): Trouble {
    const { random } = this.world;
    if (!random.chance(probability)) return {};
    const ms = random.integer(1, random.pick([200, 5000, 60_000] as const));
    switch (random.integer(1, 3)) {
      case 1:
        return { stopAfterMs: ms };
      case 2:
        return { dieAfterMs: ms };
      default:
        return { outage: { fromCall: random.integer(1, calls), forMs: ms } };
    }
  }

  #later(ms: number, happen: () => Promise<void>): void {
    this.#underWay.push(this.world.clock.sleep(ms).then(happen));
  }
}

function promptOf({ body }: ReturnType<typeof decodeRequest>): string {
  return body.kind === "prompt" ? body.prompt.text : "";
}

const answerTo = (text: string): string => `the answer to ${text}`;

/** What both sides remember of the calls from one to the other is what really happened. Returns how they ended. */
async function expectAnsweredOnce(
  hour: Hour,
  from: Gateway,
  to: Gateway,
): Promise<readonly string[]> {
  const records = await from.mailbox.state.outboxRecords({ limit: 1000 });
  const receipts = await to.mailbox.state.receipts({ limit: 1000 });
  expect(records).toHaveLength(callsInAll / 2);
  expect(await to.mailbox.state.quarantined({ limit: 1 })).toEqual([]);
  expect(receipts.map(({ runId }) => runId).toSorted()).toEqual(
    records.map(({ runId }) => runId).toSorted(),
  );
  for (const record of records) {
    const { runId, terminal } = record;
    const executions = hour.executions.get(runId) ?? 0;
    expect(record.state, runId).toBe("closed");
    expect(receipts.find((receipt) => receipt.runId === runId)).toMatchObject({
      state: "ended",
      starts: executions,
      ended: { acknowledged: true, terminal: { payload: terminal } },
    });
    expect(possibleEnds(record, executions)).toContainEqual({
      status: terminal?.status,
      said: terminal?.result ?? terminal?.error?.code,
    });
    expect(await terminalsOf(from, runId)).toBe(1);
  }
  return records.map(({ terminal }) => terminal?.status ?? "open");
}

/** How a call may end whose handler ran so often: more than once is never right. */
function possibleEnds({ payload, deadline }: OutboxRecord, executions: number) {
  const answer = answerTo(promptOf(decodeRequest(payload)));
  const late = deadline === null ? [] : [{ status: "cancelled", said: "DEADLINE" }];
  if (executions > 1) return [];
  if (executions === 0) return late;
  const interrupted = { status: "interrupted", said: "INTERRUPTED" };
  return [{ status: "succeeded", said: answer }, interrupted, ...late];
}

async function terminalsOf({ mailbox }: Gateway, runId: RunId): Promise<number> {
  let terminals = 0;
  for await (const { event } of follow(mailbox, runId, { once: true })) {
    if (event === "terminal") terminals += 1;
  }
  return terminals;
}

/** What may come of a pass that is cut off, or whose store is away. */
const trouble: ReadonlySet<string> = new Set(["DIED", "STORE_UNREACHABLE", "STORE_FAILED"]);

const codesOf = (passed: Passed): readonly string[] =>
  typeof passed === "string" ? [passed] : passed.problems.map(({ code }) => code);

describe("an hour of cron on two machines that go off and on", { timeout: 120_000 }, () => {
  const met = new Set<string>();

  it.each([1, 2, 3])(
    "answers every call once, and leaves nothing behind (seed %i)",
    async (seed) => {
      const hour = new Hour(seed);
      try {
        const [north, south] = await hour.run();
        const codes = hour.passed.flatMap(codesOf);
        expect(codes.filter((code) => !trouble.has(code))).toEqual([]);
        await using one = await north.open();
        await using other = await south.open();
        const ends = [
          ...(await expectAnsweredOnce(hour, one, other)),
          ...(await expectAnsweredOnce(hour, other, one)),
        ];
        const { entries } = await one.mailbox.store.list({ prefix: "", limit: 1000 });
        const kinds = entries.map(({ key }) => parseObjectKey(key)?.kind);
        expect(new Set(kinds)).toEqual(new Set(["owner"]));
        for (const what of [...codes, ...ends]) met.add(what);
      } finally {
        hour.world.remove();
      }
    },
  );

  it("was as bad as it was meant to be, and no worse", () => {
    expect(met).toEqual(new Set([...trouble, "succeeded", "cancelled", "interrupted"]));
  });
});
