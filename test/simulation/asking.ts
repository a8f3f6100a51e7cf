import { parseAgentAddress, type GatewayName } from "../../src/base/names.ts";
import { asPosternError } from "../../src/base/errors.ts";
import { ask, deliver } from "../../src/gateway/ask.ts";
import type { Work } from "../../src/handlers/handler.ts";
import type { Mailbox } from "../../src/mailbox/mailbox.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import { runIdOf } from "../../src/protocol/run-id.ts";
import type { Machine } from "./machine.ts";
import { minute, troubledMs, type Stage } from "./stage.ts";

/** One thing to ask, perhaps more than once. */
interface Plan {
  readonly to: GatewayName;
  readonly key: string;
  readonly text: string;
  readonly agent: string;
  readonly ttlMs: number;
  readonly deadlineMs?: number;
  readonly tenant?: string;
  /** Whether it names an earlier run that it continues. */
  readonly continuing: boolean;
}

/** Asks at random moments: few keys, so that many meet; mostly the same text under a key. */
export function askLater(stage: Stage, from: Machine, to: Machine, most: number): void {
  const { world } = stage;
  const name = `${from.label} asks ${to.name}`;
  const random = world.randomOf(name);
  // Now and then more at once than is granted.
  const burstMs = random.chance(0.2) ? random.integer(0, troubledMs - 6 * minute) : undefined;
  for (let asking = random.integer(0, most); asking > 0; asking -= 1) {
    const plan = planOf(stage, from, to.name, `${name} ${asking}`);
    const patienceMs = random.integer(0, 10) * minute;
    for (let time = random.integer(1, 2); time > 0; time -= 1) {
      const atMs = random.integer(0, troubledMs - 5 * minute);
      world.plan(
        burstMs === undefined ? atMs : burstMs + (atMs % 1000),
        `${name} ${asking}/${time}`,
        () => {
          stage.process(from, `ask${asking}`, (mailbox) =>
            put(stage, from, mailbox, plan, patienceMs),
          );
        },
      );
    }
  }
  for (let count = random.integer(0, 2); count > 0; count -= 1)
    world.plan(random.integer(minute, troubledMs), `${name}, cancels or watches ${count}`, () =>
      watchOrCancel(stage, from),
    );
}

function planOf(stage: Stage, from: Machine, to: GatewayName, name: string): Plan {
  const random = stage.world.randomOf(`${name} plan`);
  const key = random.pick(["k1", "k2", "k3", "k4"] as const);
  const agents =
    stage.weather.gateways === 3
      ? (["report", "retry", "relay"] as const)
      : (["report", "retry"] as const);
  return {
    to,
    key,
    text: random.chance(0.85) ? `work ${key} of ${from.name}` : `other ${key}`,
    agent: random.chance(0.9) ? (random.pick(agents) ?? "report") : "nowhere",
    // Some live longer than what has ended is kept.
    ttlMs: random.pick([2, 2, 5, 5, 20, 20, 10 * 24 * 60] as const) * minute,
    ...(random.chance(0.2) ? { deadlineMs: random.integer(1, 10) * minute } : {}),
    ...(random.chance(0.1) ? { tenant: "acme" } : {}),
    continuing: random.chance(0.2),
  };
}

async function put(
  stage: Stage,
  from: Machine,
  mailbox: Mailbox,
  { to, key, text, agent, continuing, ...rest }: Plan,
  patienceMs: number,
): Promise<void> {
  const { world, checker, runs } = stage;
  const earlier = continuing
    ? world
        .randomOf(`${from.label} continues ${key}`)
        .pick(runs.filter((run) => run.machine === from))
    : undefined;
  const runId = runIdOf({
    realm: from.realm,
    caller: from.name,
    tenant: rest.tenant,
    callee: to,
    idempotencyKey: key,
  });
  // Known before anything is committed: the process may die right after that.
  checker.asked(runId, text);
  runs.push({ machine: from, runId });
  world.tell(from.label, `asks ${agent} of ${to} for ${JSON.stringify(text)} as ${runId}`);
  const asked = await ask(mailbox, new Map(), {
    target: `${to}/${agent}`,
    body: { kind: "prompt", prompt: { text } },
    idempotencyKey: key,
    ...rest,
    ...(earlier === undefined ? {} : { continues: earlier.runId }),
  });
  await deliver(mailbox, asked);
  await stage.follow(from, mailbox, runId, patienceMs);
}

function watchOrCancel(stage: Stage, machine: Machine): void {
  const { world, runs } = stage;
  const random = world.randomOf(`${machine.label} watches at ${world.nowMs}`);
  const run = random.pick(runs.filter((each) => each.machine === machine));
  if (run === undefined) return;
  if (random.chance(0.5)) {
    world.tell(machine.label, `cancels ${run.runId}`);
    stage.process(machine, "cancel", (mailbox) => cancelRun(mailbox, run.runId));
  } else {
    stage.process(machine, "watch", (mailbox) =>
      stage.follow(machine, mailbox, run.runId, 5 * minute),
    );
  }
}

/** A handler's own question to the next gateway of the ring, until it has come round. */
export function relayOf(stage: Stage): (machine: Machine, work: Work) => Promise<void> {
  return async (machine, { request, runId }) => {
    const { machines } = stage;
    const next = machines[(machines.findIndex(({ name }) => name === machine.name) + 1) % 3];
    const hops = request.idempotencyKey.split(" ").length;
    if (next === undefined || hops > machines.length) return;
    const { name } = next;
    const key = `${request.idempotencyKey} on`;
    const plan = {
      to: parseAgentAddress(`${name}/relay`).gateway,
      key,
      text: `on from ${runId}`,
      agent: "relay",
      ttlMs: 5 * minute,
      continuing: false,
    };
    await new Promise<void>((resolve) => {
      stage.world.schedule(3 * minute, resolve);
      stage.process(machine, "relay", async (mailbox) => {
        try {
          await put(stage, machine, mailbox, plan, 2 * minute);
        } catch (thrown) {
          // Two attempts of one run, or two runs under one key, ask the same of the next one.
          if (asPosternError(thrown).code !== "IDEMPOTENCY_CONFLICT") throw thrown;
        }
      });
    });
  };
}
