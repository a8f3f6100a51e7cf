import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { toBase64Url } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { agents, newIdentity, openBenchGateway, type Identity } from "../bench/gateways.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";
import { environmentOf, type TestBucket } from "../support/bucket.ts";
import { faultKinds, FaultProxy } from "../support/fault-proxy.ts";
import { leftIn, takeLateObjects } from "../support/late-objects.ts";
import type { S3UnderTest } from "../support/s3-server.ts";
import { reportSchema, type ChildOptions, type Report } from "./report.ts";

export interface SoakOptions {
  readonly s3: S3UnderTest;
  readonly bucket: TestBucket;
  readonly folder: string;
  /** It ends after so long, or after so many calls, whichever comes first. */
  readonly maxMs: number;
  readonly maxCalls: number;
  /** How many windows the time is looked at in. */
  readonly windows: number;
  /** Of all requests, how many something befalls on the way. */
  readonly faultRate: number;
  readonly seed: number;
  readonly onWindow?: (window: Window) => void;
}

/** All gateways over one stretch of time. */
export interface Window {
  readonly endMs: number;
  /** Answered in it. */
  readonly calls: number;
  /** The worst of the gateways. */
  readonly medianMs: number;
  readonly p90Ms: number;
  /** The most that any one of them holds at its end. */
  readonly heldBytes: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly requestsPerCall: number;
  /** Records and receipts retained by all of them at its end. */
  readonly retained: number;
}

export interface SoakResult {
  readonly windows: readonly Window[];
  readonly last: readonly Report[];
  readonly faults: number;
  /** How many runs began only after every call was answered: requests that lay there again. */
  readonly ranAgain: number;
  /** What lies in the bucket in the end, besides owner keys. */
  readonly left: readonly string[];
}

const gateways = ["north", "south", "west"];
const callsAtOnce = 4;

/** Several gateways that serve and ask each other over a bad line, for as long as it says. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { s3, bucket, folder, faultRate } = options;
  const random = new SeededRandom(options.seed);
  await using opened = new AsyncDisposableStack();
  const proxy = opened.use(
    await FaultProxy.start({
      target: s3.endpoint,
      draw: () => (random.chance(faultRate) ? random.pick(faultKinds) : undefined),
      delayMs: () => random.integer(1, 1000),
    }),
  );
  const identities = gateways.map(newIdentity);
  const children = identities.map((self) =>
    opened.use(new Child(s3, childOptions(options, proxy.endpoint, self, identities))),
  );
  const windows = await watch(options, children);
  // Whoever still waits for an answer waits for a peer that has to be there.
  await Promise.all(children.map((child) => child.ask("drain")));
  const last = await Promise.all(children.map((child) => child.ask("stop")));
  await proxy.settled();
  let ranAgain = 0;
  // Twice: what one of them publishes again may lie before another that has already looked.
  for (const self of [...identities, ...identities]) {
    ranAgain += await tidy(bucket, folder, self, identities);
  }
  const faults = [...proxy.counts.values()].reduce((all, count) => all + count, 0);
  return { windows, last, faults, ranAgain, left: await leftIn(bucket.store("soak")) };
}

async function watch(options: SoakOptions, children: readonly Child[]): Promise<Window[]> {
  const { maxMs, maxCalls, windows: count, onWindow } = options;
  const begunMs = performance.now();
  const windows: Window[] = [];
  let before = await Promise.all(children.map((child) => child.ask("report")));
  for (let number = 1; number <= count; number += 1) {
    const waitMs = (maxMs * number) / count - (performance.now() - begunMs);
    await systemClock.sleep(Math.max(0, waitMs));
    const now = await Promise.all(children.map((child) => child.ask("report")));
    const window = windowOf(performance.now() - begunMs, before, now);
    windows.push(window);
    onWindow?.(window);
    if (sumOf(now, ({ calls }) => calls) >= maxCalls) break;
    before = now;
  }
  return windows;
}

function windowOf(endMs: number, before: readonly Report[], now: readonly Report[]): Window {
  const most = (of: (report: Report) => number): number => Math.max(...now.map(of));
  const added = (of: (report: Report) => number): number => sumOf(now, of) - sumOf(before, of);
  const calls = added((report) => report.calls);
  const requests = added(
    ({ requests: { put, list, get, delete: deleted } }) => put + list + get + deleted,
  );
  return {
    endMs,
    calls,
    medianMs: most(({ medianMs }) => medianMs ?? 0),
    p90Ms: most(({ p90Ms }) => p90Ms ?? 0),
    heldBytes: most(({ heldBytes }) => heldBytes),
    rssBytes: most(({ rssBytes }) => rssBytes),
    descriptors: most(({ descriptors }) => descriptors),
    requestsPerCall: requests / Math.max(1, calls),
    retained: sumOf(now, ({ received, asked }) => received + asked),
  };
}

function sumOf(reports: readonly Report[], of: (report: Report) => number): number {
  return reports.reduce((all, report) => all + of(report), 0);
}

function childOptions(
  { bucket, folder }: SoakOptions,
  endpoint: string,
  self: Identity,
  all: readonly Identity[],
): ChildOptions {
  const others = all.filter(({ name }) => name !== self.name);
  return {
    url: bucket.url("soak"),
    endpoint,
    folder: join(folder, self.name),
    callsAtOnce,
    identities: [self, ...others].map(({ name, seed }) => ({ name, seed: toBase64Url(seed) })),
  };
}

async function tidy(
  bucket: TestBucket,
  folder: string,
  self: Identity,
  all: readonly Identity[],
): Promise<number> {
  await using gateway = await openBenchGateway({
    self,
    peers: all.filter(({ name }) => name !== self.name),
    store: bucket.store("soak"),
    folder: join(folder, self.name),
    stands: true,
  });
  return await takeLateObjects(gateway.mailbox, agents());
}

/** A gateway in a process of its own (see `gateway-child.ts`). */
class Child implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor(s3: S3UnderTest, options: ChildOptions) {
    const program = join(import.meta.dirname, "gateway-child.ts");
    const flags = ["--expose-gc", "--disable-warning=ExperimentalWarning"];
    this.#child = spawn(process.execPath, [...flags, program, JSON.stringify(options)], {
      env: { ...process.env, ...environmentOf(s3) },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async ask(what: "report" | "drain" | "stop"): Promise<Report> {
    this.#child.stdin.write(`${what}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("a gateway of the soak has ended early");
    return reportSchema.parse(JSON.parse(value));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.stdin.end();
    // One that has stopped ends by itself; any other one is not needed any more.
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await exit;
    clearTimeout(timer);
  }
}
