import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { parseObjectKey } from "../../src/protocol/object-key.ts";
import type { Store } from "../../src/store/store.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

const minute = 60_000;

/** Where it happens, and whether trouble is over there. */
interface Scene {
  readonly world: World;
  readonly isCalm: boolean;
}

/**
 * In some worlds the lid of a machine is closed now and then while one of its processes reads a request: what it has
 * looked at before is old when it goes on, and nobody else on its machine has dealt with the request meanwhile.
 */
export function underLid(scene: Scene, machine: Machine, life: Life, mailbox: Mailbox): Mailbox {
  const { world } = scene;
  if (!world.randomOf("lids").chance(0.2)) return mailbox;
  const random = world.randomOf(`${life.name} lid`);
  const { store } = mailbox;
  const closing: Store = {
    capabilities: store.capabilities,
    get: (key, options) => {
      const closes = parseObjectKey(key)?.kind === "request" && random.chance(0.3);
      if (closes && !scene.isCalm && !machine.isOff && world.may(`${life.name} lid ${key}`))
        machine.standStill(random.integer(8, 40) * minute);
      return store.get(key, options);
    },
    put: (key, bytes) => store.put(key, bytes),
    list: (query) => store.list(query),
    delete: (key) => store.delete(key),
    close: () => store.close(),
  };
  return { ...mailbox, store: closing };
}
