import { isDeepStrictEqual } from "node:util";
import type { OnCrash } from "../../src/mailbox/take-over.ts";
import { limits } from "../../src/base/limits.ts";
import type { EndState } from "./end-state.ts";
import type { Note } from "./plan.ts";
import type { World } from "./world.ts";

/** What becomes of a request: it is run and answered, answered with a refusal, or kept in quarantine. */
export type Ending = "answered" | "refused" | "quarantined";

/** Whatever was killed, all of this holds at the end; answers with what does not. */
export function brokenPromises(
  world: World,
  end: EndState,
  { ending, onCrash }: { readonly ending: Ending; readonly onCrash: OnCrash },
): readonly string[] {
  return [
    ...(ending === "quarantined" ? faultsOfKept(world, end) : faultsOfEnding(end)),
    ...(ending === "refused" ? faultsOfRefusal(world, end) : []),
    ...(ending === "answered" ? faultsOfRuns(world, end, onCrash) : []),
    ...faultsOfStore(end),
  ];
}

/** The caller has one terminal, which is the one that the callee has committed, and both are done with the run. */
export function faultsOfEnding({
  asked,
  transcript,
  receipts,
  quarantined,
}: EndState): readonly string[] {
  const [receipt] = receipts;
  if (receipt === undefined || asked === null) return ["the run is lost"];
  const { terminal } = asked;
  return faults(
    [asked.state === "closed", `the caller's record is ${asked.state}`],
    [receipts.length === 1, `${receipts.length} receipts stand`],
    [receipt.state === "ended" && receipt.acknowledged, "the receipt is not settled"],
    [isDeepStrictEqual(terminal, receipt.terminal), "the caller's terminal is not the callee's"],
    [isDeepStrictEqual(terminal, transcript), "the transcript ends otherwise"],
    [quarantined.length === 0, "something is in quarantine"],
  );
}

/** A run that was killed at work is ended, or started again where its route says so; any other runs once. */
function faultsOfRuns(world: World, end: EndState, onCrash: OnCrash): readonly string[] {
  const ran = world.started.length;
  const starts = end.receipts[0]?.starts ?? 0;
  const cuts = world.lives.filter(({ notes }) => isCut(notes)).length;
  const runsAgain = onCrash === "retry" && cuts < limits.maxStarts;
  const status = cuts === 0 || runsAgain ? "succeeded" : "interrupted";
  const most = runsAgain ? cuts + 1 : Math.max(1, cuts);
  return faults(
    [end.asked?.terminal?.status === status, `it has not ended ${status}`],
    [starts === most, `${starts} starts were committed, not ${most}`],
    [ran <= starts, `it ran ${ran} times by ${starts} starts`],
    // Who dies between the commit of a start and the start has run nothing.
    [ran === starts || cuts > 0, `it ran ${ran} times`],
    [ran > 0 || status === "interrupted", "it has not run"],
    [new Set(world.started).size === ran, "one attempt ran twice"],
    [end.remembered.asked === 1, `the caller remembers ${end.remembered.asked} runs`],
    [end.remembered.received === 1, `the callee remembers ${end.remembered.received} runs`],
  );
}

function faultsOfRefusal({ started }: World, { asked }: EndState): readonly string[] {
  return faults(
    [asked?.terminal?.status === "refused", "it has not ended refused"],
    [started.length === 0, "it ran"],
  );
}

function faultsOfKept({ started }: World, end: EndState): readonly string[] {
  return faults(
    [isDeepStrictEqual(end.quarantined, ["SIGNATURE_INVALID"]), "it is not in quarantine once"],
    [end.receipts.length === 0, "it has a receipt"],
    [started.length === 0, "it ran"],
    [end.asked?.state === "open", "the caller has an answer"],
  );
}

/** Owner keys stay; a test write whose process died over it goes once it is old. */
function faultsOfStore({ objects }: EndState): readonly string[] {
  const left = objects.filter((key) => !/^[^/]+\/(?:owner|probe)\/[^/]+$/.test(key));
  return faults([left.length === 0, `objects are left: ${left.join(", ")}`]);
}

/** Whether a process died over a run that it had started and whose outcome it had not committed. */
function isCut(notes: readonly Note[]): boolean {
  const committed = (name: string): boolean =>
    notes.some((note) => note.what === "done" && note.name === `state commit ${name}`);
  return committed("start") && !committed("end") && !committed("outcome");
}

function faults(...promises: readonly (readonly [boolean, string])[]): readonly string[] {
  return promises.filter(([holds]) => !holds).map(([, fault]) => fault);
}
