import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeCbor, encodeCbor } from "../src/protocol/cbor.ts";
import { Fields, isJsonValue } from "../src/protocol/fields.ts";
import { parseHandlerEvent } from "../src/protocol/frame.ts";
import { hasConditionalWrites, makeBucket, s3Environment } from "./support/s3.ts";
import { blocksOf } from "./support/markdown.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const text = await readFile(join(root, "README.md"), "utf8");

const blocks = (language: string): string[] => blocksOf(text, language);

/** The names in one object of a JSON file of the package. */
async function fieldNames(file: string, field: string): Promise<string[]> {
  const content: unknown = JSON.parse(await readFile(join(root, file), "utf8"));
  const object = isJsonValue(content)
    ? new Fields(decodeCbor(encodeCbor(content)), file)
    : undefined;
  return object?.map(field).names() ?? [];
}

describe("the README's examples", () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "postern-readme-"));
    await mkdir(join(folder, "bin"));
    await symlink(join(root, "bin", "postern"), join(folder, "bin", "postern"));
    const path = [join(folder, "bin"), dirname(process.execPath), process.env["PATH"]];
    env = { PATH: path.join(delimiter), HOME: folder };
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  test("the two commands at the top are scripts of the package, or npm's own", async () => {
    const scripts = await fieldNames("package.json", "scripts");
    const [demo, tests] = blocks("sh");
    expect(demo).toBe("npm ci && npm run demo\n");
    expect(tests).toBe("npm ci && npm test\n");
    expect(scripts).toEqual(expect.arrayContaining(["demo", "test"]));
  });

  test(
    "two gateways on a folder do what the block says, line by line",
    { timeout: 120_000 },
    async () => {
      const [, , walk] = blocks("sh");
      const { stdout } = await run("bash", ["-euo", "pipefail", "-c", walk ?? "exit 1"], {
        cwd: folder,
        env,
      });
      const { stdout: disk } = await run("df", ["-h", "/"]);
      // The figures of a live disk change; its first line does not.
      expect(stdout).toContain(disk.split("\n")[0]);
      const { stdout: listed } = await run("postern", ["runs", "list", "--home", "hq", "--json"], {
        cwd: folder,
        env,
      });
      expect(listed).toMatch(/"succeeded"/);
    },
  );

  test.skipIf(!hasConditionalWrites)(
    "and the same in a bucket, once the first line names one",
    { timeout: 120_000 },
    async () => {
      const [, , walk = "exit 1"] = blocks("sh");
      const bucket = await makeBucket();
      const inBucket = walk.replace(/^store=.*$/m, `store='${bucket.url("mail")}'`);
      expect(inBucket).not.toBe(walk);
      const elsewhere = join(folder, "bucket");
      await mkdir(elsewhere);
      const { stdout } = await run("bash", ["-euo", "pipefail", "-c", inBucket], {
        cwd: elsewhere,
        env: { ...env, ...s3Environment },
      });
      const { stdout: disk } = await run("df", ["-h", "/"]);
      expect(stdout).toContain(disk.split("\n")[0]);
    },
  );

  test(
    "the library example prints the same answer, without another run",
    { timeout: 60_000 },
    async () => {
      const [example] = blocks("ts");
      // Inside the package, where its own name resolves to what was built.
      const place = join(root, ".cache", "readme");
      await mkdir(place, { recursive: true });
      const file = join(place, `example-${process.pid}.mts`);
      await writeFile(file, example ?? "");
      try {
        const { stdout } = await run(process.execPath, [file], { cwd: folder, env });
        const { stdout: disk } = await run("df", ["-h", "/"]);
        expect(stdout).toContain(disk.split("\n")[0]);
      } finally {
        await rm(file);
      }
      const received = await run(
        "postern",
        ["runs", "list", "--received", "--home", "lab", "--json"],
        { cwd: folder, env },
      );
      expect(received.stdout.match(/"runId"/g)).toHaveLength(1);
    },
  );

  test("agents of every kind are added as it says", async () => {
    const [, , , agents = "exit 1"] = blocks("sh");
    const place = join(folder, "agents");
    await mkdir(place);
    await writeFile(join(place, "review.headers"), "authorization: Bearer x\n", { mode: 0o600 });
    await writeFile(join(place, "notes.mjs"), "export default async function* () {}\n");
    const home = { ...env, POSTERN_HOME: join(place, "home") };
    const options = { cwd: place, env: home };
    await run("postern", ["init", "--gateway", "lab", "--store", `file://${place}/store`], options);
    await run("bash", ["-euo", "pipefail", "-c", agents], options);
    const { stdout } = await run("postern", ["agents", "list", "--json"], options);
    expect([...stdout.matchAll(/"kind":"(\w+)"/g)].map(([, kind]) => kind)).toEqual([
      "exec",
      "http",
      "module",
    ]);
  });

  test("every line of the agent's example output is one that a gateway takes", () => {
    const lines = blocks("json")[1]?.trim().split("\n") ?? [];
    expect(lines).toHaveLength(6);
    const values = lines.map((line): unknown => JSON.parse(line));
    for (const value of values.slice(0, -1)) {
      expect(isJsonValue(value) && parseHandlerEvent(value)).toHaveProperty("event");
    }
    expect(values.at(-1)).toHaveProperty("result");
  });

  test("the commands it lists are those that there are", async () => {
    const commands = await fieldNames("oclif.manifest.json", "commands");
    const there = commands.map((id) => id.split(":")[0]);
    const listed = [...text.matchAll(/^\| `postern (\w+)/gm)].map(([, name]) => name);
    for (const name of listed) expect(there).toContain(name);
    expect(listed.length).toBeGreaterThan(8);
  });
});
