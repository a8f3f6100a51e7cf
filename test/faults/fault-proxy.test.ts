import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { asPosternError } from "../../src/base/errors.ts";
import type { RunId } from "../../src/base/names.ts";
import { systemRandom } from "../../src/base/random.ts";
import { ask, deliver } from "../../src/gateway/ask.ts";
import { serve } from "../../src/gateway/serve.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import { follow } from "../../src/mailbox/follow.ts";
import { retryableStoreCodes } from "../../src/store/store.ts";
import {
  agent,
  agents,
  newIdentity,
  openBenchGateway,
  type BenchGateway,
} from "../bench/gateways.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";
import { faultKinds, FaultProxy, type Fault } from "../support/fault-proxy.ts";
import { leftIn, takeLateObjects } from "../support/late-objects.ts";
import { hasConditionalWrites, makeBucket, s3 } from "../support/s3.ts";

const calls = 24;
const callsAtOnce = 6;
const texts = ["one ", "two ", "three"];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-faults-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** One run in two loses something of its requests; every kind of fault happens, whatever the seed. */
function drawing(random: SeededRandom, isOn: () => boolean): () => Fault | undefined {
  const due: Fault[] = faultKinds.flatMap((kind) => [kind, kind, kind]);
  return () => {
    if (!isOn() || !random.chance(0.3)) return undefined;
    const next = random.chance(0.5)
      ? due.splice(random.integer(0, due.length - 1), 1)[0]
      : undefined;
    return next ?? random.pick(faultKinds);
  };
}

test.skipIf(!hasConditionalWrites).each([1, 2])(
  "calls through a line that drops, cuts, holds up and repeats requests and responses run once and are answered (seed %i)",
  { timeout: 240_000 },
  async (seed) => {
    await using opened = new AsyncDisposableStack();
    const bucket = opened.adopt(await makeBucket(), ({ remove }) => remove());
    const random = new SeededRandom(seed);
    let isOn = true;
    const proxy = opened.use(
      await FaultProxy.start({
        target: s3.endpoint,
        draw: drawing(random.fork(), () => isOn),
        delayMs: () => random.integer(1, 2000),
      }),
    );
    const [hq, lab] = [newIdentity("hq"), newIdentity("lab")];
    const open = async (self: typeof hq, peer: typeof hq): Promise<BenchGateway> =>
      opened.use(
        await openBenchGateway({
          self,
          peers: [peer],
          store: bucket.store("line", { endpoint: proxy.endpoint, timeoutMs: 3000 }),
          folder: join(folder, self.name),
        }),
      );
    isOn = false;
    const [caller, callee] = [await open(hq, lab), await open(lab, hq)];
    isOn = true;

    const executions = new Map<RunId, number>();
    const handler: Handler = {
      run: async ({ runId, request: { body } }, emit) => {
        executions.set(runId, (executions.get(runId) ?? 0) + 1);
        for (const text of texts) {
          await emit({ event: "textDelta", payload: { text } });
          await systemClock.sleep(300);
        }
        return { result: body.kind === "prompt" ? body.prompt.text : null };
      },
    };
    const stop = new AbortController();
    const pace = { minDelayMs: 100, maxDelayMs: 500, graceMs: 1000, signal: stop.signal };
    const services = [
      serve(callee.mailbox, { ...agents(handler), ...pace }),
      serve(caller.mailbox, { ...agents(handler), ...pace }),
    ];
    let next = 0;
    const askingInTurn = async (): Promise<void> => {
      while (next < calls) {
        const number = next++;
        expect(await answerOf(caller, number)).toEqual({
          text: texts.join(""),
          result: `work ${number}`,
        });
      }
    };
    await Promise.all(Array.from({ length: callsAtOnce }, askingInTurn));
    isOn = false;
    stop.abort();
    await Promise.all(services);
    await proxy.settled();
    for (const { mailbox } of [callee, caller]) await takeLateObjects(mailbox, agents(handler));
    expect(await leftIn(bucket.store("line"))).toEqual([]);

    expect([...executions.values()]).toEqual(Array.from({ length: calls }, () => 1));
    expect(new Set(proxy.counts.keys())).toEqual(new Set(faultKinds));
    const receipts = await callee.mailbox.state.receipts({ limit: 1000 });
    expect(receipts.map(({ ended }) => ended?.acknowledged)).toEqual(receipts.map(() => true));
    expect(await callee.mailbox.state.quarantined({ limit: 10 })).toEqual([]);
    process.stdout.write(`faults: ${JSON.stringify(Object.fromEntries(proxy.counts))}\n`);
  },
);

interface Told {
  readonly text: string;
  readonly result: unknown;
}

/** Asks twice under one key, as who was told of a failure does, and follows the answer for as long as it takes. */
async function answerOf({ mailbox }: BenchGateway, number: number): Promise<Told> {
  const request = {
    target: `lab/${agent}`,
    body: { kind: "prompt", prompt: { text: `work ${number}` } },
    idempotencyKey: `key-${number}`,
  } as const;
  const asked = await ask(mailbox, new Map(), request);
  for (;;) {
    try {
      await deliver(mailbox, await ask(mailbox, new Map(), request));
      return await told(mailbox, asked.record.runId);
    } catch (thrown) {
      if (!retryableStoreCodes.has(asPosternError(thrown).code)) throw thrown;
      await systemClock.sleep(Math.round(systemRandom.fraction() * 500));
    }
  }
}

async function told(mailbox: BenchGateway["mailbox"], runId: RunId): Promise<Told> {
  let text = "";
  let attempt = 1;
  const reading = follow(mailbox, runId);
  for (;;) {
    const step = await reading.next();
    if (step.done === true)
      return { text, result: step.value.status === "closed" ? step.value.terminal.result : null };
    if (step.value.attempt !== attempt) text = "";
    attempt = step.value.attempt;
    if (step.value.event === "textDelta") text += step.value.payload.text;
  }
}
