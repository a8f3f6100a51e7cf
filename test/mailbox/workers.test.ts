import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { toBase32 } from "../../src/base/bytes.ts";
import { isWorkerId, type WorkerId } from "../../src/base/names.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openWorker, type Worker } from "../../src/mailbox/workers.ts";

const nobody = async (): Promise<ReadonlySet<WorkerId>> => new Set();

describe("a worker", () => {
  let root: string;
  let folder: string;
  let started: { close(): void }[];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "postern-workers-"));
    folder = join(root, "a home? 100%#1", "workers");
    started = [];
  });
  afterEach(async () => {
    for (const one of started) one.close();
    await rm(root, { recursive: true });
  });

  function worker(): Worker {
    const opened = openWorker({ folder, random: systemRandom });
    started.push(opened);
    return opened;
  }

  async function child(): Promise<WorkerProcess> {
    const opened = await WorkerProcess.start(folder);
    started.push(opened);
    return opened;
  }

  const files = (): string[] => readdirSync(folder).toSorted();
  const fileOf = (id: WorkerId): string => join(folder, `${id}.lock`);

  describe("in a process of its own", () => {
    it("is alive to others as long as its process lives, and gone once that is killed", async () => {
      const [watcher, other] = [worker(), await child()];
      expect(watcher.isGone(other.self)).toBe(false);
      await other.kill();
      expect(watcher.isGone(other.self)).toBe(true);
      expect(watcher.isGone(other.self)).toBe(true);
    });

    it("is seen alike by several processes that ask at once", async () => {
      const [one, two, dead] = await Promise.all([child(), child(), child()]);
      expect(await Promise.all([one.sees(dead.self), two.sees(dead.self)])).toStrictEqual([
        false,
        false,
      ]);
      await dead.kill();
      const asked = Array.from({ length: 50 }, async () => [
        one.sees(dead.self),
        two.sees(dead.self),
      ]);
      const answers = (await Promise.all(asked)).flat();
      expect(new Set(await Promise.all(answers))).toStrictEqual(new Set([true]));
      expect(await Promise.all([one.sees(two.self), two.sees(one.self)])).toStrictEqual([
        false,
        false,
      ]);
    });

    it("stays alive to others however often they ask, sweep, and look at its file", async () => {
      const [watcher, other] = [worker(), await child()];
      for (let time = 0; time < 20; time += 1) {
        expect(watcher.isGone(other.self)).toBe(false);
        expect(await watcher.sweep(nobody)).toBe(0);
      }
      expect(statSync(fileOf(other.self)).size).toBe(0);
    });

    it("starts while others sweep all the time, and is never taken for gone", async () => {
      const watcher = worker();
      const starts = { done: false };
      const children = Promise.all(Array.from({ length: 6 }, child)).finally(() => {
        starts.done = true;
      });
      while (!starts.done) {
        await watcher.sweep(nobody);
        await new Promise(setImmediate);
      }
      const alive = (await children).map(({ self }) => self);
      expect(alive.filter((id) => watcher.isGone(id) || !existsSync(fileOf(id)))).toStrictEqual([]);
    });
  });

  it("has an id of 16 random bytes and a file for nobody else to read", () => {
    const bytes = new Uint8Array(16).fill(7);
    const opened = openWorker({ folder, random: { ...systemRandom, bytes: () => bytes } });
    started.push(opened);
    expect(opened.self).toBe(toBase32(bytes));
    expect(files()).toStrictEqual([`${opened.self}.lock`]);
    expect(statSync(fileOf(opened.self)).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it("is alive to another worker of its process, and gone once it is closed", () => {
    const [one, two] = [worker(), worker()];
    expect([one.isGone(two.self), two.isGone(one.self)]).toStrictEqual([false, false]);
    two.close();
    two.close();
    expect(one.isGone(two.self)).toBe(true);
  });

  it("never calls itself gone, not even once it is closed", () => {
    const one = worker();
    expect(one.isGone(one.self)).toBe(false);
    one.close();
    expect(one.isGone(one.self)).toBe(false);
  });

  it("takes a missing file for no proof, and does not make it", () => {
    const one = worker();
    const missing = idOf(1);
    expect(one.isGone(missing)).toBe(false);
    expect(files()).toStrictEqual([`${one.self}.lock`]);
  });

  it("takes a file that is no lock file for no proof", () => {
    const one = worker();
    writeFileSync(fileOf(idOf(1)), "x".repeat(5000));
    expect(one.isGone(idOf(1))).toBe(false);
  });

  it("cannot start where it cannot keep a file", () => {
    writeFileSync(join(root, "file"), "");
    const broken = (): Worker =>
      openWorker({ folder: join(root, "file", "x"), random: systemRandom });
    expect(broken).toThrow(expect.objectContaining({ name: "PosternError" }));
  });

  describe("sweeps", () => {
    it("the files of workers that are gone, but not of those that open receipts name", async () => {
      const [one, idle, busy, alive] = [worker(), worker(), worker(), worker()];
      for (const gone of [idle, busy]) gone.close();
      expect(await one.sweep(async () => new Set([busy.self]))).toBe(1);
      expect(files()).toStrictEqual(
        [one, busy, alive].map(({ self }) => `${self}.lock`).toSorted(),
      );
      expect(one.isGone(busy.self)).toBe(true);
      expect(await one.sweep(nobody)).toBe(1);
      expect(one.isGone(busy.self)).toBe(false);
    });

    it("only those that were gone before it asked what is in use", async () => {
      const [one, gone, dying] = [worker(), worker(), worker()];
      gone.close();
      const swept = await one.sweep(async () => {
        // It may have admitted something after the answer was made.
        dying.close();
        return new Set();
      });
      expect(swept).toBe(1);
      expect(one.isGone(dying.self)).toBe(true);
    });

    it("what starts left that did not come to an end, and nothing that it does not know", async () => {
      const one = worker();
      writeFileSync(join(folder, `${idOf(1)}.start`), "");
      writeFileSync(join(folder, "notes.lock"), "");
      writeFileSync(join(folder, "notes"), "");
      expect(await one.sweep(nobody)).toBe(1);
      expect(files()).toStrictEqual([`${one.self}.lock`, "notes", "notes.lock"].toSorted());
    });

    it("nothing, and asks nobody, when all are alive", async () => {
      const [one] = [worker(), worker()];
      const asked = one.sweep(() => Promise.reject(new Error("asked")));
      await expect(asked).resolves.toBe(0);
    });
  });
});

/** A child with a worker, which can be asked and killed. */
class WorkerProcess {
  readonly self: WorkerId;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #asking: Promise<unknown> = Promise.resolve();

  private constructor(self: WorkerId, process: ChildProcess, lines: AsyncIterator<string>) {
    this.self = self;
    this.#process = process;
    this.#lines = lines;
  }

  static async start(folder: string): Promise<WorkerProcess> {
    const script = join(import.meta.dirname, "worker-child.ts");
    const child = spawn(process.execPath, [script, folder], { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const self = await nextLine(lines);
    if (isWorkerId(self)) return new WorkerProcess(self, child, lines);
    throw new Error(`the child said ${self}`);
  }

  /** Whether this process sees that one as gone. */
  async sees(worker: WorkerId): Promise<boolean> {
    const answer = this.#asking.then(() => {
      this.#process.stdin?.write(`${worker}\n`);
      return nextLine(this.#lines);
    });
    this.#asking = answer;
    return (await answer) === "true";
  }

  async kill(): Promise<void> {
    const exited = once(this.#process, "exit");
    this.close();
    await exited;
  }

  close(): void {
    this.#process.kill("SIGKILL");
  }
}

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const next = await lines.next();
  return next.done === true ? "" : next.value;
}

function idOf(byte: number): WorkerId {
  const id = toBase32(new Uint8Array(16).fill(byte));
  if (isWorkerId(id)) return id;
  throw new Error(`${id} is no worker id`);
}
