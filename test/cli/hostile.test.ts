import { PutObjectCommand } from "@aws-sdk/client-s3";
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasConditionalWrites, makeBucket, s3Environment } from "../support/s3.ts";
import { fieldOf, itemsOf } from "./support/json.ts";
import { Pair, requestKey } from "./support/pair.ts";
import { meetings, pairInFolder, useS3InThisProcess } from "./support/stores.ts";

const escapeCode = "\u001b]0;owned\u0007";
const someRun = "a".repeat(52);

describe.each(meetings)("what a hostile store holds $where", ({ skip, makePair }) => {
  let pair: Pair;
  beforeAll(async () => {
    if (!skip) pair = await makePair();
  });
  afterAll(() => {
    if (!skip) pair.remove();
  });

  test.skipIf(skip)(
    "a tampered request ends in quarantine as SIGNATURE_INVALID and never runs",
    async () => {
      const runId = await pair.send("tampered prompt");
      const key = requestKey(runId);
      await pair.withStore(async (store) => {
        const got = await store.get(key, { maxBytes: 10_000 });
        if (got.status !== "found") throw new Error("the request is not in the inbox");
        const bytes = Buffer.from(got.bytes);
        bytes.write("changed", bytes.indexOf("prompt") + 1);
        await store.delete(key);
        await store.put(key, new Uint8Array(bytes));
      });
      expect(await pair.poll()).toMatchObject({ status: 0 });
      expect(await quarantineOf(pair)).toContainEqual(
        expect.objectContaining({ code: "SIGNATURE_INVALID", sender: "support", key, kept: true }),
      );
      expect(pair.executions(runId)).toBe(0);
      const left = await pair.withStore((store) => store.get(key, { maxBytes: 10_000 }));
      expect(left.status).toBe("absent");
    },
  );

  test.skipIf(skip)(
    "a stranger's request ends in quarantine as PEER_UNKNOWN and never runs",
    async () => {
      const stranger = path.join(pair.user.folder, "stranger");
      const card = await pair.succeed(pair.callee, ["card", "export"]);
      await pair.succeed(stranger, ["init", "--gateway", "stranger", "--store", pair.storeUrl]);
      await pair.succeed(stranger, ["peers", "add", "-", "--yes"], { stdin: card });
      const sent = await pair.succeed(stranger, ["send", "eu-lab/echo", "--prompt", "let me in"]);
      expect(await pair.poll()).toMatchObject({ status: 0 });
      const entries = await quarantineOf(pair);
      const entry = entries.find((each) => fieldOf(each, "code") === "PEER_UNKNOWN");
      expect(entry).toMatchObject({
        sender: "(strangers)",
        key: requestKey(sent.trim(), "stranger"),
      });
      expect(pair.executions(sent.trim())).toBe(0);
      const id = String(fieldOf(entry, "id"));
      expect(await pair.json(pair.callee, ["quarantine", "show", id])).toMatchObject({
        id,
        code: "PEER_UNKNOWN",
        bytes: expect.stringMatching(/^[A-Za-z0-9+/]{100,}=*$/),
      });
    },
  );
});

describe("what lies in a folder store", () => {
  let pair: Pair;
  let inbox: string;
  beforeAll(async () => {
    pair = await pairInFolder();
    inbox = path.join(fileURLToPath(pair.storeUrl), "eu-lab", "inbox");
    mkdirSync(path.join(inbox, "support"), { recursive: true });
  });
  afterAll(() => pair.remove());

  test("an object of 100 MB: reported once as OBJECT_TOO_LARGE, left in place, nothing kept of it", async () => {
    const file = path.join(inbox, "support", someRun);
    writeFileSync(file, "");
    truncateSync(file, 100_000_000);
    expect(await pair.poll()).toMatchObject({ status: 0 });
    expect(await pair.poll()).toMatchObject({ status: 0 });
    const large = (await quarantineOf(pair)).filter(
      (each) => fieldOf(each, "code") === "OBJECT_TOO_LARGE",
    );
    expect(large).toEqual([
      expect.objectContaining({
        key: `eu-lab/inbox/support/${someRun}`,
        size: 100_000_000,
        kept: false,
      }),
    ]);
    expect(statSync(file).size).toBe(100_000_000);
    expect(statSync(path.join(pair.callee, "state.db")).size).toBeLessThan(10_000_000);
  });

  test("junk names with dots, newlines and escape codes: left in place, and never raw on a terminal", async () => {
    const names = ["..escape", "two\nlines", escapeCode, "con", "A".repeat(200)];
    for (const name of names) writeFileSync(path.join(inbox, "support", name), "junk");
    mkdirSync(path.join(inbox, "..up"), { recursive: true });
    writeFileSync(path.join(inbox, "..up", someRun), "junk");
    const runId = await pair.send("beside junk");
    expect(await pair.poll(pair.callee, ["--log-level", "info"])).toMatchObject({ status: 0 });
    expect(pair.executions(runId)).toBe(1);
    const reported = (await quarantineOf(pair))
      .filter((each) => fieldOf(each, "code") === "KEY_NAME_UNKNOWN")
      .map((each) => fieldOf(each, "key"));
    expect(reported).toEqual(expect.arrayContaining([`eu-lab/inbox/support/two\nlines`]));
    const shown = await pair.succeed(pair.callee, ["quarantine", "list"]);
    expect(withoutLineEnds(shown)).not.toMatch(/\p{Cc}/u);
    expect(shown).toContain(String.raw`two\u{a}lines`);
    for (const name of names) expect(statSync(path.join(inbox, "support", name)).size).toBe(4);
  });
});

describe("what lies in a bucket", () => {
  test.skipIf(!hasConditionalWrites)(
    "junk names on real S3: reported, left in place, escaped",
    async () => {
      const bucket = await makeBucket();
      useS3InThisProcess();
      const pair = await Pair.make(() => bucket.url("mail"), s3Environment);
      const names = [
        "eu-lab/inbox/support/two\nlines",
        `eu-lab/inbox/support/${escapeCode}`,
        "eu-lab/inbox/..x/y",
      ];
      for (const name of names) {
        await bucket.client.send(
          new PutObjectCommand({ Bucket: bucket.name, Key: `mail/${name}`, Body: "junk" }),
        );
      }
      const runId = await pair.send("beside junk");
      expect(await pair.poll()).toMatchObject({ status: 0 });
      expect(pair.executions(runId)).toBe(1);
      const reported = (await quarantineOf(pair)).map((each) => fieldOf(each, "key"));
      expect(new Set(reported)).toEqual(new Set(names));
      expect(withoutLineEnds(await pair.succeed(pair.callee, ["quarantine", "list"]))).not.toMatch(
        /\p{Cc}/u,
      );
      pair.remove();
      await bucket.remove();
    },
  );
});

describe("what a peer may answer", () => {
  test("reaches the terminal without its escape codes, and a parser as it was", async () => {
    const pair = await pairInFolder();
    const agents = ["agents", "add", "painter", "--exec", String.raw`printf '\033[2J\007red'`];
    await pair.succeed(pair.callee, agents);
    const trust = path.join(pair.callee, "trust.json");
    writeFileSync(trust, readFileSync(trust, "utf8").replace('"echo"', '"echo", "painter"'));
    const ask = ["eu-lab/painter", "--prompt", "x", "--idempotency-key", "paint"];
    await pair.succeed(pair.caller, ["send", ...ask]);
    await pair.poll();
    expect(await pair.succeed(pair.caller, ["call", ...ask])).toBe(String.raw`\u{1b}[2J\u{7}red`);
    const lines = (await pair.succeed(pair.caller, ["call", ...ask, "--json"])).trim().split("\n");
    expect(lines.join("")).not.toMatch(/\p{Cc}/u);
    const texts = lines.map((line): unknown => JSON.parse(line));
    expect(texts).toContainEqual(
      expect.objectContaining({ event: "textDelta", payload: { text: "\u001b[2J\u0007red" } }),
    );
    pair.remove();
  });
});

async function quarantineOf(pair: Pair): Promise<readonly unknown[]> {
  return itemsOf(await pair.json(pair.callee, ["quarantine", "list"]));
}

function withoutLineEnds(text: string): string {
  return text.replaceAll("\n", "");
}
