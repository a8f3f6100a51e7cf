import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";

const manifestSchema = z.object({
  commands: z.record(
    z.string(),
    z.object({
      id: z.string(),
      summary: z.string(),
      examples: z.array(z.string()),
      hidden: z.boolean().optional(),
      args: z.record(
        z.string(),
        z.object({ required: z.boolean().optional(), options: z.array(z.string()).optional() }),
      ),
      flags: z.record(
        z.string(),
        z.object({
          type: z.enum(["boolean", "option"]),
          char: z.string().optional(),
          required: z.boolean().optional(),
          multiple: z.boolean().optional(),
          options: z.array(z.string()).optional(),
          default: z.union([z.string(), z.number(), z.boolean()]).optional(),
          env: z.string().optional(),
          dependsOn: z.array(z.string()).optional(),
          exclusive: z.array(z.string()).optional(),
        }),
      ),
    }),
  ),
});

export type CommandManifest = z.infer<typeof manifestSchema>["commands"][string];

/** All commands, as the build lists them, in the order of their names. */
export function commands(): readonly CommandManifest[] {
  const file = path.join(import.meta.dirname, "../../../oclif.manifest.json");
  const { commands: listed } = manifestSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  return Object.values(listed).toSorted((one, other) => (one.id < other.id ? -1 : 1));
}
