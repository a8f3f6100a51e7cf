import { PosternError } from "../base/errors.ts";
import type { Store } from "./store.ts";

/** The same store for who only looks: `put` and `delete` reject with `STORE_READ_ONLY` before anything is asked. */
export function readOnlyStore(store: Store): Store {
  return {
    capabilities: store.capabilities,
    get: (key, options) => store.get(key, options),
    put: async (key) => refuse(`put ${key}`),
    list: (query, options) => store.list(query, options),
    delete: async (key) => refuse(`delete ${key}`),
    close: () => store.close(),
  };
}

function refuse(what: string): never {
  throw new PosternError("STORE_READ_ONLY", `${what}: the store was opened to be read`);
}
