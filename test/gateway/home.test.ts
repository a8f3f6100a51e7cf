import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { toBase64Url } from "../../src/base/bytes.ts";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { asPosternError, PosternError } from "../../src/base/errors.ts";
import { parseAgentName, parseGatewayName, parseRealm } from "../../src/base/names.ts";
import { systemRandom, type Random } from "../../src/base/random.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { withEditLock } from "../../src/gateway/edit-lock.ts";
import {
  homePaths,
  openHome,
  readConfig,
  readTrust,
  requireApart,
  updateConfig,
  updateTrust,
  type Home,
} from "../../src/gateway/home.ts";
import { initHome } from "../../src/gateway/init-home.ts";
import { signingKeyFromSeed } from "../../src/protocol/keys.ts";
import { openSqliteState } from "../../src/state/sqlite.ts";
import { parseStoreUrl } from "../../src/store/open.ts";
import { grantPeer, addPeer } from "../../src/trust/edit.ts";
import { codeOf } from "../base/code-of.ts";

const runFile = promisify(execFile);
const gateway = parseGatewayName("acme.eu");
const realm = parseRealm("prod");
const machine = "this machine";

let folder: string;
let home: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-home-"));
  home = join(folder, "home");
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface InitOptions {
  readonly home?: string;
  readonly random?: Random;
  readonly clock?: Clock;
  readonly store?: string;
}

function init(options: InitOptions = {}): Promise<Home> {
  const { random = systemRandom, clock = systemClock, store = "file:///srv/postern" } = options;
  return initHome({
    home: options.home ?? home,
    gateway,
    realm,
    store,
    random,
    clock,
    machine,
  });
}

async function codeOfInit(options: InitOptions = {}): Promise<string> {
  return init(options).then(
    () => "accepted",
    (thrown: unknown) => asPosternError(thrown).code,
  );
}

/** A module of ours, as a script of another process imports it. */
function url(path: string): string {
  return JSON.stringify(new URL(path, import.meta.url).href);
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

describe("a new home", () => {
  test("holds keys, config, an empty trust document, a state and schemas, all of them private", async () => {
    const { paths, config, signingKey } = await init();
    expect(readdirSync(home).toSorted()).toEqual([
      "config.json",
      "keys",
      "schema",
      "state.db",
      "trust.json",
    ]);
    expect(config).toEqual({
      $schema: "./schema/config.schema.json",
      v: 1,
      gateway,
      realm,
      store: "file:///srv/postern",
      agents: {},
    });
    expect(readTrust(paths)).toMatchObject({ gateway, realm, version: 1, peers: {} });
    expect(signingKey.publicKey.kid).toHaveLength(52);
    expect(modeOf(home)).toBe("700");
    expect(modeOf(paths.keys)).toBe("700");
    for (const file of [paths.config, paths.trust, paths.gatewayKey, paths.state])
      expect(modeOf(file)).toBe("600");
    const state = await openSqliteState({ file: paths.state, clock: systemClock, machine });
    await state.close();
  });

  test("names the schemas of its documents by relative paths that are there", async () => {
    const { paths } = await init();
    for (const document of [readConfig(paths), readTrust(paths)]) {
      const schema: unknown = JSON.parse(readFileSync(join(home, document.$schema ?? ""), "utf8"));
      expect(schema).toMatchObject({ type: "object" });
    }
  });

  test("opens again with the same key, made from the randomness that was passed in", async () => {
    const random = { ...systemRandom, bytes: (length: number) => new Uint8Array(length).fill(7) };
    await init({ random });
    const key = signingKeyFromSeed(new Uint8Array(32).fill(7)).publicKey;
    expect(openHome(home).signingKey.publicKey).toEqual(key);
    expect(readFileSync(homePaths(home).gatewayKey, "utf8")).toBe(
      `postern-secret-key1 ${toBase64Url(new Uint8Array(32).fill(7))}\n`,
    );
  });

  test("is made in an empty folder, and in folders that were not there", async () => {
    mkdirSync(home, { mode: 0o755 });
    mkdirSync(join(home, "lost+found"));
    await init();
    expect(modeOf(home)).toBe("700");
    await init({ home: join(folder, "a", "b", "c") });
    expect(openHome(join(folder, "a", "b", "c")).config.gateway).toBe(gateway);
  });

  test("never takes the place of another, nor of anything else", async () => {
    const { signingKey } = await init();
    const before = readFileSync(homePaths(home).config, "utf8");
    expect(await codeOfInit({ store: "file:///elsewhere" })).toBe("HOME_EXISTS");
    expect(readFileSync(homePaths(home).config, "utf8")).toBe(before);
    expect(openHome(home).signingKey.publicKey).toEqual(signingKey.publicKey);

    const other = join(folder, "other");
    mkdirSync(other);
    writeFileSync(join(other, "notes.txt"), "mine");
    expect(await codeOfInit({ home: other })).toBe("HOME_EXISTS");
    expect(await codeOfInit({ home: join(other, "notes.txt") })).toBe("HOME_EXISTS");
    expect(await codeOfInit({ home: join(other, "notes.txt", "below") })).toBe("HOME_EXISTS");
    expect(readdirSync(other)).toEqual(["notes.txt"]);
  });

  test("that fails leaves nothing behind, and no folder that it made", async () => {
    const random = {
      ...systemRandom,
      bytes: (): never => {
        throw new PosternError("STATE_FULL", "no randomness left");
      },
    };
    expect(await codeOfInit({ random, home: join(folder, "x", "y") })).toBe("STATE_FULL");
    expect(await codeOfInit({ store: "", home: join(folder, "x", "y") })).toBe("CONFIG_INVALID");
    expect(readdirSync(folder)).toEqual([]);
    mkdirSync(home);
    expect(await codeOfInit({ random })).toBe("STATE_FULL");
    expect(readdirSync(home)).toEqual([]);
    expect(await codeOfInit()).toBe("accepted");
  });

  test("whose state fails leaves nothing behind either", async () => {
    let looks = 0;
    const now = (): number => {
      looks += 1;
      // The trust document has been dated by then, and the keys lie where they belong.
      if (looks === 1) return systemClock.now();
      expect(readdirSync(home)).toContain("keys");
      throw new PosternError("STATE_FULL", "no room for a state");
    };
    expect(await codeOfInit({ clock: { ...systemClock, now } })).toBe("STATE_FULL");
    expect(looks).toBe(2);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("is made by one of several that try at the same time", async () => {
    const go = join(folder, "go");
    const code = `
      import { existsSync } from "node:fs";
      const { initHome } = await import(${url("../../src/gateway/init-home.ts")});
      const { systemClock: clock } = await import(${url("../../src/base/clock.ts")});
      const { systemRandom: random } = await import(${url("../../src/base/random.ts")});
      process.stdout.write("ready ");
      while (!existsSync(${JSON.stringify(go)}));
      const made = { home: ${JSON.stringify(home)}, gateway: "acme", realm: "prod", store: "file:///x", machine: "m" };
      await initHome({ ...made, random, clock }).then(() => console.log("made"), ({ code }) => console.log(code));`;
    const racers = [1, 2, 3].map(() =>
      spawn(process.execPath, ["--input-type=module", "-e", code]),
    );
    const said = racers.map((racer) => text(racer.stdout));
    await Promise.all(racers.map((racer) => once(racer.stdout, "data")));
    writeFileSync(go, "");
    expect((await Promise.all(said)).toSorted()).toEqual([
      "ready HOME_EXISTS\n",
      "ready HOME_EXISTS\n",
      "ready made\n",
    ]);
    expect(readdirSync(home).toSorted()).toEqual([
      "config.json",
      "keys",
      "schema",
      "state.db",
      "trust.json",
    ]);
  });

  test("is no home before its last step: what a killed init left is not opened, and not overwritten", async () => {
    const { paths } = await init();
    rmSync(paths.config);
    expect(codeOf(() => openHome(home))).toBe("HOME_MISSING");
    expect(await codeOfInit()).toBe("HOME_EXISTS");
  });
});

test("an edit renews the schemas that an older program wrote", async () => {
  const { paths } = await init();
  const schema = join(paths.schema, "config.schema.json");
  const now = readFileSync(schema, "utf8");
  writeFileSync(schema, "{}");
  updateConfig(paths, (config) => ({ ...config, maxConcurrentRuns: 3 }));
  expect(readFileSync(schema, "utf8")).toBe(now);
});

describe("opening a home", () => {
  test("says where there is none and how to make one", () => {
    expect(codeOf(() => openHome(home))).toBe("HOME_MISSING");
    expect(() => openHome(home)).toThrow("postern init");
    writeFileSync(home, "");
    expect(codeOf(() => openHome(home))).toBe("HOME_MISSING");
  });

  test("refuses a folder that others may write in", async () => {
    await init();
    chmodSync(home, 0o770);
    expect(codeOf(() => openHome(home))).toBe("HOME_UNSAFE");
    chmodSync(home, 0o750);
    expect(openHome(home).config.gateway).toBe(gateway);
  });

  test("refuses a folder that is another user's, as one's own is to root, and makes none there", async () => {
    await init();
    const empty = join(folder, "empty");
    mkdirSync(empty);
    const other = vi.spyOn(process, "geteuid").mockReturnValue(statSync(home).uid + 1);
    try {
      expect(codeOf(() => openHome(home))).toBe("HOME_UNSAFE");
      await expect(init({ home: empty })).rejects.toMatchObject({ code: "HOME_UNSAFE" });
      expect(readdirSync(empty)).toEqual([]);
    } finally {
      other.mockRestore();
    }
    expect(openHome(home).config.gateway).toBe(gateway);
  });

  test("is refused where it lies within its folder store, or that within it", async () => {
    const { paths } = await init();
    const at = (path: string) => parseStoreUrl(pathToFileURL(path).href);
    for (const path of [folder, home, join(home, "store"), "/"])
      expect(codeOf(() => requireApart(paths, at(path)))).toBe("CONFIG_INVALID");
    for (const path of [join(folder, "store"), `${home}-store`, join(folder, "..other")])
      expect(() => requireApart(paths, at(path))).not.toThrow();
    expect(() => requireApart(paths, parseStoreUrl("s3://bucket?region=r"))).not.toThrow();
    updateConfig(paths, (config) => ({ ...config, store: pathToFileURL(folder).href }));
    await expect(openGateway({ home })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("says of a name that is too long that no home can be made there", async () => {
    const tooLong = join(folder, "h".repeat(300));
    await expect(init({ home: tooLong })).rejects.toMatchObject({ code: "HOME_UNSAFE" });
  });

  test("refuses a config and a trust document that others may write, and names the remedy", async () => {
    const { paths } = await init();
    const before = readFileSync(paths.trust, "utf8");
    for (const [file, use] of [
      [paths.config, () => openHome(home)],
      [paths.config, () => updateConfig(paths, (config) => config)],
      [paths.trust, () => readTrust(paths)],
      [paths.trust, () => updateTrust(paths, (trust) => ({ ...trust, version: 2 }))],
    ] as const) {
      for (const mode of [0o620, 0o602, 0o666]) {
        chmodSync(file, mode);
        expect(codeOf(use)).toBe("HOME_UNSAFE");
        expect(use).toThrow(`chmod 600 ${file}`);
      }
      chmodSync(file, 0o644);
    }
    expect(openHome(home).config.gateway).toBe(gateway);
    expect(readFileSync(paths.trust, "utf8")).toBe(before);
  });

  test("refuses a key file that others may use, and names the remedy", async () => {
    const { paths } = await init();
    for (const mode of [0o640, 0o604, 0o620, 0o610]) {
      chmodSync(paths.gatewayKey, mode);
      expect(codeOf(() => openHome(home))).toBe("KEY_FILE_INVALID");
      expect(() => openHome(home)).toThrow(`chmod 600 ${paths.gatewayKey}`);
    }
  });

  test("refuses a key file that is none, and tells nothing of what it holds", async () => {
    const { paths } = await init();
    const seed = "s".repeat(42);
    for (const content of [
      "",
      seed,
      `postern-secret-key1 ${seed}`,
      `postern-secret-key2 ${seed}A`,
      `postern-secret-key1 ${seed}!A`,
      "x".repeat(1000),
    ]) {
      writeFileSync(paths.gatewayKey, content);
      expect(codeOf(() => openHome(home))).toBe("KEY_FILE_INVALID");
      expect(() => openHome(home)).not.toThrow(/ssss|xxxx/);
    }
    rmSync(paths.gatewayKey);
    expect(codeOf(() => openHome(home))).toBe("KEY_FILE_INVALID");
  });

  test("follows no symbolic link to a key, a config or a trust document", async () => {
    const { paths } = await init();
    for (const [file, code] of [
      [paths.gatewayKey, "KEY_FILE_INVALID"],
      [paths.config, "CONFIG_INVALID"],
      [paths.trust, "TRUST_INVALID"],
    ] as const) {
      renameSync(file, join(folder, "real"));
      symlinkSync(join(folder, "real"), file);
      const open = (): unknown => [openHome(home), readTrust(paths)];
      expect(codeOf(open)).toBe(code);
      expect(open).toThrow("symbolic link");
      rmSync(file);
      renameSync(join(folder, "real"), file);
    }
  });

  test("does not hang on a pipe in a file's place", async () => {
    const { paths } = await init();
    rmSync(paths.config);
    await runFile("mkfifo", [paths.config]);
    expect(codeOf(() => openHome(home))).toBe("CONFIG_INVALID");
  });

  test("refuses a malformed config, and names it", async () => {
    const { paths } = await init();
    writeFileSync(paths.config, '{"v":1}');
    expect(codeOf(() => openHome(home))).toBe("CONFIG_INVALID");
    expect(() => openHome(home)).toThrow("gateway is missing");
  });
});

describe("an edit", () => {
  const card = {
    realm,
    gateway: parseGatewayName("lab"),
    keys: [signingKeyFromSeed(new Uint8Array(32)).publicKey],
  };

  test("is there afterwards, whole, and private", async () => {
    const { paths } = await init();
    const config = updateConfig(paths, (before) => ({
      ...before,
      routes: { sre: "eu-lab/diagnose" },
    }));
    expect(readConfig(paths)).toEqual(config);
    const trust = updateTrust(paths, (before) => addPeer(before, card, {}, systemClock.now()));
    expect(readTrust(paths)).toEqual(trust);
    expect(trust.version).toBe(2);
    expect(modeOf(paths.config)).toBe("600");
    expect(readdirSync(home).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  test("that is refused changes nothing", async () => {
    const { paths } = await init();
    const before = [readFileSync(paths.config, "utf8"), readFileSync(paths.trust, "utf8")];
    expect(codeOf(() => updateConfig(paths, (config) => ({ ...config, store: "" })))).toBe(
      "CONFIG_INVALID",
    );
    expect(codeOf(() => updateTrust(paths, (trust) => ({ ...trust, version: 0 })))).toBe(
      "TRUST_INVALID",
    );
    expect(codeOf(() => updateTrust(paths, (trust) => ({ ...trust })))).toBe("INTERNAL");
    const noSuchPeer = (): unknown =>
      updateTrust(paths, (trust) => grantPeer(trust, card.gateway, {}, 0));
    expect(codeOf(noSuchPeer)).toBe("PEER_MISSING");
    expect([readFileSync(paths.config, "utf8"), readFileSync(paths.trust, "utf8")]).toEqual(before);
  });

  test("never repairs a document that cannot be read", async () => {
    const { paths } = await init();
    writeFileSync(paths.trust, "{");
    expect(codeOf(() => updateTrust(paths, (trust) => trust))).toBe("TRUST_INVALID");
    expect(readFileSync(paths.trust, "utf8")).toBe("{");
  });

  test("is not hindered by what a killed one left", async () => {
    const { paths } = await init();
    writeFileSync(`${paths.config}.new`, "half");
    updateConfig(paths, (config) => ({ ...config, maxConcurrentRuns: 9 }));
    expect(readConfig(paths).maxConcurrentRuns).toBe(9);
    expect(existsSync(`${paths.config}.new`)).toBe(false);
  });

  test("loses nothing of what other processes edit at the same time", async () => {
    const { paths } = await init();
    const code = (process: number): string => `
      const { homePaths, updateConfig } = await import(${url("../../src/gateway/home.ts")});
      for (let n = 0; n < 8; n += 1) {
        updateConfig(homePaths(${JSON.stringify(home)}), (config) =>
          ({ ...config, agents: { ...config.agents, ["a${process}-" + n]: { exec: ["cat"] } } }));
      }`;
    const edits = [1, 2, 3].map((number) =>
      runFile(process.execPath, ["--input-type=module", "-e", code(number)]),
    );
    await Promise.all(edits);
    const agents = Object.keys(readConfig(paths).agents ?? {});
    expect(agents).toHaveLength(24);
    expect(agents).toContain(parseAgentName("a3-7"));
  });

  test("waits for another one no longer than it should, and not at all for a killed one", async () => {
    const { paths } = await init();
    const code = `
      const { withEditLock } = await import(${url("../../src/gateway/edit-lock.ts")});
      withEditLock(${JSON.stringify(paths.editLock)}, () => {
        require("node:fs").writeSync(1, "held");
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });`;
    const script = `import { createRequire } from "node:module"; const require = createRequire("/");${code}`;
    const holder = spawn(process.execPath, ["--input-type=module", "-e", script]);
    await once(holder.stdout, "data");
    expect(codeOf(() => withEditLock(paths.editLock, () => 1, 50))).toBe("STATE_BUSY");
    const ended = once(holder, "exit");
    holder.kill("SIGKILL");
    await ended;
    expect(withEditLock(paths.editLock, () => 1, 50)).toBe(1);
    expect(modeOf(paths.editLock)).toBe("600");
  });
});
