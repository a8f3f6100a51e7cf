import { limits } from "../base/limits.ts";
import {
  isGatewayName,
  isRequestDigest,
  isRunId,
  type Digest16,
  type GatewayName,
  type ObjectKey,
  type RequestDigest,
  type RunId,
} from "../base/names.ts";

/** What a key of the shared store names (SPEC.md, Object keys). */
export type ObjectName =
  | { readonly kind: "card"; readonly gateway: GatewayName; readonly version: number }
  | { readonly kind: "owner"; readonly gateway: GatewayName; readonly generation: number }
  | RequestName
  | CancelName
  | FramesName
  | { readonly kind: "probe"; readonly gateway: GatewayName; readonly id: string };

export interface RequestName {
  readonly kind: "request";
  readonly to: GatewayName;
  readonly from: GatewayName;
  readonly runId: RunId;
}

export interface CancelName {
  readonly kind: "cancel";
  readonly to: GatewayName;
  readonly from: GatewayName;
  readonly runId: RunId;
  readonly digest16: Digest16;
}

/** `attempt` counts from 1; `seq` is the number of the object's first frame within its attempt, from 0. */
export interface FramesName {
  readonly kind: "frames";
  readonly to: GatewayName;
  readonly from: GatewayName;
  readonly runId: RunId;
  readonly digest16: Digest16;
  readonly attempt: number;
  readonly seq: number;
}

const digest16Pattern = /^[a-z2-7]{16}$/;
const probePattern = /^[a-z2-7]{26}$/;

export function digest16Of(digest: RequestDigest): Digest16 {
  return digest.slice(0, 16) as Digest16;
}

function padded(value: number, digits: number): string {
  return value.toString().padStart(digits, "0");
}

function numberOf(text: string, digits: number, least: number): number | undefined {
  if (text.length !== digits || !/^[0-9]+$/.test(text)) return undefined;
  const value = Number(text);
  return value >= least ? value : undefined;
}

/** The one key of a name. */
export function objectKey(name: ObjectName): ObjectKey {
  return keyText(name) as ObjectKey;
}

function keyText(name: ObjectName): string {
  switch (name.kind) {
    case "card":
      return `${name.gateway}/card/${padded(name.version, 10)}`;
    case "owner":
      return `${name.gateway}/owner/${padded(name.generation, 10)}`;
    case "request":
      return `${inboxPrefix(name.to, name.from)}${name.runId}`;
    case "cancel":
      return `${inboxPrefix(name.to, name.from)}${name.runId}.${name.digest16}.cancel`;
    case "frames":
      return `${framesPrefix(name)}${padded(name.attempt, 4)}-${padded(name.seq, 10)}`;
    case "probe":
      return `${name.gateway}/probe/${name.id}`;
  }
}

/** `<to>/inbox/`, or `<to>/inbox/<from>/` with a sender. */
export function inboxPrefix(to: GatewayName, from?: GatewayName): string {
  return from === undefined ? `${to}/inbox/` : `${to}/inbox/${from}/`;
}

/** Where all frames for one gateway lie: `<to>/frames/`. */
export function framesInbox(to: GatewayName): string {
  return `${to}/frames/`;
}

export function ownerPrefix(gateway: GatewayName): string {
  return `${gateway}/owner/`;
}

/** Where a gateway's own test writes lie: `<gateway>/probe/`. */
export function probePrefix(gateway: GatewayName): string {
  return `${gateway}/probe/`;
}

/** Where all frames that answer one request lie: `<to>/frames/<from>/<runId>/<digest16>/`. */
export function framesPrefix(at: Pick<FramesName, "to" | "from" | "runId" | "digest16">): string {
  return `${at.to}/frames/${at.from}/${at.runId}/${at.digest16}/`;
}

/** The name behind a key, or undefined for a key that no rule of SPEC.md makes. Every name has exactly one key. */
export function parseObjectKey(key: string): ObjectName | undefined {
  if (key.length > limits.maxObjectKeyBytes) return undefined;
  const [gateway, room, ...rest] = key.split("/");
  if (gateway === undefined || !isGatewayName(gateway)) return undefined;
  switch (room) {
    case "card":
      return numbered(rest, (version) => ({ kind: "card", gateway, version }));
    case "owner":
      return numbered(rest, (generation) => ({ kind: "owner", gateway, generation }));
    case "probe": {
      const [id, ...more] = rest;
      if (id === undefined || more.length > 0 || !probePattern.test(id)) return undefined;
      return { kind: "probe", gateway, id };
    }
    case "inbox":
      return parseInboxKey(gateway, rest);
    case "frames":
      return parseFramesKey(gateway, rest);
    default:
      return undefined;
  }
}

function numbered(
  rest: readonly string[],
  make: (value: number) => ObjectName,
): ObjectName | undefined {
  const [text, ...more] = rest;
  if (text === undefined || more.length > 0) return undefined;
  const value = numberOf(text, 10, 1);
  return value === undefined ? undefined : make(value);
}

function parseInboxKey(
  to: GatewayName,
  rest: readonly string[],
): RequestName | CancelName | undefined {
  const [from, file, ...more] = rest;
  if (from === undefined || file === undefined || more.length > 0 || !isGatewayName(from))
    return undefined;
  const [runId, digest16, ending, ...parts] = file.split(".");
  if (runId === undefined || !isRunId(runId)) return undefined;
  if (digest16 === undefined) return { kind: "request", to, from, runId };
  if (ending !== "cancel" || parts.length > 0 || !isDigest16(digest16)) return undefined;
  return { kind: "cancel", to, from, runId, digest16 };
}

function parseFramesKey(to: GatewayName, rest: readonly string[]): FramesName | undefined {
  const [from, runId, digest16, file, ...more] = rest;
  if (from === undefined || runId === undefined || digest16 === undefined || file === undefined)
    return undefined;
  if (more.length > 0 || !isGatewayName(from) || !isRunId(runId) || !isDigest16(digest16))
    return undefined;
  const [attemptText, seqText, ...parts] = file.split("-");
  if (attemptText === undefined || seqText === undefined || parts.length > 0) return undefined;
  const attempt = numberOf(attemptText, 4, 1);
  const seq = numberOf(seqText, 10, 0);
  return attempt === undefined || seq === undefined
    ? undefined
    : { kind: "frames", to, from, runId, digest16, attempt, seq };
}

function isDigest16(text: string): text is Digest16 {
  return digest16Pattern.test(text);
}

/** Whether `text` is the digest that `digest16` shortens. */
export function matchesDigest16(digest16: Digest16, digest: RequestDigest): boolean {
  return isRequestDigest(digest) && digest16Of(digest) === digest16;
}
