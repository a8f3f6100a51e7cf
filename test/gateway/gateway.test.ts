import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { parseGatewayName, parseRealm } from "../../src/base/names.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openGateway, type Gateway } from "../../src/gateway/gateway.ts";
import { initHome } from "../../src/gateway/init-home.ts";
import { machineName } from "../../src/gateway/machine.ts";
import { poll } from "../../src/gateway/poll.ts";
import { PosternError } from "../../src/base/errors.ts";
import { rejectionCode } from "../support/rejection.ts";

let folder: string;
let home: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "postern-gateway-"));
  home = join(folder, "home");
  mkdirSync(join(folder, "store"));
  await initHome({
    home,
    gateway: parseGatewayName("acme"),
    realm: parseRealm("prod"),
    store: `file://${join(folder, "store")}`,
    random: systemRandom,
    clock: systemClock,
    machine: machineName(),
  });
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const open = (admits: boolean, at = home): Promise<Gateway> =>
  openGateway({ home: at, log: silentLogger, env: {}, admits });

describe("an opened home", () => {
  it("is the gateway that it was made for", async () => {
    await using gateway = await open(true);
    expect([gateway.mailbox.self, gateway.mailbox.realm]).toEqual(["acme", "prod"]);
    expect(gateway.responder.agents.size).toBe(0);
  });

  it("has made no request to the store before that is used", async () => {
    await using gateway = await open(true);
    expect(Object.values(gateway.storeRequests()).map(({ requests }) => requests)).toEqual([
      0, 0, 0, 0,
    ]);
  });

  it("opened to admit, is a worker that others see alive until it is closed", async () => {
    await using watcher = await open(true);
    const other = await open(true);
    const { self } = other.mailbox.liveness;
    expect(watcher.mailbox.liveness.isGone(self)).toBe(false);
    await other[Symbol.asyncDispose]();
    expect(watcher.mailbox.liveness.isGone(self)).toBe(true);
  });

  it("opened without admitting is nobody's worker", async () => {
    await using gateway = await open(false);
    expect(() => gateway.mailbox.liveness.self).toThrow(PosternError);
  });
});

describe("a home that cannot be opened", () => {
  it("because there is none says so", async () => {
    expect(await rejectionCode(open(true, join(folder, "nowhere")))).toBe("HOME_MISSING");
  });

  it("leaves nothing open: it can be opened once the fault is mended", async () => {
    const state = join(home, "state.db");
    rmSync(state);
    expect(await rejectionCode(open(true))).toBe("STATE_MISSING");
  });
});

it("reports a store that is not there when it is first used", async () => {
  rmSync(join(folder, "store"), { recursive: true });
  await using gateway = await open(true);
  const polling = poll(gateway.mailbox, gateway.responder);
  expect(await rejectionCode(polling)).toBe("STORE_MISSING");
});
