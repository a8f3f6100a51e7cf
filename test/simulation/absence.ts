import { gc } from "../../src/gateway/gc.ts";
import { limits } from "../../src/base/limits.ts";
import { minute, type Stage } from "./stage.ts";

/**
 * Now and then everybody goes away in the middle of it all, for longer than anything is kept, and begins by
 * taking retention to its end: what was left open by then must not be taken for what is over.
 */
export async function goAway(stage: Stage): Promise<void> {
  const { world, machines } = stage;
  const random = world.randomOf("absence");
  if (!random.chance(0.15) || world.isOver) return;
  for (const machine of machines) machine.powerOff(false);
  world.tell("world", "is left alone for eight days");
  await world.pass(limits.retentionMs + 24 * 60 * minute);
  for (const machine of machines)
    stage.process(machine, "gc-after-absence", async (mailbox) => {
      const { problem } = await gc(mailbox, { sweepTemporaries: async () => 0 });
      if (problem !== null) throw problem;
    });
  await world.pass(minute);
}
