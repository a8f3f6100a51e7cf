import { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { PosternError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ObjectKey } from "../base/names.ts";
import { abortedError, refuseAborted } from "./abort.ts";
import { checkKey } from "./key.ts";
import { answersQuery, emptyPage, readyQuery, type ReadyQuery } from "./query.ts";
import { receive, refuseEncoding, sizeOf } from "./s3/body.ts";
import { makeClient, type S3StoreOptions } from "./s3/client.ts";
import { failureOf, s3Error } from "./s3/errors.ts";
import type {
  CallOptions,
  GetOptions,
  GetResult,
  ListPage,
  ListQuery,
  PutResult,
  Store,
  StoreCapabilities,
} from "./store.ts";

/** A bucket, or what lies below a prefix of it. Every operation is one request; nothing is repeated. */
export class S3Store implements Store {
  readonly capabilities: StoreCapabilities;
  readonly #client: S3Client;
  readonly #bucket: string;
  /** Empty, or ending in `/`. */
  readonly #prefix: string;
  readonly #timeoutMs: number;

  constructor(options: S3StoreOptions) {
    this.capabilities = { driver: "s3", location: options.location, atomicPut: "probe" };
    this.#bucket = options.bucket;
    this.#prefix = options.prefix === "" ? "" : `${options.prefix}/`;
    this.#timeoutMs = options.timeoutMs ?? limits.storeTimeoutMs;
    this.#client = makeClient(options);
  }

  async get(key: ObjectKey, { maxBytes, signal }: GetOptions): Promise<GetResult> {
    checkKey(key);
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key });
    return await this.#call(`get ${key}`, signal, async (what, abortSignal) => {
      try {
        const { Body, ContentLength, ContentEncoding } = await this.#client.send(command, {
          abortSignal,
        });
        if (!(Body instanceof Readable)) throw new PosternError("STORE_FAILED", `${what}: no body`);
        refuseEncoding(Body, ContentEncoding, what);
        return await receive(Body, ContentLength, maxBytes, what);
      } catch (thrown) {
        if (failureOf(thrown).name === "NoSuchKey") return { status: "absent" };
        throw thrown;
      }
    });
  }

  async put(key: ObjectKey, bytes: Uint8Array, options?: CallOptions): Promise<PutResult> {
    checkKey(key);
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: this.#prefix + key,
      Body: bytes,
      ContentType: "application/octet-stream",
      IfNoneMatch: "*",
    });
    return await this.#call(`put ${key}`, options?.signal, async (_what, abortSignal) => {
      try {
        await this.#client.send(command, { abortSignal });
        return "created";
      } catch (thrown) {
        if (failureOf(thrown).status === 412) return "exists";
        throw thrown;
      }
    });
  }

  async list(query: ListQuery, options?: CallOptions): Promise<ListPage> {
    const ready = readyQuery(query);
    return await this.#call(`list ${query.prefix}`, options?.signal, async (what, abortSignal) =>
      ready === undefined ? emptyPage : await this.#page(ready, what, abortSignal),
    );
  }

  async delete(key: ObjectKey, options?: CallOptions): Promise<void> {
    checkKey(key);
    const command = new DeleteObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key });
    await this.#call(`delete ${key}`, options?.signal, async (_what, abortSignal) => {
      try {
        await this.#client.send(command, { abortSignal });
      } catch (thrown) {
        if (failureOf(thrown).name !== "NoSuchKey") throw thrown;
      }
    });
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  /** The region that requests are signed for. Throws `STORE_URL_INVALID` when nothing names one. */
  async region(): Promise<string> {
    try {
      return await this.#client.config.region();
    } catch (cause) {
      const remedy = "add ?region= to the store URL, or set AWS_REGION";
      throw new PosternError(
        "STORE_URL_INVALID",
        `${this.capabilities.location} names no region: ${remedy}`,
        {
          cause,
        },
      );
    }
  }

  async #page(query: ReadyQuery, what: string, abortSignal: AbortSignal): Promise<ListPage> {
    let token: string | undefined;
    for (;;) {
      const command = new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: this.#prefix + query.prefix,
        MaxKeys: query.limit,
        // XML cannot carry every character that a key may hold.
        EncodingType: "url",
        ...(query.startAfter === "" ? {} : { StartAfter: this.#prefix + query.startAfter }),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      });
      const answer = await this.#client.send(command, { abortSignal });
      if (answer.Name === undefined) {
        throw new PosternError(
          "STORE_FAILED",
          `${what}: the answer is not S3's: check the endpoint`,
        );
      }
      const entries = (answer.Contents ?? []).map(({ Key = "", Size = 0, LastModified }) => ({
        key: this.#withoutPrefix(answer.EncodingType === "url" ? decodeKey(Key) : Key),
        size: sizeOf(Size),
        modifiedMs: LastModified?.getTime() ?? 0,
      }));
      if (!answersQuery(query, entries)) throw badListing(what);
      const more = answer.IsTruncated === true || entries.length > query.limit;
      token = answer.IsTruncated === true ? answer.NextContinuationToken : undefined;
      if (more && entries.length === 0 && token === undefined) throw badListing(what);
      // S3 may cut a page short before its first key; only an entry tells our caller where to go on.
      // What goes beyond max-keys is left for the next page, and there is one.
      if (entries.length > 0 || token === undefined)
        return { entries: entries.slice(0, query.limit), more };
    }
  }

  /** A key that lacks the prefix comes back as it is, and answers no query. */
  #withoutPrefix(key: string): string {
    return key.startsWith(this.#prefix) ? key.slice(this.#prefix.length) : key;
  }

  /** Runs one operation under the caller's signal and the time limit, and codes its errors. */
  async #call<Result>(
    operation: string,
    signal: AbortSignal | undefined,
    run: (what: string, abortSignal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const what = `${operation} in ${this.capabilities.location}`;
    refuseAborted(signal, what);
    // Not AbortSignal.any: a caller's signal may outlive very many calls.
    const ending = new AbortController();
    const end = () => ending.abort();
    const timer = setTimeout(end, this.#timeoutMs);
    signal?.addEventListener("abort", end, { once: true });
    try {
      return await run(what, ending.signal);
    } catch (thrown) {
      if (signal?.aborted === true) throw abortedError(signal, what);
      if (!ending.signal.aborted) throw s3Error(thrown, what);
      throw new PosternError(
        "STORE_UNREACHABLE",
        `${what}: not done within ${this.#timeoutMs} ms: check the endpoint and the network`,
      );
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
    }
  }
}

/** The keys of a page with `encoding-type=url` come form-encoded. */
function decodeKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll("+", " "));
  } catch {
    // Not UTF-8, so no key of ours; as it stands it can at least be shown.
    return encoded;
  }
}

function badListing(what: string): PosternError {
  return new PosternError(
    "STORE_UNSAFE",
    `${what}: the store does not list the keys asked for, in the order of their bytes: use another store`,
  );
}
