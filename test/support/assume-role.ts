import { createHash, createHmac } from "node:crypto";
import type { S3UnderTest } from "./s3-server.ts";

/** Credentials as the AWS chain reads them from the environment. */
export type SessionEnvironment = Readonly<
  Record<"AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN", string>
>;

/** Credentials that may do what `policy` allows and nothing else, from MinIO's security token service. */
export async function assumeRole(at: S3UnderTest, policy: string): Promise<SessionEnvironment> {
  const action = { Action: "AssumeRole", Version: "2011-06-15", Policy: policy };
  const body = new URLSearchParams(action).toString();
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
    ...signatureHeaders(at, body),
  };
  const response = await fetch(at.endpoint, { method: "POST", headers, body });
  const answer = await response.text();
  const field = (name: string): string => {
    const [, value] = new RegExp(`<${name}>([^<]+)</${name}>`).exec(answer) ?? [];
    if (value === undefined) throw new Error(`no ${name} in the answer: ${answer}`);
    return value;
  };
  return {
    AWS_ACCESS_KEY_ID: field("AccessKeyId"),
    AWS_SECRET_ACCESS_KEY: field("SecretAccessKey"),
    AWS_SESSION_TOKEN: field("SessionToken"),
  };
}

/** Signature Version 4 of a POST to `/` (https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html). */
function signatureHeaders(
  { endpoint, region, accessKeyId, secretAccessKey }: S3UnderTest,
  body: string,
): Record<string, string> {
  const date = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const scope = [date.slice(0, 8), region, "sts", "aws4_request"];
  const signed = "host;x-amz-date";
  const host = `host:${new URL(endpoint).host}`;
  const request = ["POST", "/", "", host, `x-amz-date:${date}`, "", signed, sha256(body)];
  const toSign = ["AWS4-HMAC-SHA256", date, scope.join("/"), sha256(request.join("\n"))];
  const key = scope.reduce<Buffer | string>(hmac, `AWS4${secretAccessKey}`);
  const signature = hmac(key, toSign.join("\n")).toString("hex");
  const credential = `Credential=${accessKeyId}/${scope.join("/")}`;
  return {
    "x-amz-date": date,
    authorization: `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${signed}, Signature=${signature}`,
  };
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const hmac = (key: Buffer | string, text: string): Buffer =>
  createHmac("sha256", key).update(text).digest();
