import type { Mailbox } from "../../src/mailbox/mailbox.ts";

/** The same process, each step of whose state is led through `around`: `step` takes it. */
export function aroundState(
  box: Mailbox,
  around: (name: string, step: () => unknown) => unknown,
): Mailbox {
  const state = new Proxy(box.state, {
    get: (target, name) => {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return (...parameters: unknown[]): unknown =>
        around(String(name), () => Reflect.apply(method, target, parameters));
    },
  });
  return { ...box, state };
}
