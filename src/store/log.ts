import type { Clock } from "../base/clock.ts";
import { asPosternError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { aroundStore } from "./around.ts";
import type { Store } from "./store.ts";

/** Logs every operation at level debug: what, how long, and what it came to. Never an object's bytes. */
export function logStore(store: Store, logger: Logger, clock: Clock): Store {
  return aroundStore(store, async ({ operation, name }, run, outcomeOf) => {
    const started = clock.now();
    const fields = () => ({ operation, name, ms: clock.now() - started });
    try {
      const result = await run();
      logger.debug({ ...fields(), ...outcomeOf(result) }, "store operation");
      return result;
    } catch (thrown) {
      const { code, message } = asPosternError(thrown);
      logger.debug({ ...fields(), code, error: message }, "store operation failed");
      throw thrown;
    }
  });
}
