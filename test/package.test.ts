import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

const root = join(import.meta.dirname, "..");

const Manifest = z.object({
  version: z.string(),
  engines: z.object({ node: z.string() }),
  dependencies: z.record(z.string(), z.string()),
});
const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({ integrity: z.string().optional(), resolved: z.string().optional() }),
  ),
});
const Packed = z.tuple([
  z.object({
    filename: z.string(),
    files: z.array(z.object({ path: z.string(), mode: z.number() })),
  }),
]);

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(program: string, args: readonly string[], cwd: string): Promise<Ended> {
  const env = {
    ...process.env,
    XDG_CACHE_HOME: join(cwd, ".cache"),
    POSTERN_HOME: join(cwd, "home"),
  };
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const child = execFile(program, args, { cwd, env }, (_, stdout, stderr) => {
    resolve({ status: child.exitCode ?? -1, stdout, stderr });
  });
  return promise;
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, "utf8"));
}

let manifest: z.infer<typeof Manifest>;
/** A project of somebody's, in which the packed Postern is installed with its dependencies and nothing else. */
let project: string;
let packed: z.infer<typeof Packed>[0];

async function postern(...args: readonly string[]): Promise<Ended> {
  return run(
    process.execPath,
    [join(project, "node_modules", "postern", "bin", "postern"), ...args],
    project,
  );
}

beforeAll(async () => {
  await access(join(root, "dist", "cli", "main.js")).catch((cause: unknown) => {
    throw new Error("there is no dist/ to pack: `npm run build` first", { cause });
  });
  manifest = Manifest.parse(await readJson(join(root, "package.json")));
  project = await mkdtemp(join(tmpdir(), "postern-package-"));
  const modules = join(project, "node_modules");
  await mkdir(join(modules, "postern"), { recursive: true });

  const pack = await run(
    "npm",
    ["pack", "--json", "--ignore-scripts", "--pack-destination", project],
    root,
  );
  [packed] = Packed.parse(JSON.parse(pack.stdout));
  const unpack = [
    "-xzf",
    packed.filename,
    "--strip-components=1",
    "-C",
    join("node_modules", "postern"),
  ];
  expect(await run("tar", unpack, project)).toMatchObject({ status: 0 });
  for (const name of Object.keys(manifest.dependencies)) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(root, "node_modules", name), join(modules, name), "dir");
  }
});

afterAll(async () => {
  await rm(project, { recursive: true, force: true });
});

describe("the package", () => {
  test("holds the program, the library, the specification and what says how they may be used", () => {
    const paths = packed.files.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        "bin/postern",
        "dist/cli/main.js",
        "dist/index.js",
        "dist/index.d.ts",
        "oclif.manifest.json",
        "src/protocol/SPEC.md",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "docs/operating.md",
      ]),
    );
  });

  test("holds nothing else: no tests, no sources, no settings", () => {
    const known =
      /^(?:bin\/postern|dist\/.+\.(?:js|d\.ts)|oclif\.manifest\.json|package\.json|src\/protocol\/SPEC\.md|docs\/(?:\w+\/)?[\w.-]+|LICENSE|README\.md|CHANGELOG\.md)$/;
    expect(packed.files.filter(({ path }) => !known.test(path))).toEqual([]);
  });

  test("has one executable", () => {
    const executables = packed.files.filter(({ mode }) => (mode & 0o111) !== 0);
    expect(executables.map(({ path }) => path)).toEqual(["bin/postern"]);
  });

  test("can be imported by its name with its own dependencies alone", async () => {
    await writeFile(
      join(project, "consumer.mjs"),
      'import * as postern from "postern"; console.log(Object.keys(postern).length);',
    );
    const ended = await run(process.execPath, ["consumer.mjs"], project);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(Number(ended.stdout)).toBeGreaterThan(0);
  });
});

describe("the packed program", () => {
  test("says its version", async () => {
    const { status, stdout } = await postern("--version");
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(`^postern/${manifest.version} `),
    });
  });

  test("lists its commands without loading them", async () => {
    const commands = z.object({ commands: z.record(z.string(), z.unknown()) });
    const path = join(project, "node_modules", "postern", "oclif.manifest.json");
    const known = commands.parse(await readJson(path));
    const { stdout } = await postern("help");
    const listed = stdout.split("\n").map((line) => line.trim().split(" ")[0]);
    const first = Object.keys(known.commands).map((id) => id.split(":")[0]);
    expect(listed).toEqual(expect.arrayContaining(first));
  });

  test("can load every one of its modules with its own dependencies alone", async () => {
    // Those are programs of the demo: loading one runs it.
    const programs = new Set(["dist/cli/demo/audit.js", "dist/cli/demo/disk-agent.js"]);
    const modules = packed.files.filter(
      ({ path }) => /^dist\/.+\.js$/.test(path) && !programs.has(path),
    );
    const imports = modules.map(({ path }) => `import "./node_modules/postern/${path}";`);
    await writeFile(join(project, "everything.mjs"), imports.join("\n"));
    const ended = await run(process.execPath, ["everything.mjs"], project);
    expect(ended).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("ends wrong usage with status 2, a coded line on stderr and nothing on stdout", async () => {
    const ended = await postern("no-such-command");
    expect(ended).toMatchObject({ status: 2, stdout: "" });
    expect(ended.stderr).toMatch(/^postern: USAGE: /m);
  });

  test("says plainly which Node it needs, on an older one", async () => {
    const older =
      "Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.19.0'}})";
    const bin = join(project, "node_modules", "postern", "bin", "postern");
    const ended = await run(
      process.execPath,
      ["--import", `data:text/javascript,${older}`, bin],
      project,
    );
    const needed = manifest.engines.node.replace(">=", "");
    expect(ended).toEqual({
      status: 2,
      stdout: "",
      stderr: `postern: USAGE: this is Node 20.19.0, and Postern needs Node ${needed} or newer\n`,
    });
  });
});

describe("two users of the packed program", () => {
  /** As npm puts programs on the PATH of a project's scripts. */
  async function shell(script: string): Promise<Ended> {
    const bin = join(project, "node_modules", ".bin");
    await mkdir(bin, { recursive: true });
    await symlink("../postern/bin/postern", join(bin, "postern"));
    await writeFile(
      join(project, "shout.mjs"),
      'import { json } from "node:stream/consumers"; process.stdout.write((await json(process.stdin)).prompt.text.toUpperCase());',
    );
    const path = [bin, dirname(process.execPath), process.env["PATH"]].join(delimiter);
    return run("env", [`PATH=${path}`, "bash", "-euo", "pipefail", "-c", script], project);
  }

  test("exchange cards, send, poll and call", { timeout: 120_000 }, async () => {
    const ended = await shell(`
      postern init --home hq --gateway hq --store "file://$PWD/store"
      postern init --home lab --gateway lab --store "file://$PWD/store"
      postern card export --home lab | postern peers add - --home hq --yes
      postern card export --home hq --out hq.card
      postern peers add hq.card --home lab --agent shout --yes
      postern agents add shout --home lab --exec "$(command -v node) $PWD/shout.mjs"
      postern send lab/shout --home hq --prompt hello --idempotency-key once
      postern poll --home lab
      printf 'answer: '
      postern call lab/shout --home hq --prompt hello --idempotency-key once
      printf '\\nruns: '
      postern runs list --home lab --received --json
    `);
    expect(ended).toMatchObject({ status: 0 });
    expect(ended.stdout).toContain("\nanswer: HELLO\nruns: [{");
    const received: unknown = JSON.parse(ended.stdout.split("runs: ")[1] ?? "");
    expect(received).toEqual([expect.objectContaining({ from: "hq", starts: 1, published: true })]);
  });
});

describe("the lock file", () => {
  test("pins every package by its content and names no registry", async () => {
    const { packages } = Lock.parse(await readJson(join(root, "package-lock.json")));
    const installed = Object.entries(packages).filter(([path]) => path !== "");
    expect(installed.length).toBeGreaterThan(0);
    expect(installed.filter(([, { integrity }]) => integrity === undefined)).toEqual([]);
    expect(installed.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });
});
