import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasConditionalWrites, makeBucket, s3Environment } from "../support/s3.ts";
import { User } from "./support/cli.ts";
import { codesIn } from "./support/pair.ts";
import { parsed } from "./support/json.ts";

const oneMinute = 60_000;

/** The line that cli users rely on: every field, and nothing else. */
function proof(store: unknown) {
  return {
    demo: "ok",
    store,
    runId: expect.stringMatching(/^[a-z2-7]{52}$/),
    frames: expect.any(Number),
    terminal: "succeeded",
    duplicate: { sent: 2, executed: 1 },
    tampered: { sent: 1, executed: 0, quarantined: 1 },
    objects: expect.any(Number),
    seconds: expect.any(Number),
  };
}

describe("demo", () => {
  let user: User;
  beforeAll(() => {
    user = new User();
  });
  afterAll(() => user.remove());

  test(
    "proves it in a folder in under a minute, ends with one line of numbers, and tidies up",
    { timeout: oneMinute },
    async () => {
      const { status, stdout, stderr } = await user.run(["demo", "--json"], {
        env: { TMPDIR: user.folder },
      });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout.endsWith("\n")).toBe(true);
      expect(parsed(stdout.trimEnd().split("\n").at(-1) ?? "")).toEqual(
        proof(expect.stringMatching(/^file:\/\/\//)),
      );
      expect(readdirSync(user.folder).filter((name) => name.startsWith("postern-demo-"))).toEqual(
        [],
      );
    },
  );

  test(
    "--keep leaves everything and says where; people get the answer as text",
    { timeout: oneMinute },
    async () => {
      const { status, stdout, stderr } = await user.run(["demo", "--keep"], {
        env: { TMPDIR: user.folder },
      });
      expect(status).toBe(0);
      expect(stdout).toContain("logs/sync.log");
      const folder = /everything lies in (\S+)/.exec(stderr)?.[1] ?? "";
      expect(existsSync(path.join(folder, "support", "config.json"))).toBe(true);
    },
  );

  test.skipIf(!hasConditionalWrites)(
    "proves it on real S3, and leaves the bucket as it was",
    { timeout: oneMinute },
    async () => {
      const bucket = await makeBucket();
      const { status, stdout, stderr } = await user.run(
        ["demo", "--json", "--store", bucket.url("mail")],
        { env: s3Environment },
      );
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(parsed(stdout.trim())).toEqual(proof(expect.stringMatching(/^s3:\/\//)));
      const left = await bucket.store("mail").list({ prefix: "", limit: 10 });
      expect(left.entries).toEqual([]);
      await bucket.remove();
    },
  );

  test("an unreachable store: STORE_UNREACHABLE, exit 3", async () => {
    const store = "s3://nowhere?endpoint=http://127.0.0.1:1";
    const env = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" };
    const { status, stdout, stderr } = await user.run(["demo", "--json", "--store", store], {
      env,
    });
    expect({ status, stdout, codes: codesIn(stderr) }).toEqual({
      status: 3,
      stdout: "",
      codes: ["STORE_UNREACHABLE"],
    });
  });
});
