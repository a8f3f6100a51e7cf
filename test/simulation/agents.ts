import { PosternError } from "../../src/base/errors.ts";
import { parseAgentName, type AgentName } from "../../src/base/names.ts";
import type { AgentRoute } from "../../src/gateway/starter.ts";
import type { Handler, Work } from "../../src/handlers/handler.ts";
import type { Checker } from "./checker.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";

/** Asks the next gateway of the ring, and waits for its answer for a while. */
export type Relay = (machine: Machine, work: Work) => Promise<void>;

const maxRunMs = 600_000;

/** What one process runs: `report`, `retry` with the other mark, and `relay`, which asks on. */
export function agentsOf(
  machine: Machine,
  life: Life,
  checker: Checker,
  relay: Relay,
): ReadonlyMap<AgentName, AgentRoute> {
  const route = (agent: string, onCrash: "report" | "retry", asks: boolean) =>
    [
      parseAgentName(agent),
      {
        handler: handlerOf(machine, life, { checker, onCrash, ...(asks ? { relay } : {}) }),
        maxRunMs,
        onCrash,
      },
    ] as const;
  return new Map([
    route("report", "report", false),
    route("retry", "retry", false),
    route("relay", "report", true),
  ]);
}

interface HandlerParts {
  readonly checker: Checker;
  readonly onCrash: "report" | "retry";
  readonly relay?: Relay;
}

/** Says a few things, slowly, and then succeeds, fails, or hangs until it is told to stop. */
function handlerOf(
  machine: Machine,
  life: Life,
  { checker, onCrash, relay }: HandlerParts,
): Handler {
  const { world } = machine;
  return {
    run: async (work, emit, signal) => {
      world.tell(life.name, `starts the handler of ${work.runId}, attempt ${work.attempt}`);
      const ended = checker.started(machine, life, work, onCrash);
      try {
        const random = world.randomOf(`${life.name} runs ${work.runId} ${work.attempt}`);
        await relay?.(machine, work);
        for (let step = random.integer(0, 4); step > 0 && !signal.aborted; step -= 1) {
          const text = `${work.runId}/${work.attempt}/${step}`;
          checker.emitted(work, text);
          await emit({ event: "textDelta", payload: { text } });
          await wait(machine, random.integer(0, 2000), signal);
        }
        if (random.chance(0.05)) await wait(machine, random.integer(0, 3_600_000), signal);
        if (random.chance(0.1)) throw new PosternError("HANDLER_FAILED", "simulated");
        // What a dead process would have come to is no part of its story.
        if (life.alive) world.tell(life.name, `has done ${work.runId}, attempt ${work.attempt}`);
        return { result: { of: work.runId } };
      } finally {
        ended();
      }
    },
  };
}

/** Handlers live in their process, but their time is the world's: what they await dies with nobody. */
function wait({ world }: Machine, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    world.schedule(ms, resolve);
    signal.addEventListener("abort", () => world.schedule(0, resolve), { once: true });
  });
}
