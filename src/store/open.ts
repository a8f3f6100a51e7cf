import { fileURLToPath, pathToFileURL } from "node:url";
import type { Clock } from "../base/clock.ts";
import { PosternError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { openFileStore, sweepFileStore } from "./file.ts";
import { isStoreKey } from "./key.ts";
import { readOnlyStore } from "./read-only.ts";
import type { Store } from "./store.ts";

/** Where a store lies. `location` is the URL in its one spelling. */
export type StoreUrl = FileStoreUrl | S3StoreUrl;

export interface FileStoreUrl {
  readonly kind: "file";
  readonly location: string;
  /** An absolute path. */
  readonly folder: string;
}

export interface S3StoreUrl {
  readonly kind: "s3";
  readonly location: string;
  readonly bucket: string;
  /** Empty, or segments joined by `/`. */
  readonly prefix: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly pathStyle: boolean;
}

export interface OpenStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Makes a folder store where there is none. Buckets are never made. */
  readonly create?: boolean;
  /** The id (`capabilities.id`) that the store had when it was first met. */
  readonly expectedId?: string;
  /** Nothing is written, not even to find out what a folder can do; see `readOnlyStore`. */
  readonly readOnly?: boolean;
}

/** Throws `STORE_URL_INVALID`, and what the store's first look may throw. Nothing is asked of a bucket yet. */
export async function openStore(url: StoreUrl, options: OpenStoreOptions): Promise<Store> {
  const store = await openDriver(url, options);
  return options.readOnly === true ? readOnlyStore(store) : store;
}

async function openDriver(url: StoreUrl, options: OpenStoreOptions): Promise<Store> {
  if (url.kind === "file") return await openFileStore(url.folder, options);
  // Loaded when needed: the SDK takes longer to load than all the rest together.
  const { S3Store } = await import("./s3.ts");
  const store = new S3Store(url);
  await store.region();
  return store;
}

/**
 * Removes, or in a dry run only counts, unfinished objects that dead writers left; a bucket has none. Throws
 * like `openStore`.
 */
export async function sweepTemporaries(
  url: StoreUrl,
  options: OpenStoreOptions & { readonly dryRun: boolean },
): Promise<number> {
  return url.kind === "file" ? await sweepFileStore(url.folder, options) : 0;
}

const shapes =
  "use file:///folder or s3://bucket/prefix?endpoint=http://host:port&region=r&pathStyle=true";

/** Reads a store URL. Throws `STORE_URL_INVALID`; no message repeats what may be a secret. */
export function parseStoreUrl(text: string): StoreUrl {
  if (text.startsWith("file:")) return parseFileUrl(text);
  if (text.startsWith("s3:")) return parseS3Url(text);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1];
  throw invalid(
    scheme === undefined ? "it has no scheme" : `stores of kind "${scheme}" are not known`,
  );
}

function invalid(why: string, cause?: unknown): PosternError {
  return new PosternError("STORE_URL_INVALID", `the store URL is not valid: ${why}; ${shapes}`, {
    cause,
  });
}

function parseFileUrl(text: string): FileStoreUrl {
  // The URL standard reads "file:folder" and "file://folder" as something that nobody means.
  if (!text.startsWith("file:///"))
    throw invalid("a folder's path is absolute, after three slashes");
  const url = parseUrl(text);
  if (url.search !== "" || url.hash !== "")
    throw invalid("a folder takes no parameters; write ? as %3F and # as %23");
  try {
    const folder = fileURLToPath(url);
    return { kind: "file", location: pathToFileURL(folder).href, folder };
  } catch (cause) {
    throw invalid("its path cannot be read", cause);
  }
}

function parseS3Url(text: string): S3StoreUrl {
  if (!text.startsWith("s3://")) throw invalid("the bucket's name comes after two slashes");
  const url = parseUrl(text);
  refuseUserinfo(url, "credentials");
  if (url.port !== "") throw invalid("a host and port belong into ?endpoint=");
  if (url.hash !== "") throw invalid("it has a fragment (#)");
  const bucket = url.hostname;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw invalid(
      `"${bucket}" is no bucket name: 3 to 63 lower-case letters, digits, hyphens and dots`,
    );
  }
  const { endpoint, region, pathStyle } = parseParameters(url.searchParams);
  const place = {
    bucket,
    prefix: parsePrefix(url.pathname),
    ...(endpoint === undefined ? {} : { endpoint }),
    // A store with an endpoint of its own seldom cares, but each request must name some region.
    ...(region === undefined && endpoint === undefined ? {} : { region: region ?? "us-east-1" }),
    // Bucket names in host names need a DNS of their own, which few stores but AWS have.
    pathStyle: pathStyle ?? endpoint !== undefined,
  };
  return { kind: "s3", location: locationOf(place), ...place };
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw invalid("it is no URL");
  return url;
}

function refuseUserinfo(url: URL, what: string): void {
  if (url.username === "" && url.password === "") return;
  throw invalid(
    `${what} do not belong there: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE`,
  );
}

function parsePrefix(path: string): string {
  const encoded = path.replace(/^\//, "").replace(/\/$/, "");
  let prefix: string;
  try {
    prefix = decodeURIComponent(encoded);
  } catch (cause) {
    throw invalid("its prefix is not well percent-encoded", cause);
  }
  if (prefix === "" || isStoreKey(prefix)) return prefix;
  throw invalid(
    "its prefix has an empty segment, one that begins with a dot, or a character that keys cannot have",
  );
}

interface Parameters {
  endpoint?: string;
  region?: string;
  pathStyle?: boolean;
}

function parseParameters(query: URLSearchParams): Parameters {
  const parameters: Parameters = {};
  for (const [name, value] of query) {
    if (query.getAll(name).length > 1) throw invalid(`it has "${name}" twice`);
    switch (name) {
      case "endpoint":
        parameters.endpoint = parseEndpoint(value);
        break;
      case "region":
        if (!/^[a-zA-Z0-9-]{1,63}$/.test(value)) throw invalid("its region is no region name");
        parameters.region = value;
        break;
      case "pathStyle":
        if (value !== "true" && value !== "false") throw invalid("pathStyle is true or false");
        parameters.pathStyle = value === "true";
        break;
      default:
        throw invalid(`it has the unknown parameter "${name}"`);
    }
  }
  return parameters;
}

function parseEndpoint(text: string): string {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw invalid("its endpoint is no http or https URL");
  }
  refuseUserinfo(url, "credentials in the endpoint");
  if (url.search !== "" || url.hash !== "") throw invalid("its endpoint has parameters");
  return url.href.replace(/\/$/, "");
}

function locationOf({
  bucket,
  prefix,
  endpoint,
  region,
  pathStyle,
}: Omit<S3StoreUrl, "kind" | "location">): string {
  const path = prefix === "" ? "" : `/${prefix.split("/").map(encodeURIComponent).join("/")}`;
  const query = new URLSearchParams();
  if (endpoint !== undefined) query.set("endpoint", endpoint);
  if (region !== undefined) query.set("region", region);
  if (pathStyle !== (endpoint !== undefined)) query.set("pathStyle", String(pathStyle));
  // Written plainly: slashes and colons of an endpoint need no escape inside a query.
  const shown = query.toString().replaceAll("%3A", ":").replaceAll("%2F", "/");
  return `s3://${bucket}${path}${shown === "" ? "" : `?${shown}`}`;
}
