import { readFileSync } from "node:fs";

/** Written once when a system is set up (machine-id(5)); the second place is that of older ones. */
const machineIdFiles = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/**
 * What names this machine, as its state wants to know it. Where the system has no such name, as in many
 * containers, all machines share one: a copied home is then told by its folder, its file and the owner keys.
 */
export function machineName(files: readonly string[] = machineIdFiles): string {
  for (const file of files) {
    const name = contentOf(file)?.trim();
    if (name !== undefined && /^[0-9a-f]{32}$/.test(name)) return name;
  }
  return "unnamed";
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
