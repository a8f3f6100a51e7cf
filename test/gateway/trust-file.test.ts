import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Clock } from "../../src/base/clock.ts";
import { replaceFile } from "../../src/gateway/files.ts";
import { TrustFile } from "../../src/gateway/trust-file.ts";
import { codeOf } from "../base/code-of.ts";
import { documentWith, lab, oneKey, realm, self } from "../trust/samples.ts";

let folder: string;
let path: string;
let nowMs: number;
const clock: Clock = { now: () => nowMs, sleep: () => Promise.resolve() };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-trust-"));
  path = join(folder, "trust.json");
  // Long after whatever is written: the times of files tell all.
  nowMs = Date.now() + 1_000_000;
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const source = (): TrustFile => new TrustFile({ path, gateway: self, realm, clock });

function write(version: number, peers: object = {}): void {
  replaceFile(path, JSON.stringify(documentWith(peers, { version })));
}

describe("a trust file", () => {
  test("is read once while it does not change", () => {
    write(1);
    const trust = source();
    expect(trust.current()).toBe(trust.current());
    expect(trust.current().gateway).toBe(self);
  });

  test("counts anew at once when it was replaced", () => {
    write(1, { lab: { keys: [oneKey] } });
    const trust = source();
    expect(trust.current().peers).toEqual([lab]);
    write(2);
    expect(trust.current().peers).toEqual([]);
    expect(trust.current().version).toBe(2);
  });

  test("counts anew when it was edited in place, to the same size and with the same time of change", () => {
    const whole = new Date("2030-01-01T00:00:00Z");
    write(1);
    utimesSync(path, whole, whole);
    const trust = source();
    expect(trust.current().version).toBe(1);
    writeFileSync(path, JSON.stringify(documentWith({}, { version: 7 })));
    utimesSync(path, whole, whole);
    expect(trust.current().version).toBe(7);
  });

  test("that was changed just now is read each time, for its times may not yet tell of another change", () => {
    nowMs = Date.now();
    write(1);
    const trust = source();
    const first = trust.current();
    expect(trust.current()).not.toBe(first);
    nowMs += 1_000_000;
    const settled = trust.current();
    expect(trust.current()).toBe(settled);
  });

  test("that cannot be read serves nothing, not even what it was, until it can be read again", () => {
    write(1);
    const trust = source();
    trust.current();
    const broken: (() => void)[] = [
      () => writeFileSync(path, "{"),
      () => writeFileSync(path, JSON.stringify(documentWith({}, { extra: 1 }))),
      () => rmSync(path),
      () => mkdirSync(path),
      () => {
        rmSync(path, { recursive: true });
        writeFileSync(join(folder, "real"), JSON.stringify(documentWith({})));
        symlinkSync(join(folder, "real"), path);
      },
    ];
    for (const breakIt of broken) {
      breakIt();
      expect(codeOf(() => trust.current())).toBe("TRUST_INVALID");
      expect(codeOf(() => trust.current())).toBe("TRUST_INVALID");
    }
    rmSync(path);
    write(3);
    expect(trust.current().version).toBe(3);
  });

  test("that others may write serves nothing from then on, until they no longer may", () => {
    write(1);
    const trust = source();
    trust.current();
    for (const mode of [0o620, 0o602]) {
      chmodSync(path, mode);
      expect(codeOf(() => trust.current())).toBe("HOME_UNSAFE");
    }
    chmodSync(path, 0o600);
    expect(trust.current().version).toBe(1);
  });

  test("of another gateway or realm serves nothing", () => {
    replaceFile(path, JSON.stringify(documentWith({}, { gateway: "other" })));
    expect(codeOf(() => source().current())).toBe("TRUST_INVALID");
    replaceFile(path, JSON.stringify(documentWith({}, { realm: "test" })));
    expect(codeOf(() => source().current())).toBe("TRUST_INVALID");
  });
});
