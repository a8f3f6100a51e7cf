import type { HandlerEvent } from "../protocol/frame.ts";
import type { Emit } from "./handler.ts";
import { unlessStopped } from "./stop.ts";

/**
 * Hands events on, the next once the one before was taken. Rejects as `events` and `emit` do, and with the
 * reason to stop once `signal` aborts.
 */
export async function emitAll(
  events: Iterable<HandlerEvent>,
  emit: Emit,
  signal: AbortSignal,
): Promise<void> {
  for (const event of events) await unlessStopped(emit(event), signal);
}
