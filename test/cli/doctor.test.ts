import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { judgeFileSystem } from "../../src/cli/doctor/file-system.ts";
import {
  judgeClock,
  judgeListing,
  judgePin,
  judgeRate,
  judgeWrites,
} from "../../src/cli/doctor/store-checks.ts";
import type { StoreProbe } from "../../src/store/probe.ts";
import { hasConditionalWrites } from "../support/s3.ts";
import { fieldOf, itemsOf } from "./support/json.ts";
import { doctor } from "./support/findings.ts";
import type { Pair } from "./support/pair.ts";
import { meetings, pairInFolder } from "./support/stores.ts";

describe("doctor", () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await pairInFolder();
  });
  afterAll(() => pair.remove());

  async function withSpoiled(name: string, spoil: (text: string) => string) {
    const file = path.join(pair.callee, name);
    const good = readFileSync(file, "utf8");
    writeFileSync(file, spoil(good));
    try {
      return await doctor(pair);
    } finally {
      writeFileSync(file, good);
    }
  }

  test("finds a sound home sound, and leaves nothing in the store", async () => {
    const text = await pair.succeed(pair.callee, ["doctor"]);
    expect(
      text
        .trimEnd()
        .split("\n")
        .every((line) => /^ok {7}[a-z]/.test(line)),
    ).toBe(true);
    expect(text).toContain("conditional writes");
    const probes = await pair.withStore((store) =>
      store.list({ prefix: "eu-lab/probe/", limit: 10 }),
    );
    expect(probes.entries).toEqual([]);
  });

  test("fails without a home: HOME_MISSING, exit 2", async () => {
    const { status, stdout } = await pair.run(path.join(pair.user.folder, "nowhere"), ["doctor"]);
    expect(status).toBe(2);
    expect(stdout).toContain("failure  home: HOME_MISSING: ");
  });

  test("names each thing that is wrong; the first failure decides the exit status", async () => {
    expect(await withSpoiled("config.json", () => "{")).toEqual({
      status: 2,
      bad: ["failure config CONFIG_INVALID"],
    });
    expect(await withSpoiled("config.json", (text) => text.replace("file:///", "file://"))).toEqual(
      {
        status: 2,
        bad: ["failure config STORE_URL_INVALID"],
      },
    );
    expect(await withSpoiled("trust.json", (text) => text.replace('"v": 1', '"v": 7'))).toEqual({
      status: 4,
      bad: ["failure trust TRUST_INVALID"],
    });
    expect(await withSpoiled("keys/gateway.key", () => "nothing")).toEqual({
      status: 2,
      bad: ["failure key KEY_FILE_INVALID"],
    });
    expect(
      await withSpoiled("config.json", (text) =>
        text.replace('"exec": [', '"exec": ["no-such-program",'),
      ),
    ).toEqual({
      status: 2,
      bad: ["failure agent echo CONFIG_INVALID"],
    });
    const anotherId = `"storeId": "${"a".repeat(26)}"`;
    expect(
      await withSpoiled("config.json", (text) => text.replace(/"storeId": "[^"]*"/, anotherId)),
    ).toEqual({
      status: 3,
      bad: ["failure store STORE_CHANGED"],
    });
    expect(
      await withSpoiled("config.json", (text) => text.replace(/ *"storeId": "[^"]*",\n/, "")),
    ).toEqual({
      status: 0,
      bad: ["warning store id"],
    });
  });

  test("says when trust expires soon, and fails when it has", async () => {
    const until = (text: string, ms: number): string =>
      text.replace(/"expires": "[^"]*"/, `"expires": "${new Date(Date.now() + ms).toISOString()}"`);
    const day = 86_400_000;
    expect(await withSpoiled("trust.json", (text) => until(text, 20 * day))).toEqual({
      status: 0,
      bad: ["warning trust"],
    });
    expect(await withSpoiled("trust.json", (text) => until(text, -day))).toEqual({
      status: 4,
      bad: ["failure trust TRUST_EXPIRED"],
    });
  });

  test("warns of a peer none of whose keys counts any more", async () => {
    const keyIs = (text: string, field: string): string =>
      text.replace('"use": "gateway"', `"use": "gateway", ${field}`);
    for (const field of ['"revoked": true', '"notAfter": "2020-01-01T00:00:00Z"']) {
      expect(await withSpoiled("trust.json", (text) => keyIs(text, field))).toEqual({
        status: 0,
        bad: ["warning peer support"],
      });
    }
  });

  test("fails where another key lies in the home than claimed its name", async () => {
    const other = await pairInFolder();
    await other.send("claimed before the first admission");
    await other.poll();
    expect(await other.run(other.callee, ["doctor"])).toMatchObject({ status: 0 });
    const keyFile = (home: string): string => path.join(home, "keys", "gateway.key");
    writeFileSync(keyFile(other.callee), readFileSync(keyFile(pair.callee)));
    const { status, stdout } = await other.run(other.callee, ["doctor"]);
    expect(status).toBe(2);
    expect(stdout).toMatch(/^failure {2}signing key: KEY_FILE_INVALID: /m);
    other.remove();
  });

  test("warns of a folder that others may read, and fails for one that they may write", async () => {
    chmodSync(pair.callee, 0o755);
    expect(await doctor(pair)).toEqual({ status: 0, bad: ["warning home"] });
    chmodSync(pair.callee, 0o777);
    expect(await doctor(pair)).toEqual({ status: 2, bad: ["failure home HOME_UNSAFE"] });
    chmodSync(pair.callee, 0o700);
    chmodSync(path.join(pair.callee, "keys", "gateway.key"), 0o644);
    expect(await doctor(pair)).toEqual({ status: 2, bad: ["failure key KEY_FILE_INVALID"] });
    chmodSync(path.join(pair.callee, "keys", "gateway.key"), 0o600);
  });

  test.each(["config", "trust"])("fails for a %s.json that others may write", async (name) => {
    const file = path.join(pair.callee, `${name}.json`);
    chmodSync(file, 0o664);
    expect(await doctor(pair)).toEqual({ status: 2, bad: [`failure ${name} HOME_UNSAFE`] });
    chmodSync(file, 0o600);
  });

  test("looks at what agents of every kind run, without running it", async () => {
    const inHome = (name: string): string => path.join(pair.callee, name);
    writeFileSync(inHome("program"), "#!/bin/sh\nexit 1\n", { mode: 0o700 });
    writeFileSync(inHome("module.mjs"), "throw new Error('it was run')", { mode: 0o600 });
    writeFileSync(inHome("headers"), "Authorization: hunter2\n", { mode: 0o600 });
    const agents = {
      program: { exec: ["./program"] },
      url: { http: "https://agents.invalid/x", headersFile: "headers" },
      local: { http: "http://127.0.0.1:1/x", headersFile: "headers" },
      module: { module: "module.mjs" },
    };
    const withAgents = (more: object = {}) =>
      withSpoiled("config.json", (text) => {
        const config: unknown = JSON.parse(text);
        return JSON.stringify(Object.assign(Object(config), { agents: { ...agents, ...more } }));
      });
    expect(await withAgents()).toEqual({ status: 0, bad: [] });
    const open = { http: "http://agents.invalid/x", headersFile: "headers" };
    expect(await withAgents({ open })).toEqual({ status: 0, bad: ["warning agent open"] });

    chmodSync(inHome("module.mjs"), 0o622);
    chmodSync(inHome("headers"), 0o640);
    rmSync(inHome("program"));
    expect(await withAgents()).toEqual({
      status: 2,
      bad: [
        "failure agent program CONFIG_INVALID",
        "failure agent url HOME_UNSAFE",
        "failure agent local HOME_UNSAFE",
        "failure agent module HOME_UNSAFE",
      ],
    });
    rmSync(inHome("module.mjs"));
    rmSync(inHome("headers"));
    expect(await withAgents()).toEqual({
      status: 2,
      bad: Object.keys(agents).map((name) => `failure agent ${name} CONFIG_INVALID`),
    });
  });

  test("fails where the state is gone, or another folder lies in the store's place", async () => {
    const other = await pairInFolder();
    rmSync(path.join(other.callee, "state.db"));
    const { status, stdout } = await other.run(other.callee, ["doctor"]);
    expect(status).toBe(2);
    expect(stdout).toContain("failure  state: STATE_MISSING: ");
    const config = path.join(other.caller, "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace(other.storeUrl, pair.storeUrl));
    const moved = await other.run(other.caller, ["doctor"]);
    expect(moved.status).toBe(3);
    expect(moved.stdout).toContain("failure  store: STORE_CHANGED: ");
    other.remove();
  });
});

describe("doctor with a bucket", () => {
  const onS3 = meetings.find(({ where }) => where === "on real S3");
  test.skipIf(!hasConditionalWrites)(
    "races real conditional writes on real S3, and finds them sound",
    async () => {
      if (onS3 === undefined) throw new Error("there is no meeting on S3");
      const pair = await onS3.makePair();
      const findings = itemsOf(await pair.json(pair.callee, ["doctor"]));
      expect(
        findings.map((finding) => [fieldOf(finding, "check"), fieldOf(finding, "status")]),
      ).toEqual(
        expect.arrayContaining([
          ["store", "ok"],
          ["conditional writes", "ok"],
          ["clock", "ok"],
          ["owner", "ok"],
        ]),
      );
      pair.remove();
    },
  );
});

describe("the store's clock", () => {
  test("an hour off is a failure, in either direction", () => {
    for (const offset of [3_600_000, -3_600_000]) {
      expect(judgeClock(offset)).toMatchObject({ status: "failure", code: "STORE_CLOCK_SKEW" });
    }
  });

  test("off by more than a quarter of what is allowed is worth a warning; less is fine", () => {
    expect(judgeClock(76_000)).toMatchObject({ status: "warning" });
    expect(judgeClock(74_000)).toMatchObject({ status: "ok" });
    expect(judgeClock(undefined)).toMatchObject({ status: "warning" });
  });
});

describe("the disk of the state", () => {
  test("is no part of the shared store: its failure is STATE_UNSAFE", () => {
    expect(judgeFileSystem("state disk", 0x6969)).toMatchObject({ code: "STATE_UNSAFE" });
  });

  test("must be local: NFS, SMB and FAT fail, memory and FUSE are worth a warning", () => {
    const judged = [0xef53, 0x6969, 0xfe534d42, 0x4d44, 0x01021994, 0x65735546].map(
      (type) => judgeFileSystem("state disk", type).status,
    );
    expect(judged).toEqual(["ok", "failure", "failure", "failure", "warning", "warning"]);
  });
});

const store = { driver: "file", location: "file:///x", atomicPut: "yes" } as const;

const probed: StoreProbe = {
  conditionalPut: "atomic",
  winners: 1,
  racers: 16,
  turnedAway: 0,
  listed: true,
  deleted: true,
  lagMs: 0,
  clockOffsetMs: 0,
};

describe("the store's listing", () => {
  test("that is late, or never comes to it, is worth a warning", () => {
    const judged = [{}, { lagMs: 1 }, { listed: false }, { deleted: false }].map(
      (change) => judgeListing({ ...probed, ...change }).status,
    );
    expect(judged).toEqual(["ok", "warning", "warning", "warning"]);
  });
});

describe("the store's rate", () => {
  test("is told of only where something was turned away", () => {
    expect(judgeRate(probed)).toEqual([]);
    expect(judgeRate({ ...probed, turnedAway: 3 })).toMatchObject([{ status: "warning" }]);
  });
});

describe("the store's conditional writes", () => {
  const probe = { ...probed, conditionalPut: "weak" } as const;

  test("fail where more than one won, or the one that won was overwritten", () => {
    expect(judgeWrites(store, { ...probe, winners: 2 })).toMatchObject({ code: "STORE_UNSAFE" });
    expect(judgeWrites({ ...store, atomicPut: "probe" }, probe)).toMatchObject({
      code: "STORE_UNSAFE",
    });
  });

  test("are worth a warning in a folder without hard links: one machine at a time may use it", () => {
    const folder = { ...store, atomicPut: "no" } as const;
    expect(judgeWrites(folder, probe)).toMatchObject({ status: "warning" });
    expect(judgeWrites(folder, { ...probe, winners: 2 })).toMatchObject({ code: "STORE_UNSAFE" });
  });
});

describe("the store's id", () => {
  test("is asked of stores that have one, and has to be pinned", () => {
    expect(judgePin(store, undefined)).toEqual([]);
    expect(judgePin({ ...store, id: "i" }, "i")).toMatchObject([{ status: "ok" }]);
    expect(judgePin({ ...store, id: "i" }, undefined)).toMatchObject([{ status: "warning" }]);
  });
});
