import { limits } from "../base/limits.ts";
import { parseStoreUrl, sweepTemporaries } from "../store/open.ts";
import { servePaceOf } from "./config.ts";
import { gc, type GcOptions, type GcReport } from "./gc.ts";
import type { Gateway } from "./gateway.ts";
import { holdPassLock } from "./pass-lock.ts";
import { poll, type PollOptions, type PollReport } from "./poll.ts";
import { serve, type ServeOptions, type ServeReport } from "./serve.ts";

export type PassOptions = Pick<PollOptions, "maxRuns" | "maxTimeMs" | "signal">;
export type ServiceOptions = Pick<ServeOptions, "signal" | "haste"> & {
  /** 30 seconds when absent. */
  readonly graceMs?: number;
};

/**
 * One pass of an opened gateway, bounded as its config says where the options say nothing. One pass of a home
 * at a time, until it admits nothing more. Rejects with `PASS_RUNNING`, or as `poll` does.
 */
export async function runPass(gateway: Gateway, options: PassOptions = {}): Promise<PollReport> {
  using lock = holdPassLock(gateway.home);
  const { maxRuns = Infinity, maxSeconds = Infinity } = gateway.config.poll ?? {};
  return await poll(gateway.mailbox, {
    ...gateway.responder,
    maxRuns,
    maxTimeMs: maxSeconds * 1000,
    ...options,
    onAdmissionOver: () => lock[Symbol.dispose](),
  });
}

/** Serves an opened gateway, as often as its config says. Rejects with `CONFIG_INVALID`, or as `serve` does. */
export function runService(gateway: Gateway, options: ServiceOptions): Promise<ServeReport> {
  const pace = servePaceOf(gateway.config);
  return serve(gateway.mailbox, {
    ...gateway.responder,
    ...pace,
    graceMs: limits.serveGraceMs,
    ...options,
  });
}

/**
 * Retention of an opened gateway, to its end; a dry run of one that was opened to be read writes nothing at all.
 * Rejects as `gc` does.
 */
export function runGc(
  { mailbox, config }: Gateway,
  { dryRun = false, ...rest }: Pick<GcOptions, "dryRun" | "signal"> = {},
): Promise<GcReport> {
  const { clock, random } = mailbox;
  const pinned = config.storeId === undefined ? {} : { expectedId: config.storeId };
  return gc(mailbox, {
    ...rest,
    dryRun,
    sweepTemporaries: () =>
      sweepTemporaries(parseStoreUrl(config.store), { clock, random, dryRun, ...pinned }),
  });
}
