import type { Store, StoreCapabilities } from "./store.ts";

/**
 * A store that is opened when it is first used: most commands of an operator never do. What opening rejects
 * with, every call rejects with; the next call tries again.
 */
export function lazyStore(capabilities: StoreCapabilities, open: () => Promise<Store>): Store {
  let opening: Promise<Store> | undefined;
  const opened = async (): Promise<Store> => {
    opening ??= open();
    const attempt = opening;
    try {
      return await attempt;
    } catch (thrown) {
      if (opening === attempt) opening = undefined;
      throw thrown;
    }
  };
  return {
    capabilities,
    get: async (key, options) => (await opened()).get(key, options),
    put: async (key, bytes, options) => (await opened()).put(key, bytes, options),
    list: async (query, options) => (await opened()).list(query, options),
    delete: async (key, options) => (await opened()).delete(key, options),
    close: async () => {
      // What could not be opened has nothing to close.
      const store = await opening?.catch(() => undefined);
      await store?.close();
    },
  };
}
