/**
 * One gateway of the soak, in a process of its own: serves, and asks its peers in turn, so many calls at once.
 * For each line that it reads on stdin it answers with a line of JSON (`Report`): `report` while it goes on,
 * `drain` once its calls are answered and it asks no more, `stop` once its service has ended. Started with `--expose-gc`, so that what it
 * holds can be told from what is only not collected yet.
 *
 * `node --expose-gc gateway-child.ts OPTIONS`, in JSON (`ChildOptions`); credentials by the AWS chain.
 */
import { readdirSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { fromBase64Url } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { asPosternError } from "../../src/base/errors.ts";
import { parseGatewayName } from "../../src/base/names.ts";
import { ask, deliver } from "../../src/gateway/ask.ts";
import { serve } from "../../src/gateway/serve.ts";
import type { Handler } from "../../src/handlers/handler.ts";
import { follow } from "../../src/mailbox/follow.ts";
import { parseStoreUrl } from "../../src/store/open.ts";
import { S3Store } from "../../src/store/s3.ts";
import { agent, agents, openBenchGateway, type Identity } from "../bench/gateways.ts";
import { spreadOf } from "../bench/series.ts";
import { childOptionsSchema, type Report } from "./report.ts";

const options = childOptionsSchema.parse(JSON.parse(process.argv[2] ?? ""));
const [self, ...peers] = options.identities.map(({ name, seed }): Identity => ({
  name: parseGatewayName(name),
  seed: fromBase64Url(seed) ?? new Uint8Array(),
}));
if (self === undefined) throw new Error("a gateway has a name");

let starts = 0;
/** Streams a little, and says its prompt back. */
const handler: Handler = {
  run: async ({ request: { body } }, emit, signal) => {
    starts += 1;
    for (const text of ["one", "two", "three"]) {
      await emit({ event: "textDelta", payload: { text } });
      await systemClock.sleep(50, signal);
    }
    return { result: body.kind === "prompt" ? body.prompt.text : null };
  },
};

const place = parseStoreUrl(options.url);
if (place.kind !== "s3") throw new Error("the soak is about S3");
await using gateway = await openBenchGateway({
  self,
  peers,
  store: new S3Store({ ...place, endpoint: options.endpoint, timeoutMs: 5000 }),
  folder: options.folder,
});
const { mailbox } = gateway;
const stop = new AbortController();
const service = serve(mailbox, {
  ...agents(handler),
  minDelayMs: 200,
  maxDelayMs: 1000,
  graceMs: 10_000,
  signal: stop.signal,
});

const latencies: number[] = [];
let calls = 0;
const drain = new AbortController();
let wrong = 0;
const retries = new Map<string, number>();

/** Asks until it is answered; what a store may fail with is asked once more, under the same key. */
async function call(number: number): Promise<void> {
  const peer = peers[number % peers.length];
  if (peer === undefined) return;
  const text = `work ${number}`;
  const request = {
    target: `${peer.name}/${agent}`,
    body: { kind: "prompt", prompt: { text } },
    idempotencyKey: `key-${number}`,
  } as const;
  const begun = performance.now();
  for (;;) {
    try {
      const asked = await ask(mailbox, new Map(), request);
      await deliver(mailbox, asked);
      const reading = follow(mailbox, asked.record.runId);
      let step = await reading.next();
      while (step.done !== true) step = await reading.next();
      const { value } = step;
      if (value.status !== "closed" || value.terminal.result !== text) wrong += 1;
      break;
    } catch (thrown) {
      const { code, class: kind } = asPosternError(thrown);
      if (kind !== "store") throw thrown;
      retries.set(code, (retries.get(code) ?? 0) + 1);
      await systemClock.sleep(200);
    }
  }
  latencies.push(performance.now() - begun);
  calls += 1;
}

let next = 0;
const asking = Array.from({ length: options.callsAtOnce }, async () => {
  while (!drain.signal.aborted) await call(next++);
});

async function report(): Promise<Report> {
  globalThis.gc?.();
  const taken = spreadOf(latencies.splice(0));
  const { heapUsed, external, rss } = process.memoryUsage();
  const { received, asked } = await mailbox.state.overview();
  return {
    calls,
    wrong,
    starts,
    retries: Object.fromEntries(retries),
    medianMs: taken.median,
    p90Ms: taken.p90,
    heldBytes: heapUsed + external,
    rssBytes: rss,
    descriptors: readdirSync("/proc/self/fd").length,
    requests: gateway.requests(),
    received: received.ended,
    open: received.admitted + received.running + received.unpublished,
    asked: asked.closed,
    unanswered: asked.open + asked.unknown,
  };
}

for await (const line of createInterface(process.stdin)) {
  if (line === "drain") {
    drain.abort();
    await Promise.all(asking);
  }
  if (line === "stop") {
    stop.abort();
    await service;
  }
  writeSync(1, `${JSON.stringify(await report())}\n`);
  if (line === "stop") break;
}
