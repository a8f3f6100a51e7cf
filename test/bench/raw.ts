import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { systemRandom } from "../../src/base/random.ts";
import type { TestBucket } from "../support/bucket.ts";

/** About as large as a signed request with a short prompt. */
const bodyBytes = 1024;

/** What the AWS SDK does with the same bucket by itself. */
export class RawBucket {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #body = systemRandom.bytes(bodyBytes);

  constructor({ client, name }: TestBucket) {
    this.#client = client;
    this.#bucket = name;
  }

  async put(key: string): Promise<void> {
    const place = { Bucket: this.#bucket, Key: `raw/${key}` };
    await this.#client.send(new PutObjectCommand({ ...place, Body: this.#body, IfNoneMatch: "*" }));
  }

  /** The shortest chain that carries a request and its response: 2 PUT, 2 LIST, 2 GET, one after the other. */
  async requestAndResponse(id: string): Promise<void> {
    for (const way of ["there", "back"]) {
      const key = `${way}/${id}`;
      await this.put(key);
      await this.#list(key);
      await this.#get(key);
    }
  }

  /** The same, and nothing is left behind: 2 DELETE more. */
  async requestAndResponseOnce(id: string): Promise<void> {
    await this.requestAndResponse(id);
    for (const way of ["there", "back"]) {
      const place = { Bucket: this.#bucket, Key: `raw/${way}/${id}` };
      await this.#client.send(new DeleteObjectCommand(place));
    }
  }

  async #list(prefix: string): Promise<void> {
    await this.#client.send(
      new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: `raw/${prefix}` }),
    );
  }

  async #get(key: string): Promise<void> {
    const { Body } = await this.#client.send(
      new GetObjectCommand({ Bucket: this.#bucket, Key: `raw/${key}` }),
    );
    await Body?.transformToByteArray();
  }
}
