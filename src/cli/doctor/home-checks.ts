import { lstatSync, statSync } from "node:fs";
import type { Clock } from "../../base/clock.ts";
import { asPosternError, PosternError } from "../../base/errors.ts";
import type { GatewayName } from "../../base/names.ts";
import type { Config } from "../../gateway/config.ts";
import {
  readConfig,
  readSigningKey,
  readTrust,
  requireApart,
  requireHome,
  type HomePaths,
} from "../../gateway/home.ts";
import { TrustFile } from "../../gateway/trust-file.ts";
import { fingerprintOf } from "../../protocol/keys.ts";
import { parseStoreUrl } from "../../store/open.ts";
import type { Trust } from "../../trust/trust.ts";
import { failure, findings, ok, warning, type Finding } from "./finding.ts";

const leastNodeMajor = 24;
const renewTrustMs = 30 * 86_400_000;

export function checkNode(): Finding {
  const version = process.versions.node;
  if (Number.parseInt(version, 10) >= leastNodeMajor) return ok("node", version);
  return failure(
    "node",
    new PosternError("USAGE", `this is Node ${version}: install ${leastNodeMajor} or newer`),
  );
}

export function checkHome(paths: HomePaths): Promise<readonly Finding[]> {
  return findings("home", () => {
    requireHome(paths);
    const mode = statSync(paths.home).mode & 0o777;
    const shown = `${paths.home} has mode 0${mode.toString(8)}`;
    if ((mode & 0o077) === 0) return ok("home", shown);
    return warning("home", `${shown}: others may look into it`, `run chmod 700 ${paths.home}`);
  });
}

export function checkConfig(paths: HomePaths): Promise<readonly Finding[]> {
  return findings("config", () => {
    const { gateway, realm, store } = readConfig(paths);
    requireApart(paths, parseStoreUrl(store));
    return ok("config", `${gateway} in realm ${realm}`);
  });
}

export function checkKey(paths: HomePaths): Promise<readonly Finding[]> {
  return findings("key", () => {
    const { publicKey } = readSigningKey(paths);
    const mode = lstatSync(paths.keys).mode & 0o777;
    if ((mode & 0o077) === 0) return ok("key", `fingerprint ${fingerprintOf(publicKey)}`);
    return warning("key", `${paths.keys} is open to others`, `run chmod 700 ${paths.keys}`);
  });
}

export function checkTrust(
  paths: HomePaths,
  config: Config,
  clock: Clock,
): Promise<readonly Finding[]> {
  return findings("trust", () => {
    const { gateway, realm } = config;
    const trust = new TrustFile({ path: paths.trust, gateway, realm, clock }).current();
    trust.requireCurrent(clock.now());
    const { expires, peers } = readTrust(paths);
    const renew = "review trust.json, then raise its version and set a later date";
    const found = Object.values(peers);
    const granted = found.filter(({ grants }) => (grants?.kinds ?? []).length > 0);
    return [
      Date.parse(expires) - clock.now() > renewTrustMs
        ? ok("trust", `good until ${expires}`)
        : warning("trust", `it expires at ${expires}`, renew),
      found.length > 0
        ? ok("peers", `${found.length} known, ${granted.length} may ask something`)
        : warning(
            "peers",
            "nobody is known",
            "exchange cards: `postern card export`, `postern peers add`",
          ),
      ...(found.length > 0 && granted.length === 0
        ? [
            warning(
              "grants",
              "no peer may ask anything",
              "fine for a caller; else name agents in `postern peers add`",
            ),
          ]
        : []),
      ...trust.peers.flatMap((name) => checkPeer(trust, name, clock.now())),
    ];
  });
}

function checkPeer(trust: Trust, name: GatewayName, nowMs: number): readonly Finding[] {
  try {
    trust.requireUsableKey(name, nowMs);
    return [];
  } catch (thrown) {
    const what = `none of its keys counts any more (${asPosternError(thrown).code})`;
    const remedy = "ask for its new card and pin the key in trust.json, or remove the peer";
    return [warning(`peer ${name}`, what, remedy)];
  }
}
