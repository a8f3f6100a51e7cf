import { lstatSync, type BigIntStats } from "node:fs";
import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { GatewayName, Realm } from "../base/names.ts";
import type { TrustSource } from "../mailbox/mailbox.ts";
import { readTrustDocument } from "../trust/document.ts";
import { makeTrust, type Trust } from "../trust/trust.ts";
import { readGuardedFile } from "./files.ts";

export interface TrustFileOptions {
  readonly path: string;
  /** Whose document it must be. */
  readonly gateway: GatewayName;
  readonly realm: Realm;
  readonly clock: Clock;
}

/** A file that was changed so short a time ago may change once more without its times telling so. */
const youngMs = 3000;

interface ReadTrust {
  readonly trust: Trust;
  readonly stat: BigIntStats;
  /** Whether the file was old enough, when it was read, for its times to tell of any later change. */
  readonly settled: boolean;
}

/**
 * The trust document of a home, read again whenever the file has changed. After a failed read nothing is
 * served until one succeeds: a document that cannot be read grants nothing.
 */
export class TrustFile implements TrustSource {
  readonly #options: TrustFileOptions;
  #read: ReadTrust | undefined;

  constructor(options: TrustFileOptions) {
    this.#options = options;
  }

  /** Synchronous, and one look at the file's times while nothing changes. Throws `TRUST_INVALID`, `HOME_UNSAFE`. */
  current(): Trust {
    const known = this.#read;
    this.#read = undefined;
    this.#read = known !== undefined && this.#stillStands(known) ? known : this.#readAnew();
    return this.#read.trust;
  }

  #stillStands({ stat, settled }: ReadTrust): boolean {
    if (!settled) return false;
    const now = statOf(this.#options.path);
    return (
      now !== undefined &&
      now.dev === stat.dev &&
      now.ino === stat.ino &&
      now.size === stat.size &&
      now.mtimeNs === stat.mtimeNs &&
      now.ctimeNs === stat.ctimeNs
    );
  }

  #readAnew(): ReadTrust {
    const { path, gateway, realm, clock } = this.#options;
    const { bytes, stat } = readGuardedFile(path, "TRUST_INVALID", limits.maxConfigBytes);
    const document = readTrustDocument(bytes);
    if (document.gateway !== gateway || document.realm !== realm) {
      throw new PosternError(
        "TRUST_INVALID",
        `${path}: it is of ${document.gateway} in realm ${document.realm}, and config.json of ${gateway} in ${realm}: put the right one there`,
      );
    }
    const settled = clock.now() - Number(stat.ctimeMs) > youngMs;
    return { trust: makeTrust(document), stat, settled };
  }
}

/** Undefined for whatever cannot be looked at: reading it then says why. */
function statOf(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch {
    return undefined;
  }
}
