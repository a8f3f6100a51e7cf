export interface StopSignals {
  /** Aborts at the first of them; its reason is the signal's name. */
  readonly first: AbortSignal;
  /** Aborts at the second one. A third kills as usual. */
  readonly second: AbortSignal;
}

/** Listens for what tells this process to stop. */
export function stopSignals(names: readonly NodeJS.Signals[]): StopSignals {
  const [first, second] = [new AbortController(), new AbortController()];
  const hear = (name: NodeJS.Signals): void => {
    if (!first.signal.aborted) return first.abort(name);
    second.abort(name);
    for (const each of names) process.off(each, hear);
  };
  for (const name of names) process.on(name, hear);
  return { first: first.signal, second: second.signal };
}
