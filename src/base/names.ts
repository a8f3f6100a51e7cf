import { PosternError } from "./errors.ts";
import { limits } from "./limits.ts";

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A gateway: lower-case DNS labels joined by dots, at most 100 bytes (SPEC.md, Names). */
export type GatewayName = Branded<string, "GatewayName">;
/** An agent behind a gateway: one lower-case label. */
export type AgentName = Branded<string, "AgentName">;
/** One deployment, bound into every signature: one lower-case label. */
export type Realm = Branded<string, "Realm">;
/** 52 characters of base32: see `runIdOf`. */
export type RunId = Branded<string, "RunId">;
/** SHA-256 of a signed request envelope, 52 characters of base32. */
export type RequestDigest = Branded<string, "RequestDigest">;
/** The first 16 characters of a `RequestDigest`, as keys carry it. */
export type Digest16 = Branded<string, "Digest16">;
/** A key of the shared store, below the store's own prefix. */
export type ObjectKey = Branded<string, "ObjectKey">;
/** One process that admits, for as long as it lives. */
export type WorkerId = Branded<string, "WorkerId">;

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const base32Name = /^[a-z2-7]{52}$/;
/** Names that Windows refuses for files, with or without an ending. */
const reservedLabel = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$/;

function isLabel(text: string): boolean {
  return label.test(text) && !reservedLabel.test(text);
}

export function isGatewayName(text: string): text is GatewayName {
  return text.length <= limits.maxGatewayNameBytes && text.split(".").every(isLabel);
}

export function isAgentName(text: string): text is AgentName {
  return isLabel(text);
}

export function isRealm(text: string): text is Realm {
  return isLabel(text);
}

export function isRunId(text: string): text is RunId {
  return base32Name.test(text);
}

export function isRequestDigest(text: string): text is RequestDigest {
  return base32Name.test(text);
}

export function isWorkerId(text: string): text is WorkerId {
  return isNonce(text);
}

/** 16 random bytes in base32. */
export function isNonce(text: string): text is string {
  return /^[a-z2-7]{26}$/.test(text);
}

function parser<T extends string>(what: string, shape: string, is: (text: string) => text is T) {
  /** Throws `NAME_INVALID`. */
  return (text: string): T => {
    if (is(text)) return text;
    throw new PosternError("NAME_INVALID", `${JSON.stringify(text)} is not ${what}: use ${shape}`);
  };
}

const labelShape = "lower-case letters, digits and inner hyphens, at most 63";
export const parseGatewayName = parser(
  "a gateway name",
  "lower-case DNS labels joined by dots, at most 100 bytes, none reserved by a file system",
  isGatewayName,
);
export const parseAgentName = parser("an agent name", labelShape, isAgentName);
export const parseRealm = parser("a realm", labelShape, isRealm);
export const parseRunId = parser("a run id", "the 52 characters that `send` printed", isRunId);

/** The address of an agent: `gateway/agent`. */
export interface AgentAddress {
  readonly gateway: GatewayName;
  readonly agent: AgentName;
}

/** Throws `NAME_INVALID`. */
export function parseAgentAddress(text: string): AgentAddress {
  const [gateway, agent, ...more] = text.split("/");
  if (gateway === undefined || agent === undefined || more.length > 0) {
    throw new PosternError(
      "NAME_INVALID",
      `${JSON.stringify(text)} is not an address: use gateway/agent`,
    );
  }
  return { gateway: parseGatewayName(gateway), agent: parseAgentName(agent) };
}
