import { fromBase32, toBase32 } from "../base/bytes.ts";
import { toSeconds } from "../base/clock.ts";
import { asPosternError, PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { decodeCard, encodeCard, type CardPayload } from "../protocol/card.ts";
import { parseEnvelope, signEnvelope } from "../protocol/envelope.ts";
import type { PublicKey, SigningKey } from "../protocol/keys.ts";
import { objectKey } from "../protocol/object-key.ts";

/** What the text form of a card begins with: the name of the format and its version. */
const textPrefix = "postern1";
/** The first byte of every envelope (CBOR tag 18), and of no text. */
const coseSign1Tag = 0xd2;

/** A card whose own signature holds: that it is who it says to be, only a compared fingerprint tells. */
export interface OpenedCard {
  readonly card: CardPayload;
  /** The card's first key, which signed it: its fingerprint is what people compare. */
  readonly signer: PublicKey;
  /** Seconds since 1970. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/**
 * A gateway's card, signed by its first key, good for `lifetimeMs`. Throws `PAYLOAD_INVALID` for a card that
 * nobody could read, and `CARD_INVALID` when `key` is not the card's first.
 */
export function makeCard(
  card: CardPayload,
  key: SigningKey,
  nowMs: number,
  lifetimeMs: number = limits.cardLifetimeMs,
): Uint8Array {
  if (card.keys[0]?.kid !== key.publicKey.kid) {
    throw new PosternError(
      "CARD_INVALID",
      "a card is signed by the first key that it names: put that one first",
    );
  }
  const claims = { iss: card.gateway, iat: toSeconds(nowMs), exp: toSeconds(nowMs + lifetimeMs) };
  return signEnvelope("card", claims, encodeCard(card), key, bindingOf(card));
}

/** The card as one line that survives a chat window: `postern1` and lower-case base32. */
export function cardText(envelope: Uint8Array): string {
  return textPrefix + toBase32(envelope);
}

/**
 * Reads a card from its text (white space in it is ignored) or from a file's bytes, which may hold the text or
 * the envelope itself. Throws `CARD_INVALID`, or `CARD_EXPIRED` past its expiry and the allowed clock skew.
 */
export function openCard(input: string | Uint8Array, nowMs: number): OpenedCard {
  const envelope = envelopeOf(input);
  const opened = verifyCard(envelope);
  if (opened.issuedAt * 1000 > nowMs + limits.skewMs) {
    throw invalid(
      `it was issued in the future, at ${isoTime(opened.issuedAt)}: check this machine's clock`,
    );
  }
  if (nowMs >= opened.expiresAt * 1000 + limits.skewMs) {
    throw new PosternError(
      "CARD_EXPIRED",
      `the card of ${opened.card.gateway} expired at ${isoTime(opened.expiresAt)}: ask for a new one (\`postern card export\`)`,
    );
  }
  return opened;
}

function verifyCard(bytes: Uint8Array): OpenedCard {
  try {
    const envelope = parseEnvelope("card", bytes);
    const card = decodeCard(envelope.untrustedPayload);
    const { iss, iat, exp } = envelope.claims;
    const [signer] = card.keys;
    if (signer === undefined || exp === undefined) throw invalid("it has no key or no expiry");
    // Nothing of the payload has been believed up to here: it only says which key the signature must be of.
    envelope.verify(signer, bindingOf(card));
    if (iss !== card.gateway) throw invalid(`it speaks of ${card.gateway} and is signed as ${iss}`);
    return { card, signer, issuedAt: iat, expiresAt: exp };
  } catch (thrown) {
    const error = asPosternError(thrown);
    if (error.code === "CARD_INVALID") throw error;
    throw invalid(`${error.message} (${error.code}); ask for it again`, error);
  }
}

/** A card is signed for its place in the store (SPEC.md, Object keys), also when it never lies there. */
function bindingOf({ realm, gateway, version }: CardPayload) {
  return { realm, key: objectKey({ kind: "card", gateway, version }) };
}

function envelopeOf(input: string | Uint8Array): Uint8Array {
  if (input.length > limits.maxCardTextBytes) {
    throw invalid(`it has ${input.length} bytes, and ${limits.maxCardTextBytes} is the most`);
  }
  if (typeof input === "string") return fromText(input);
  return input[0] === coseSign1Tag ? input : fromText(new TextDecoder().decode(input));
}

function fromText(text: string): Uint8Array {
  const joined = text.replaceAll(/[ \t\r\n]/g, "");
  if (!joined.startsWith(textPrefix)) {
    throw invalid(
      `its text begins with "${textPrefix}": give the whole line that \`postern card export\` printed`,
    );
  }
  const bytes = fromBase32(joined.slice(textPrefix.length));
  if (bytes === undefined) {
    throw invalid(
      "a part of its text is missing or was changed on the way: copy the whole line again",
    );
  }
  return bytes;
}

function invalid(what: string, cause?: unknown): PosternError {
  return new PosternError("CARD_INVALID", `the card cannot be used: ${what}`, { cause });
}

function isoTime(seconds: number): string {
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? `${seconds} s` : time.toISOString();
}
