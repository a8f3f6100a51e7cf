import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { deliver, ask } from "../../src/gateway/ask.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { machineName } from "../../src/gateway/machine.ts";
import { openSqliteState } from "../../src/state/sqlite.ts";
import { canMount, Disk } from "../support/disk.ts";
import { hasConditionalWrites, makeBucket, s3Environment, type TestBucket } from "../support/s3.ts";
import { fieldOf, parsed } from "./support/json.ts";
import { codesIn, Pair } from "./support/pair.ts";
import { pairInFolder, useS3InThisProcess } from "./support/stores.ts";

const someCredentials = { AWS_ACCESS_KEY_ID: "someone", AWS_SECRET_ACCESS_KEY: "something" };
const nowhere = "s3://nowhere/at-all?endpoint=http://127.0.0.1:1";
const hourMs = 3_600_000;

describe("a store that is away", () => {
  let pair: Pair;
  let config: string;
  let good: string;
  beforeAll(async () => {
    pair = await pairInFolder();
    config = path.join(pair.caller, "config.json");
    good = readFileSync(config, "utf8");
  });
  afterEach(() => writeFileSync(config, good));
  afterAll(() => pair.remove());

  function meetAt(url: string): void {
    writeFileSync(config, good.replace(/"store": ".*"/, `"store": ${JSON.stringify(url)}`));
  }

  test("unreachable: send keeps the request, exits 3, and a later poll sends it", async () => {
    meetAt(nowhere);
    const send = ["send", "eu-lab/echo", "--prompt", "kept", "--idempotency-key", "kept"];
    const sent = await pair.run(pair.caller, send, { env: someCredentials });
    expect({ status: sent.status, codes: codesIn(sent.stderr) }).toEqual({
      status: 3,
      codes: ["STORE_UNREACHABLE"],
    });
    const runId = sent.stdout.trim();
    expect(runId).toMatch(/^[a-z2-7]{52}$/);
    writeFileSync(config, good);
    expect(await pair.poll(pair.caller)).toMatchObject({ status: 0 });
    expect(await pair.poll()).toMatchObject({ status: 0 });
    expect(pair.executions(runId)).toBe(1);
  });

  test("unreachable: call keeps the request and says how to go on; poll exits 3", async () => {
    meetAt(nowhere);
    const call = ["call", "eu-lab/echo", "--prompt", "x", "--idempotency-key", "away"];
    const called = await pair.run(pair.caller, call, { env: someCredentials });
    expect({ status: called.status, codes: codesIn(called.stderr) }).toEqual({
      status: 3,
      codes: ["STORE_UNREACHABLE"],
    });
    expect(called.stderr).toMatch(/postern runs watch [a-z2-7]{52}/);
    const polled = await pair.run(pair.caller, ["poll"], { env: someCredentials });
    expect({ status: polled.status, codes: codesIn(polled.stderr) }).toEqual({
      status: 3,
      codes: ["STORE_UNREACHABLE"],
    });
  });

  test("unreachable: state recover takes effect, exits 3, and a later poll claims the name", async () => {
    meetAt(nowhere);
    const recover = ["state", "recover", "--yes", "--json"];
    const recovered = await pair.run(pair.caller, recover, { env: someCredentials });
    expect({ status: recovered.status, codes: codesIn(recovered.stderr) }).toEqual({
      status: 3,
      codes: ["STORE_UNREACHABLE"],
    });
    expect(parsed(recovered.stdout)).toMatchObject({ claimed: false, runsFrom: null });
    writeFileSync(config, good);
    expect(await pair.poll(pair.caller)).toMatchObject({ status: 0 });
    expect(await pair.json(pair.caller, ["status"])).toMatchObject({
      owner: { claimed: { at: expect.any(String) }, elsewhere: false },
    });
  });

  test("a folder in its place that is not the store: exit 3, and nothing is written there", async () => {
    const empty = path.join(pair.user.folder, "unmounted");
    mkdirSync(empty);
    meetAt(pathToFileURL(empty).href);
    const send = ["send", "eu-lab/echo", "--prompt", "x", "--idempotency-key", "unmounted"];
    const { status, stderr } = await pair.run(pair.caller, send);
    expect(status).toBe(3);
    expect(codesIn(stderr)[0]).toMatch(/^STORE_(MISSING|CHANGED)$/);
    expect(readdirSync(empty)).toEqual([]);
  });

  test("a URL with a typo: STORE_URL_INVALID, exit 2, whatever the command", async () => {
    for (const url of [
      "s3//bucket",
      "file://folder",
      "s3://bucket?endpiont=http://x",
      "ftp://x/y",
    ]) {
      meetAt(url);
      const { status, stderr } = await pair.run(pair.caller, ["poll"]);
      expect({ url, status, codes: codesIn(stderr) }).toEqual({
        url,
        status: 2,
        codes: ["STORE_URL_INVALID"],
      });
    }
  });
});

describe("a bucket that refuses", () => {
  let bucket: TestBucket;
  let pair: Pair;
  beforeAll(async () => {
    if (!hasConditionalWrites) return;
    bucket = await makeBucket();
    useS3InThisProcess();
    pair = await Pair.make(() => bucket.url(), s3Environment);
  });
  afterAll(async () => {
    if (!hasConditionalWrites) return;
    pair.remove();
    await bucket.remove();
  });

  test.skipIf(!hasConditionalWrites)(
    "wrong credentials on real S3: STORE_DENIED, exit 3",
    async () => {
      const send = ["send", "eu-lab/echo", "--prompt", "x"];
      const { status, stderr } = await pair.run(pair.caller, send, { env: someCredentials });
      expect({ status, codes: codesIn(stderr) }).toEqual({ status: 3, codes: ["STORE_DENIED"] });
    },
  );

  test.skipIf(!hasConditionalWrites)(
    "a missing bucket on real S3: STORE_MISSING, exit 3, and no home",
    async () => {
      const home = path.join(pair.user.folder, "nobody");
      const url = bucket.url().replace(bucket.name, "no-such-bucket-here");
      const init = ["init", "--gateway", "nobody", "--store", url];
      const { status, stderr } = await pair.run(home, init);
      expect({ status, codes: codesIn(stderr) }).toEqual({ status: 3, codes: ["STORE_MISSING"] });
      const listed = await pair.run(home, ["runs", "list"]);
      expect(codesIn(listed.stderr)).toEqual(["HOME_MISSING"]);
    },
  );
});

describe("clocks", () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await pairInFolder();
  });
  afterAll(() => pair.remove());

  test("a caller an hour ahead: its request is left waiting, neither run nor quarantined", async () => {
    const ahead: Clock = { ...systemClock, now: () => systemClock.now() + hourMs };
    await using gateway = await openGateway({
      home: pair.caller,
      log: silentLogger,
      env: {},
      admits: false,
    });
    const mailbox = { ...gateway.mailbox, clock: ahead };
    const body = { kind: "prompt", prompt: { text: "from the future" } } as const;
    const asked = await ask(mailbox, gateway.routes, { target: "eu-lab/echo", body });
    await deliver(mailbox, asked);
    const report = parsed((await pair.poll(pair.callee, ["--json"])).stdout);
    expect(report).toMatchObject({ waiting: 1, admitted: 0, answered: 0, quarantined: 0 });
    expect(pair.executions(asked.record.runId)).toBe(0);
  });

  test("a clock an hour behind what the state has seen: nothing runs, CLOCK_BEHIND, exit 75", async () => {
    const runId = await pair.send("clock");
    const ahead: Clock = { ...systemClock, now: () => systemClock.now() + hourMs };
    const file = path.join(pair.callee, "state.db");
    const state = await openSqliteState({ file, clock: ahead, machine: machineName() });
    await state.commitOwnerNonce("a".repeat(26));
    await state.close();
    const { status, stderr } = await pair.poll();
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 75, codes: ["CLOCK_BEHIND"] });
    expect(pair.executions(runId)).toBe(0);
  });
});

describe("a full disk", () => {
  const disks: Disk[] = [];
  let pair: Pair;
  if (!canMount)
    process.stdout.write("SKIPPED: a full disk (it takes root, to mount a small tmpfs)\n");
  afterEach(() => {
    for (const disk of disks.splice(0)) disk[Symbol.dispose]();
    if (canMount) pair.remove();
  });

  function smallDisk(folder: string, size: string): Disk {
    const disk = new Disk(folder, size);
    disks.push(disk);
    return disk;
  }

  test.skipIf(!canMount)(
    "under the store: STORE_FULL, exit 3; the request is kept and sent once there is room",
    async () => {
      pair = await Pair.make((folder) => {
        const disk = smallDisk(path.join(folder, "disk"), "256k");
        return pathToFileURL(path.join(disk.folder, "store")).href;
      });
      const makeRoom = disks[0]?.fill();
      const { status, stdout, stderr } = await pair.run(pair.caller, [
        "send",
        "eu-lab/echo",
        "--prompt",
        "x",
      ]);
      expect({ status, codes: codesIn(stderr) }).toEqual({ status: 3, codes: ["STORE_FULL"] });
      makeRoom?.();
      expect(await pair.poll(pair.caller)).toMatchObject({ status: 0 });
      expect(await pair.poll()).toMatchObject({ status: 0 });
      expect(pair.executions(stdout.trim())).toBe(1);
    },
  );

  test.skipIf(!canMount)(
    "under the home: STATE_FULL, exit 2, and nothing was promised",
    async () => {
      pair = await pairInFolder();
      const disk = smallDisk(path.join(pair.user.folder, "small"), "2m");
      const home = path.join(disk.folder, "third");
      const card = await pair.succeed(pair.callee, ["card", "export"]);
      await pair.succeed(home, ["init", "--gateway", "third", "--store", pair.storeUrl]);
      await pair.succeed(home, ["peers", "add", "-", "--yes"], { stdin: card });
      const makeRoom = disk.fill();
      const send = ["send", "eu-lab/echo", "--prompt", "x".repeat(50_000)];
      const { status, stdout, stderr } = await pair.run(home, send);
      expect({ status, stdout, codes: codesIn(stderr) }).toEqual({
        status: 2,
        stdout: "",
        codes: ["STATE_FULL"],
      });
      makeRoom();
      expect(await pair.json(home, ["runs", "list"])).toEqual([]);
      await pair.succeed(home, send);
    },
  );
});

describe("a state that was copied", () => {
  test("serves nothing until it is recovered; the other home then asks and runs nothing more", async () => {
    const pair = await pairInFolder();
    await pair.send("before the copy");
    await pair.poll();
    const copy = path.join(pair.user.folder, "copy");
    cpSync(pair.callee, copy, { recursive: true });
    const refused = await pair.poll(copy);
    expect({ status: refused.status, codes: codesIn(refused.stderr) }).toEqual({
      status: 2,
      codes: ["STATE_ELSEWHERE"],
    });
    const asked = await pair.run(copy, ["state", "recover"]);
    expect({ status: asked.status, codes: codesIn(asked.stderr) }).toEqual({
      status: 2,
      codes: ["USAGE"],
    });
    expect(await pair.json(copy, ["state", "recover", "--yes"])).toMatchObject({
      gateway: "eu-lab",
      made: false,
      openRuns: [],
      claimed: true,
    });
    const runId = await pair.send("after the recovery");
    expect(await pair.poll(copy)).toMatchObject({ status: 0 });
    // Signed right after the recovery: it may have been run by the state of before.
    expect(await pair.json(copy, ["runs", "show", runId])).toMatchObject({
      runs: [{ status: "interrupted", code: "STATE_LOST", starts: 0 }],
    });
    pair.remove();
  });

  test("a state that is gone but for its log: recover leaves that to the operator, then makes a new one", async () => {
    const pair = await pairInFolder();
    const [state, recover] = [path.join(pair.callee, "state.db"), ["state", "recover", "--yes"]];
    renameSync(state, `${state}-wal`);
    const { status, stderr } = await pair.run(pair.callee, recover);
    expect({ status, codes: codesIn(stderr) }).toEqual({ status: 2, codes: ["HOME_EXISTS"] });
    rmSync(`${state}-wal`);
    expect(await pair.json(pair.callee, recover)).toMatchObject({ made: true, claimed: true });
    const runId = await pair.send("after", "x");
    expect(await pair.poll()).toMatchObject({ status: 0 });
    expect(await pair.json(pair.callee, ["runs", "show", runId])).toMatchObject({
      runs: [{ status: "interrupted", code: "STATE_LOST" }],
    });
    pair.remove();
  });

  test("open runs of a recovered state end interrupted at the next poll", async () => {
    const pair = await pairInFolder();
    pair.hold();
    const runId = await pair.send("open", "hold");
    const poll = pair.start(pair.callee, ["poll"]);
    await pair.untilStarted(runId);
    poll.child.kill("SIGKILL");
    await poll.ended;
    const recovered = await pair.json(pair.callee, ["state", "recover", "--yes"]);
    expect(fieldOf(recovered, "openRuns")).toEqual([runId]);
    pair.release();
    expect(await pair.poll()).toMatchObject({ status: 0 });
    const { status, stderr } = await pair.run(pair.caller, ["runs", "watch", runId]);
    expect({ status, codes: codesIn(stderr) }).toEqual({
      status: 1,
      codes: expect.arrayContaining(["STATE_LOST"]),
    });
    expect(pair.executions(runId)).toBe(1);
    pair.remove();
  });
});
