import { flagsOf, mutations, searches, type Mutation, type Search } from "./models.ts";
import { searchStates, type Searched } from "./spin.ts";

export interface Checked {
  readonly search: Search;
  readonly mutation: Mutation | undefined;
  readonly searched: Searched;
}

/** Searches every model to its end, and looks for every mutation, some at once; each is told of as it is done. */
export async function checkModels(
  atOnce: number,
  done: (checked: Checked) => void,
): Promise<readonly Checked[]> {
  const jobs = [
    ...searches.map((search) => ({ search, mutation: undefined })),
    ...mutations.map((mutation) => ({ search: mutation.search, mutation })),
  ];
  const waiting = jobs.values();
  const all: Checked[] = [];
  const work = async (): Promise<void> => {
    for (const job of waiting) {
      const checked = { ...job, searched: await searchStates(job.search, job.mutation?.name) };
      all.push(checked);
      done(checked);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return all;
}

/** Whether a model was searched to its end without an error, or a mutation was found. */
export function isAsPromised({ mutation, searched }: Checked): boolean {
  const { broken, incomplete } = searched;
  return mutation === undefined
    ? broken === undefined && incomplete === undefined
    : broken !== undefined;
}

export function lineOf(checked: Checked): string {
  const { search, mutation, searched } = checked;
  const { broken, incomplete, depth, ms } = searched;
  const seconds = `${(ms / 1000).toFixed(1)} s`;
  const counts = `${searched.states} states, ${searched.transitions} transitions`;
  if (mutation !== undefined) {
    const found = broken === undefined ? "NOT FOUND" : `found in ${depth} steps`;
    return `mutation ${mutation.name}: ${found} (${search.name}; ${counts}, ${seconds})`;
  }
  const bounds = flagsOf(search).join(" ");
  const errors = broken === undefined ? "errors: 0" : `BROKEN: ${broken}`;
  const rest = incomplete === undefined ? "" : `, NOT COMPLETE: ${incomplete}`;
  return `${search.model}.pml, ${search.name} (${bounds}): ${errors}, ${counts}, depth ${depth}, ${seconds}${rest}`;
}
