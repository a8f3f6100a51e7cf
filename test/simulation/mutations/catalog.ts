import { admissionMutations } from "./admission.ts";
import { askingMutations } from "./asking.ts";
import type { Mutation } from "./mutation.ts";
import { ownerMutations } from "./owner.ts";
import { retentionMutations } from "./retention.ts";
import { runningMutations } from "./running.ts";

/** All holes that the simulation must find. */
export const mutations: readonly Mutation[] = [
  ...askingMutations,
  ...admissionMutations,
  ...runningMutations,
  ...ownerMutations,
  ...retentionMutations,
];
