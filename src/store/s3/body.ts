import type { Readable } from "node:stream";
import { PosternError } from "../../base/errors.ts";
import type { GetResult } from "../store.ts";

/** Throws `STORE_ENCODING`. */
export function refuseEncoding(body: Readable, encoding: string | undefined, what: string): void {
  if (encoding === undefined || encoding === "" || encoding === "identity") return;
  body.destroy();
  throw new PosternError(
    "STORE_ENCODING",
    `${what}: the object comes with a content encoding, which nothing may have but its own bytes: ` +
      "turn compression off at the store or proxy, or delete the object",
  );
}

/** Bytes, as the store says. What is no size, or one that no state can keep, is larger than any that is taken. */
export function sizeOf(said: number): number {
  return Number.isSafeInteger(said) && said >= 0 ? said : Number.MAX_SAFE_INTEGER;
}

/** Reads a body to its end, or to the first byte too many. */
export async function receive(
  body: Readable,
  announced: number | undefined,
  maxBytes: number,
  what: string,
): Promise<GetResult> {
  if (announced !== undefined && announced > maxBytes) {
    body.destroy();
    return { status: "too-large", size: sizeOf(announced) };
  }
  const bytes = await collect(body, maxBytes);
  if (bytes === undefined) return { status: "too-large", size: maxBytes + 1 };
  if (announced !== undefined && bytes.length !== announced) {
    throw new PosternError("STORE_UNREACHABLE", `${what}: the answer broke off: try again`);
  }
  return { status: "found", bytes };
}

/** All bytes of the stream, or undefined once there are more than `maxBytes`; the stream is then destroyed. */
export async function collect(stream: Readable, maxBytes: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array))
      throw new PosternError("STORE_FAILED", "an HTTP body is not made of bytes");
    length += chunk.length;
    // Leaving the loop destroys the stream.
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, length));
}
