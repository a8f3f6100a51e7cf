import { limits } from "../base/limits.ts";
import type { PosternError } from "../base/errors.ts";
import type { GatewayName } from "../base/names.ts";

/** Whether one more run may start, besides so many whose admission is on its way. */
export type MayStart = (onTheirWay: number) => boolean;

export interface ScanOptions {
  readonly mayStart: MayStart;
  readonly untilMs: number;
  readonly isStranger: (sender: GatewayName) => boolean;
}

/** One look through the inbox: what of it is left to the next one, and why it may not go on. */
export class Scan {
  readonly mayStart: MayStart;
  /** How long the listing is worth going on with. */
  readonly untilMs: number;
  /** Senders that have reached a quota, or found no room: the rest of what they sent waits as well, unread. */
  readonly full = new Set<GatewayName>();
  failure: PosternError | undefined;
  readonly #isStranger: (sender: GatewayName) => boolean;
  /** False once any stranger was left: their names cost nothing to invent, so what they all sent stays unread. */
  #takesStrangers = true;
  /** Senders whose quarantine was met full. */
  readonly #overBudget = new Set<GatewayName>();
  /** Bytes that were read of a sender and have to be read again. */
  readonly #inVain = new Map<GatewayName, number>();
  #over = false;

  constructor({ mayStart, untilMs, isStranger }: ScanOptions) {
    this.mayStart = mayStart;
    this.untilMs = untilMs;
    this.#isStranger = isStranger;
  }

  get goesOn(): boolean {
    return !this.#over && this.failure === undefined;
  }

  /** Asked before each admission; once it may not, the scan is over. */
  mayGoOn(): boolean {
    this.#over ||= !this.mayStart(0);
    return this.goesOn;
  }

  /** Whether what a sender has waits for the next scan. */
  leaves(sender: GatewayName): boolean {
    return this.full.has(sender) || (!this.#takesStrangers && this.#isStranger(sender));
  }

  /** What else a sender, or any stranger, has waits for the next scan. */
  leave(sender: GatewayName): void {
    if (this.#isStranger(sender)) this.#takesStrangers = false;
    else this.full.add(sender);
  }

  /** A sender's quarantine is full; true the first time that this is met. */
  metOverBudget(sender: GatewayName): boolean {
    const isNews = !this.#overBudget.has(sender);
    this.#overBudget.add(sender);
    if (this.#isStranger(sender)) this.#takesStrangers = false;
    return isNews;
  }

  /** What can neither be kept nor dealt with yet is read again by every scan, but not without bound. */
  readInVain(from: GatewayName, read: number): void {
    const bytes = (this.#inVain.get(from) ?? 0) + read;
    this.#inVain.set(from, bytes);
    if (bytes >= limits.quarantineBytesPerPeer) this.full.add(from);
  }
}
