import { string } from "@oclif/core/args";

/** What the commands about one run take. */
export const runArgs = {
  runid: string({
    description: "The run: what `send` printed, and `runs list` shows.",
    required: true,
    ignoreStdin: true,
  }),
};
