import type { SQLInputValue } from "node:sqlite";
import type { Meta } from "../records.ts";
import type { Row } from "./row.ts";

/** The columns of what a state knows of itself, each with the value it is given. */
export function metaColumns(meta: Meta): Record<string, SQLInputValue> {
  return {
    one: 1,
    highest_clock_ms: meta.highestClockMs,
    born_ms: meta.bornMs,
    look_ms: meta.lookMs,
    generation: meta.generation,
    claimed_ms: meta.claimedMs,
    elsewhere: Number(meta.elsewhere),
    last_pass_ms: meta.lastPassMs,
    last_pass_code: meta.lastPassCode,
    last_good_pass_ms: meta.lastGoodPassMs,
  };
}

export function metaOf(row: Row): Meta {
  return {
    highestClockMs: row.integer("highest_clock_ms"),
    bornMs: row.integer("born_ms"),
    lookMs: row.integerOrNull("look_ms"),
    generation: row.integer("generation"),
    claimedMs: row.integerOrNull("claimed_ms"),
    elsewhere: row.boolean("elsewhere"),
    lastPassMs: row.integerOrNull("last_pass_ms"),
    lastPassCode: row.textOrNull("last_pass_code"),
    lastGoodPassMs: row.integerOrNull("last_good_pass_ms"),
  };
}
