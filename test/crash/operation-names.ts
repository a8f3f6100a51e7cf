import path from "node:path";

/** A statement that wrote something, with its values. */
export interface Written {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** What a transaction was about, by the rows that it wrote. */
export function nameOfCommit(written: readonly Written[]): string {
  const names = written.flatMap((statement) => nameOfStatement(statement) ?? []);
  return [...new Set(names)].join(", ");
}

function nameOfStatement({ sql, values }: Written): string | undefined {
  const [, verb = "", table = "", list = ""] =
    /^(INSERT INTO|DELETE FROM|UPDATE) (\w+)(?: \(([^)]*)\))?/.exec(sql) ?? [];
  if (verb === "DELETE FROM")
    return table.startsWith("transcript") ? undefined : `collect ${table}`;
  // The highest clock value goes along with whatever is written.
  if (verb !== "INSERT INTO") return undefined;
  const columns = new Map(list.split(", ").map((column, index) => [column, values[index]]));
  switch (table) {
    case "receipts":
      return nameOfReceipt(columns);
    case "outbox":
      return nameOfOutbox(columns);
    case "transcripts":
    case "transcript_envelopes":
      return undefined;
    default:
      return table;
  }
}

type Columns = ReadonlyMap<string, unknown>;

function nameOfReceipt(columns: Columns): string {
  switch (columns.get("state")) {
    case "admitted":
      return columns.get("attempt") === 1 ? "admission" : "takeover";
    case "running":
      return columns.get("outcome") === null ? "start" : "outcome";
    default:
      return columns.get("acknowledged") === 1 ? "acknowledgement" : "end";
  }
}

function nameOfOutbox(columns: Columns): string {
  if (columns.get("state") === "closed") return "close";
  return columns.get("sent_ms") === null ? "request" : "sent";
}

const roomNames = [
  [/^[^/]+\/inbox\/[^/]+\/[^/]+\.cancel$/, "cancel"],
  [/^[^/]+\/inbox\/[^/]+\/[^/]+$/, "request"],
  [/^[^/]+\/frames\/[^/]+\/[^/]+\/[^/]+\/[^/]+$/, "frames"],
  [/^[^/]+\/owner\/[^/]+$/, "owner key"],
  [/^[^/]+\/probe\/[^/]+$/, "probe"],
] as const;

/** What lies under a key. Another name is that of a folder, or of a listing. */
function nameOfKey(key: string): string {
  const known = roomNames.find(([pattern]) => pattern.test(key));
  if (known !== undefined) return known[1];
  const [, room = "of gateway", ...below] = key.replace(/\/$/, "").split("/");
  return `folder ${[room, ...below.map(() => "*")].join("/")}`;
}

/** A file or folder below a gateway's home, or below the folder of a store; undefined for what is only looked at. */
export function nameOfFile(place: "home" | "store", below: string): string | undefined {
  if (place === "store") {
    if (below === ".postern-store") return undefined;
    if (below.startsWith(".postern-tmp/"))
      return below.endsWith("-link") ? "second name of temporary" : "temporary";
    return below === ".postern-tmp" ? "folder of temporaries" : nameOfKey(below);
  }
  if (below.startsWith("workers/")) return `worker${path.extname(below)}`;
  if (below === "workers") return "folder of workers";
  return below === "poll.lock" ? below : undefined;
}

/** A request to a bucket: the path begins with the bucket and the store's prefix, each one segment. */
export function nameOfRequest(method: string, url: string): string {
  const { pathname, searchParams } = new URL(url, "http://bucket");
  if (searchParams.has("list-type"))
    return `LIST ${nameOfKey(withoutPrefix(searchParams.get("prefix") ?? "", 1))}`;
  return `${method} ${nameOfKey(withoutPrefix(decodeURIComponent(pathname), 3))}`;
}

function withoutPrefix(text: string, segments: number): string {
  return text.split("/").slice(segments).join("/");
}
