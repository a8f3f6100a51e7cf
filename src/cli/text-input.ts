import { createReadStream } from "node:fs";
import { isUtf8 } from "node:buffer";
import type { Readable } from "node:stream";
import { fromUtf8 } from "../base/bytes.ts";
import { PosternError } from "../base/errors.ts";

/**
 * The whole text of a file, or of stdin where `file` is `-`. Reading stops past `maxBytes`. Throws `USAGE`
 * for what cannot be read, is too much, or is no UTF-8.
 */
export async function readTextInput(file: string, maxBytes: number): Promise<string> {
  const where = file === "-" ? "stdin" : file;
  const bytes = await readUpTo(
    file === "-" ? process.stdin : createReadStream(file),
    where,
    maxBytes,
  );
  if (!isUtf8(bytes)) throw new PosternError("USAGE", `${where} is not text: save it as UTF-8`);
  return fromUtf8(bytes);
}

async function readUpTo(stream: Readable, where: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      if (!(chunk instanceof Uint8Array)) continue;
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) break;
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unknown";
    throw new PosternError("USAGE", `${where} cannot be read: ${reason}`, { cause });
  }
  if (size <= maxBytes) return Buffer.concat(chunks);
  throw new PosternError("USAGE", `${where} has more than ${maxBytes} bytes, which is the most`);
}
