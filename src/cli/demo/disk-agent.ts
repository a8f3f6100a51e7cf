/**
 * The demo's agent: a program that a gateway starts for each request, with the request on stdin and its answer
 * as JSON lines on stdout. It says why a folder fills up, from what it finds there.
 *
 * `node disk-agent.js FOLDER JOURNAL`: a line in JOURNAL for each time it really ran.
 */
import { createHash } from "node:crypto";
import { appendFileSync, readdirSync, readFileSync, statfsSync, statSync } from "node:fs";
import path from "node:path";

interface FoundFile {
  readonly name: string;
  readonly bytes: number;
  readonly digest: string;
}

const [folder, journal] = process.argv.slice(2);
if (folder === undefined || journal === undefined) {
  process.stderr.write("usage: disk-agent FOLDER JOURNAL\n");
  process.exitCode = 2;
} else {
  appendFileSync(journal, `${process.env["POSTERN_RUN_ID"] ?? "unknown"}\n`);
  diagnose(folder);
}

function diagnose(root: string): void {
  const files = readdirSync(root)
    .toSorted()
    .flatMap((name, index) => lookInto(root, name, `look-${index + 1}`));
  const total = sum(files);
  say(
    `${files.length} files hold ${size(total)}; the disk they lie on has ${freeOf(root)} left.\n`,
  );

  const folders = Map.groupBy(files, ({ name }) => path.dirname(name));
  for (const [name, held] of [...folders].toSorted(([, a], [, b]) => sum(b) - sum(a))) {
    say(
      `- ${name}: ${size(sum(held))}, ${percent(sum(held), total)} of it, in ${held.length} files\n`,
    );
  }
  const largest = files.toSorted((a, b) => b.bytes - a.bytes)[0];
  if (largest !== undefined) {
    say(
      `The largest is ${largest.name} with ${size(largest.bytes)}: most of it is ${habitOf(root, largest)}.\n`,
    );
  }
  const copies = [...Map.groupBy(files, ({ digest }) => digest).values()].flatMap((same) =>
    same.slice(1),
  );
  if (copies.length > 0)
    say(`${copies.length} files are copies of others: ${size(sum(copies))} for nothing.\n`);
  emit("phaseEnd", { phase: "diagnosis" });
  write({
    result: {
      files: files.length,
      bytes: total,
      largest: largest?.name ?? null,
      copies: copies.length,
    },
  });
}

/** One folder, as a tool call that can be read along. */
function lookInto(root: string, name: string, id: string): FoundFile[] {
  emit("toolCall", { id, name: "list_folder", input: { path: name } });
  const files = readdirSync(path.join(root, name))
    .toSorted()
    .map((file): FoundFile => {
      const content = readFileSync(path.join(root, name, file));
      const digest = createHash("sha256").update(content).digest("hex");
      return { name: `${name}/${file}`, bytes: statSync(path.join(root, name, file)).size, digest };
    });
  emit("toolResult", { id, output: { files: files.length, bytes: sum(files) }, isError: false });
  return files;
}

/** The line that a text file repeats most, which is what fills it. */
function habitOf(root: string, { name }: FoundFile): string {
  const lines = readFileSync(path.join(root, name), "utf8").split("\n");
  const kinds = Map.groupBy(lines, (line) => line.replaceAll(/[0-9]+/g, "N"));
  const [kind, same] = [...kinds].toSorted(([, a], [, b]) => b.length - a.length)[0] ?? ["", []];
  return `one line, ${same.length} times: "${kind}"`;
}

function freeOf(root: string): string {
  const { bavail, bsize } = statfsSync(root);
  return size(bavail * bsize);
}

function sum(files: readonly FoundFile[]): number {
  return files.reduce((bytes, file) => bytes + file.bytes, 0);
}

function percent(part: number, whole: number): string {
  return `${Math.round((100 * part) / Math.max(1, whole))} %`;
}

function size(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}

function say(text: string): void {
  emit("textDelta", { text });
}

function emit(event: string, payload: object): void {
  write({ event, payload });
}

function write(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
