import { limits } from "../../src/base/limits.ts";
import { requestKey } from "../cli/support/pair.ts";
import { leaveOldRuns } from "./old-runs.ts";
import type { Kill } from "./plan.ts";
import type { Ending } from "./promises.ts";
import { atLength, plain, slow, slowAtFirst, type Life, type Side, type World } from "./world.ts";

/** One part of a run, done by one process that is killed at each of its operations. */
export interface Scenario {
  readonly name: string;
  readonly side: Side;
  readonly command: (world: World) => readonly string[];
  /** What has happened before. */
  readonly prepare?: (world: World) => Promise<void>;
  /** What its user does about the killed process, besides the passes that are made anyway. */
  readonly afterwards?: (world: World, killed: Life) => Promise<void>;
  /** A command that goes on for ever is told to stop once this operation has taken effect. */
  readonly stopAfter?: string;
  /** How the run ends; `answered` when absent. */
  readonly ending?: Ending;
  /** Whether it makes a difference, from the first start on, what the agent's route says about crashes. */
  readonly asksRoute?: true;
  /** The first operation that another scenario does not have as well. */
  readonly ownFrom?: string;
  /** Whether it is killed at what leaves no trace, too, each time. */
  readonly stepByStep?: true;
}

const poll = (): readonly string[] => ["poll"];
const serve = (): readonly string[] => ["serve"];
const gc = (): readonly string[] => ["gc"];

export const scenarios: readonly Scenario[] = [
  {
    name: "send",
    side: "caller",
    command: (world) => ["send", ...world.asking],
    // Who was told the run's name has nothing left to do.
    afterwards: async (world, { stdout }) => {
      if (stdout !== `${world.runId}\n`) await world.askAgain();
    },
    stepByStep: true,
  },
  {
    name: "poll, sending what a killed send left",
    side: "caller",
    command: poll,
    prepare: (world) =>
      dies(world, "caller", ["send", ...world.asking], after("state commit request")),
  },
  {
    name: "poll, answering",
    side: "callee",
    command: poll,
    prepare: (world) => world.ask(),
    asksRoute: true,
    stepByStep: true,
  },
  {
    name: "poll, answering at length",
    side: "callee",
    command: poll,
    prepare: (world) => world.ask(atLength),
    asksRoute: true,
    ownFrom: "state commit start",
  },
  {
    name: "serve, answering",
    side: "callee",
    command: serve,
    stopAfter: "state commit acknowledgement",
    prepare: (world) => world.ask(),
    ownFrom: "state commit start",
  },
  {
    name: "poll, refusing",
    side: "callee",
    command: poll,
    prepare: (world) => world.ask({ ...plain, target: "eu-lab/spare" }),
    ownFrom: "state commit end",
    ending: "refused",
  },
  {
    name: "poll, quarantining",
    side: "callee",
    command: poll,
    prepare: tampered,
    ownFrom: "state commit quarantine",
    ending: "quarantined",
  },
  {
    name: "poll, taking over what was admitted",
    side: "callee",
    command: poll,
    prepare: (world) => diesAnswering(world, after("state commit admission")),
  },
  {
    name: "poll, taking over what was running",
    side: "callee",
    command: poll,
    prepare: (world) => diesAnswering(world, atFirstFrames(world), slowAtFirst),
    asksRoute: true,
  },
  {
    name: "poll, publishing what was ended",
    side: "callee",
    command: poll,
    prepare: (world) => diesAnswering(world, after("state commit end")),
  },
  { name: "poll, closing", side: "caller", command: poll, prepare: answered },
  {
    name: "serve, closing",
    side: "caller",
    command: serve,
    stopAfter: "state commit close",
    prepare: answered,
  },
  {
    name: "call, following and closing",
    side: "caller",
    command: (world) => ["call", ...world.asking],
    prepare: answered,
  },
  {
    name: "gc of the caller",
    side: "caller",
    command: gc,
    prepare: leaveOldRuns,
    afterwards: collectBoth,
  },
  {
    name: "gc of the callee",
    side: "callee",
    command: gc,
    prepare: leaveOldRuns,
    afterwards: collectBoth,
  },
];

async function answered(world: World): Promise<void> {
  await world.ask();
  await world.pass("callee");
}

/** Whoever may write to the store has changed one byte of the request. */
async function tampered(world: World): Promise<void> {
  await world.ask();
  const key = requestKey(world.runId);
  await world.pair.withStore(async (store) => {
    const got = await store.get(key, { maxBytes: limits.maxEnvelopeBytes });
    if (got.status !== "found") throw new Error("the request is not in the inbox");
    const last = got.bytes.length - 1;
    const bytes = got.bytes.with(last, (got.bytes[last] ?? 0) ^ 1);
    await store.delete(key);
    await store.put(key, bytes);
  });
}

async function collectBoth(world: World): Promise<void> {
  await world.collect("caller");
  await world.collect("callee");
}

/** Each time that it is started, its gateway dies over it, for as long as it is started again. */
export async function diesEachTime(world: World): Promise<void> {
  await world.ask(slow);
  for (let starts = 1; starts <= limits.maxStarts; starts += 1)
    await dies(world, "callee", poll(), atFirstFrames(world));
}

async function diesAnswering(world: World, at: Kill, asked = plain): Promise<void> {
  await world.ask(asked);
  await dies(world, "callee", poll(), at);
}

function after(name: string): Kill {
  return { name, nth: 1, when: "after" };
}

/** The agent is at work by then. */
function atFirstFrames({ isFolder }: World): Kill {
  return { name: isFolder ? "link frames" : "PUT frames", nth: 1, when: "before" };
}

async function dies(world: World, side: Side, args: readonly string[], at: Kill): Promise<void> {
  const { killed, stderr } = await world.live(side, args, at);
  if (!killed) throw new Error(`it did not come to ${at.name}: ${stderr}`);
}
