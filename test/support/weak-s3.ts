import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import type { TestBucket } from "./bucket.ts";
import { errorAnswer, Proxy, respond, type Answer, type Taken } from "./proxy.ts";
import type { S3UnderTest } from "./s3-server.ts";

/** What a store may lack, or do wrong; nothing of it unless told. */
export interface Weaknesses {
  /** What becomes of `If-None-Match`: it is passed over, and whatever stands is written over, or it is refused (501). */
  readonly conditionalWrites?: "ignored" | "refused";
  /** How long a listing does not show what was written, and still shows what was deleted. */
  readonly listLagMs?: number;
  /** How long what was deleted can still be read. */
  readonly readLagMs?: number;
  /** What is said instead of an answer. */
  readonly says?: (asked: Asked) => Said | undefined;
}

export interface Asked {
  readonly method: string;
  /** The object's key; undefined for a listing. */
  readonly key: string | undefined;
}

export interface Said {
  readonly status: number;
  /** The code of the error. */
  readonly code: string;
  readonly headers?: OutgoingHttpHeaders;
}

interface Deleted {
  readonly atMs: number;
  /** What a read was answered with right before. */
  readonly before: Answer;
}

/** Stands in front of one bucket of an S3 and is as weak as it is told to be at the moment. */
export class WeakS3 implements AsyncDisposable {
  weaknesses: Weaknesses = {};
  readonly #bucket: TestBucket;
  readonly #proxy: Proxy;
  readonly #deleted = new Map<string, Deleted>();
  readonly #asked: Asked[] = [];

  private constructor(at: S3UnderTest, bucket: TestBucket) {
    this.#bucket = bucket;
    this.#proxy = new Proxy(at.endpoint, (taken, response) => this.#serve(taken, response));
  }

  static async start(at: S3UnderTest, bucket: TestBucket): Promise<WeakS3> {
    const weak = new WeakS3(at, bucket);
    await weak.#proxy.listen();
    return weak;
  }

  get endpoint(): string {
    return this.#proxy.endpoint;
  }

  /** What it was asked for since this was last looked at. */
  takeAsked(): readonly Asked[] {
    return this.#asked.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy[Symbol.asyncDispose]();
  }

  async #serve(taken: Taken, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(taken.path, this.endpoint);
    const path = decodeURIComponent(pathname.slice(`/${this.#bucket.name}/`.length));
    const asked: Asked = { method: taken.method, key: path === "" ? undefined : path };
    this.#asked.push(asked);
    const said = this.weaknesses.says?.(asked);
    const answer =
      said === undefined
        ? await this.#answer(taken, asked.key)
        : errorAnswer(said.status, said.code, said.headers);
    respond(response, answer);
  }

  async #answer(taken: Taken, key: string | undefined): Promise<Answer> {
    const { method, body } = taken;
    const { conditionalWrites, readLagMs = 0 } = this.weaknesses;
    if (key === undefined) return this.#withLag(await this.#proxy.forward(taken));
    const old = this.#deleted.get(key);
    if (method === "GET" && old !== undefined && Date.now() - old.atMs < readLagMs)
      return old.before;
    if (method === "DELETE") await this.#remember(key);
    if (method === "PUT") {
      this.#deleted.delete(key);
      if (conditionalWrites === "refused") return errorAnswer(501, "NotImplemented");
      // Its signature is over the condition as well: it is put by somebody else.
      if (conditionalWrites === "ignored") return await this.#overwrite(key, body);
    }
    return await this.#proxy.forward(taken);
  }

  async #overwrite(key: string, body: Buffer): Promise<Answer> {
    const { name, client } = this.#bucket;
    await client.send(new PutObjectCommand({ Bucket: name, Key: key, Body: body }));
    return { status: 200, headers: {}, body: Buffer.alloc(0) };
  }

  async #remember(key: string): Promise<void> {
    const got = await this.#bucket.read(key);
    if (got === undefined) return;
    const headers = { "content-length": got.length };
    this.#deleted.set(key, { atMs: Date.now(), before: { status: 200, headers, body: got } });
  }

  /** The listing as it was a while ago. */
  #withLag(answer: Answer): Answer {
    const { listLagMs = 0 } = this.weaknesses;
    if (listLagMs === 0) return answer;
    const nowMs = Date.now();
    const text = answer.body.toString();
    const prefix = decodeURIComponent(elementOf(text, "Prefix"));
    const after = decodeURIComponent(elementOf(text, "StartAfter"));
    const old = [...text.matchAll(/<Contents>.*?<\/Contents>/gs)]
      .map(([entry]) => entry)
      .filter((entry) => nowMs - Date.parse(elementOf(entry, "LastModified")) >= listLagMs);
    const gone = [...this.#deleted].filter(
      ([key, { atMs }]) => key.startsWith(prefix) && key > after && nowMs - atMs < listLagMs,
    );
    const entries = [...old, ...gone.map(([key, { before }]) => entryOf(key, before.body.length))];
    const sorted = entries.toSorted((a, b) => (elementOf(a, "Key") < elementOf(b, "Key") ? -1 : 1));
    const rest = text.replaceAll(/<Contents>.*?<\/Contents>/gs, "");
    const body = Buffer.from(
      rest.replace("</ListBucketResult>", `${sorted.join("")}</ListBucketResult>`),
    );
    return { ...answer, headers: { "content-type": "application/xml" }, body };
  }
}

function elementOf(xml: string, name: string): string {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? "";
}

function entryOf(key: string, size: number): string {
  const stamp = new Date().toISOString();
  const encoded = encodeURIComponent(key);
  return `<Contents><Key>${encoded}</Key><LastModified>${stamp}</LastModified><Size>${size}</Size></Contents>`;
}
