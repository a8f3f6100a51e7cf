import type { Receipt } from "../../src/protocol/receipt.ts";
import { cancelRun } from "../../src/mailbox/send.ts";
import type { Life } from "./life.ts";
import type { Machine } from "./machine.ts";
import { minute, type Stage } from "./stage.ts";
import { withdrawGrant } from "./trust-trouble.ts";
import { strikeKinds } from "./weather.ts";

/**
 * Trouble at the worst moment: right after a commit about a run, which others see already and nothing has been
 * done about yet. Chance alone meets these moments rarely.
 */
export class Strikes {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** A process has committed something new about a run. */
  committed(machine: Machine, life: Life, receipt: Receipt): void {
    const { world, weather } = this.#stage;
    const { chance } = weather.strikes;
    if (this.#stage.isCalm || chance === 0) return;
    const { runId, state, attempt } = receipt;
    const name = `${life.name} ${state} ${runId} ${attempt}`;
    const random = world.randomOf(`${name} strike`);
    if (!random.chance(chance)) return;
    const kind = weather.strikes.kind === "any" ? random.pick(strikeKinds) : weather.strikes.kind;
    if (kind === undefined) return;
    const longMs = random.integer(12, 90) * minute;
    const ms = random.chance(0.5) ? random.integer(1000, 2 * minute) : longMs;
    if (!world.may(`strike ${kind} ${name}`)) return;
    switch (kind) {
      case "pause":
        return life.pauseFor(ms, "right after that");
      case "crash":
        return world.schedule(0, () => life.end("crashes"));
      case "power":
        return world.schedule(0, () => {
          world.tell(machine.label, "loses power, and what was not synced");
          machine.powerOff(true);
        });
      case "grant":
        return withdrawGrant(this.#stage, machine, receipt.from);
      case "cancel":
        return this.#cancel(receipt);
    }
  }

  #cancel({ from, runId }: Receipt): void {
    const caller = this.#stage.machines.find(({ name }) => name === from);
    if (caller === undefined) return;
    this.#stage.world.tell(caller.label, `cancels ${runId}`);
    this.#stage.process(caller, "cancel-at-once", (mailbox) => cancelRun(mailbox, runId));
  }
}
