import { PosternError } from "../../src/base/errors.ts";
import { copyOfContent, newContent, type MemoryContent } from "../../src/state/memory/content.ts";
import { MemoryRecords } from "../../src/state/memory/records.ts";
import type { Commit } from "../../src/state/records.ts";
import { Syncs } from "../../src/state/syncs.ts";
import type { Life } from "./life.ts";

/**
 * What a machine's processes have in common. A commit is visible to all of them at once, and outlasts the
 * machine's power only after the next sync that succeeds, whichever process asked for it.
 */
export class SimDisk {
  #content: MemoryContent;
  /** What would outlast a loss of power; undefined while all does. */
  #durable: MemoryContent | undefined;
  /** Whether syncs fail from now on, until somebody mends the disk. */
  broken = false;

  constructor(nowMs: number) {
    this.#content = newContent(nowMs);
  }

  get content(): MemoryContent {
    return this.#content;
  }

  get durable(): MemoryContent {
    return this.#durable ?? this.#content;
  }

  snapshot(): MemoryContent {
    return copyOfContent(this.#content);
  }

  keepDurable(): void {
    this.#durable ??= copyOfContent(this.#content);
  }

  flush(): void {
    this.#durable = undefined;
  }

  losePower(): void {
    if (this.#durable !== undefined) this.restore(this.#durable);
  }

  /** Puts an earlier moment back, on a disk that works. */
  restore(content: MemoryContent): void {
    this.#content = copyOfContent(content);
    this.#durable = undefined;
    this.broken = false;
  }
}

/** The records as one process has them: what is committed durably is visible before it is durable. */
export class SimRecords extends MemoryRecords {
  readonly #disk: SimDisk;
  readonly #life: Life;
  readonly #onCommit: () => void;
  /** By the schedule of the real ones: only what a sync does is the simulation's. */
  readonly #syncs = new Syncs(() => this.#flush());

  /** `onCommit` is called after each write that changed something, while it is visible and not yet durable. */
  constructor(disk: SimDisk, life: Life, onCommit: () => void) {
    const wanted: { sync: () => void } = { sync: () => undefined };
    super({
      get content() {
        return disk.content;
      },
      keepDurable: () => undefined,
      sync: () => wanted.sync(),
    });
    this.#disk = disk;
    this.#life = life;
    this.#onCommit = onCommit;
    wanted.sync = () => void this.sync().catch(() => undefined);
  }

  override write<T>(step: () => T, commit: Commit): T {
    this.#disk.keepDurable();
    const answer = super.write(step, commit);
    if (this.dirty) this.#onCommit();
    return answer;
  }

  override settled(): Promise<void> {
    return this.#syncs.settled();
  }

  override sync(): Promise<void> {
    return this.#syncs.sync();
  }

  #flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#life.whenAwake(this.#life.random.integer(0, 8), () => {
        if (this.#disk.broken)
          return reject(new PosternError("STATE_DAMAGED", "simulated: the disk fails"));
        this.#disk.flush();
        resolve();
      });
    });
  }
}
