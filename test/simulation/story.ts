import type { Outcome } from "./scenario.ts";

const runIdPattern = /[a-z2-7]{52}/g;

/**
 * What led to the first violation, line by line, each with its time in seconds: what tells of the run that it is
 * about, or of no run at all. Runs are called by numbers, in the order in which they come.
 */
export function storyOf({ story, violations }: Outcome): string {
  const end = story.findIndex((line) => line.includes("!!!"));
  const told = end < 0 ? story : story.slice(0, end + 1);
  const about = new Set((violations[0] ?? "").match(runIdPattern) ?? []);
  const lines = told.filter((line) => {
    const runs = line.match(runIdPattern) ?? [];
    return runs.length === 0 || about.size === 0 || runs.some((run) => about.has(run));
  });
  const names = new Map<string, string>();
  const nameOf = (runId: string): string => {
    const name = names.get(runId) ?? `run-${names.size + 1}`;
    names.set(runId, name);
    return name;
  };
  return lines.map((line) => line.replaceAll(runIdPattern, nameOf)).join("\n");
}
