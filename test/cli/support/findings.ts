import { fieldOf, itemsOf, parsed, textOf } from "./json.ts";
import type { Pair } from "./pair.ts";

/** What `doctor` says of the callee's home did not go well, by status, check and code. */
export async function doctor(
  pair: Pair,
): Promise<{ status: number | null; bad: readonly string[] }> {
  const { status, stdout } = await pair.run(pair.callee, ["doctor", "--json"]);
  const bad = itemsOf(parsed(stdout))
    .filter((finding) => fieldOf(finding, "status") !== "ok")
    .map((finding) =>
      ["status", "check", "code"]
        .map((name) => textOf(finding, name))
        .join(" ")
        .trim(),
    );
  return { status, bad };
}
