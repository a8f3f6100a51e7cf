/**
 * Loaded before the program (`node --import`): numbers what the process asks of its state, of the store's folder
 * and of the bucket, by wrapping what Node gives it for that, and kills the process with SIGKILL at the one
 * operation that POSTERN_KILL names, before it is asked for or once it has taken effect. Nothing in the program
 * knows of it. The trace has each operation as it begins, and once it has taken effect.
 */
import crypto from "node:crypto";
import { subscribe } from "node:diagnostics_channel";
import fs from "node:fs";
import http from "node:http";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { nameOfCommit, nameOfFile, nameOfRequest, type Written } from "./operation-names.ts";
import { parsePlan, type Kill } from "./plan.ts";

type Method = (this: unknown, ...parameters: unknown[]) => unknown;
type NameOf = (self: unknown, parameters: readonly unknown[]) => string | undefined;

const plan = parsePlan(process.env["POSTERN_KILL"] ?? "");
const trace = fs.openSync(plan.trace, "a");
const met = new Map<string, number>();

/** An operation that is asked for now. */
class Operation {
  readonly #name: string;
  readonly #nth: number;

  constructor(name: string) {
    this.#name = name;
    this.#nth = (met.get(name) ?? 0) + 1;
    met.set(name, this.#nth);
    this.#note("begins");
    this.#dieIf("before");
  }

  takesEffect(): void {
    this.#note("done");
    this.#dieIf("after");
  }

  /** There is no such file, say, or the folder is not empty. */
  fails(): void {
    this.#dieIf("after");
  }

  #note(what: "begins" | "done"): void {
    fs.writeSync(trace, `${JSON.stringify({ what, name: this.#name, nth: this.#nth })}\n`);
  }

  #dieIf(when: Kill["when"]): void {
    const { at } = plan;
    if (at?.name === this.#name && at.nth === this.#nth && at.when === when)
      process.kill(process.pid, "SIGKILL");
  }
}

countState();
countFiles();
await countOpenFiles();
countRequests();
takeNoChances();
// From here on, whoever imports a wrapped function by its name gets it as it is now.
syncBuiltinESMExports();

/** Transactions by their commits, the locks that show who lives, and the syncs of the log. */
function countState(): void {
  let written: Written[] = [];
  wrap(StatementSync.prototype, "run", (self, values) => {
    if (!(self instanceof StatementSync)) return undefined;
    const sql = self.sourceSQL;
    if (sql === "COMMIT") return `state commit ${nameOfCommit(written)}`;
    if (sql.startsWith("BEGIN")) written = [];
    else written.push({ sql, values });
    return undefined;
  });
  wrap(DatabaseSync.prototype, "exec", (self, [sql]) => {
    if (!(self instanceof DatabaseSync) || !String(sql).includes("BEGIN EXCLUSIVE"))
      return undefined;
    return named("lock", self.location());
  });
  replace(fs, "fdatasync", (original) => (descriptor, callback) => {
    const operation = new Operation("state sync log");
    return original.call(fs, descriptor, (failure: unknown) => {
      if (failure === null) operation.takesEffect();
      else operation.fails();
      if (isMethod(callback)) callback(failure);
    });
  });
}

function countFiles(): void {
  for (const method of ["mkdir", "unlink", "rmdir", "readdir"]) {
    wrap(fs.promises, method, (_, [file]) => named(method, file));
    wrap(fs, `${method}Sync`, (_, [file]) => named(method, file));
  }
  for (const method of ["link", "rename"]) {
    wrap(fs.promises, method, (_, [, made]) => named(method, made));
    wrap(fs, `${method}Sync`, (_, [, made]) => named(method, made));
  }
  wrap(fs, "rmSync", (_, [file]) => named("unlink", file));
}

/** Files that are opened to be read, or made to be written and synced; folders are opened to be synced. */
async function countOpenFiles(): Promise<void> {
  const files = new WeakMap<object, unknown>();
  const some = await fs.promises.open(plan.trace);
  const handles: unknown = Object.getPrototypeOf(some);
  await some.close();
  if (!isObject(handles)) throw new Error("file handles have no class to wrap");
  const fileOf = (handle: unknown): unknown => (isObject(handle) ? files.get(handle) : undefined);
  wrap(handles, "writeFile", (self) => named("write", fileOf(self)));
  wrap(handles, "sync", (self) => named("sync", fileOf(self)));
  wrap(fs.promises, "open", (_, [file, flags]) =>
    flags === "r" ? undefined : named(flags === "wx" ? "make" : "read", file),
  );
  replace(fs.promises, "open", (original) => async (file, ...more) => {
    const handle = await original.call(fs.promises, file, ...more);
    if (isObject(handle)) files.set(handle, file);
    return handle;
  });
}

/** Before a request ends, not a byte of it is sent; once an answer comes, it has taken effect. */
function countRequests(): void {
  const operations = new WeakMap<object, Operation>();
  const { prototype } = http.ClientRequest;
  replace(
    prototype,
    "end",
    (original) =>
      function end(this: unknown, ...parameters) {
        if (this instanceof http.ClientRequest)
          operations.set(this, new Operation(nameOfRequest(this.method, this.path)));
        return original.apply(this, parameters);
      },
  );
  subscribe("http.client.response.finish", (message) => {
    const request: unknown = isObject(message) ? Reflect.get(message, "request") : undefined;
    if (isObject(request)) operations.get(request)?.takesEffect();
  });
}

/** What a process does now and then, this one does each time: then each does the same as the others. */
function takeNoChances(): void {
  const bytesOfFraction = 4;
  replace(
    crypto,
    "randomBytes",
    (original) =>
      (size, ...more) =>
        size === bytesOfFraction ? Buffer.alloc(size) : original.call(crypto, size, ...more),
  );
}

/** Counts the calls of a method that have a name. Each is over when it returns, or when what it promises comes. */
function wrap(owner: object, method: string, nameOf: NameOf): void {
  replace(
    owner,
    method,
    (original) =>
      function counted(this: unknown, ...parameters) {
        const name = nameOf(this, parameters);
        if (name === undefined) return original.apply(this, parameters);
        return perform(new Operation(name), () => original.apply(this, parameters));
      },
  );
}

function perform(operation: Operation, run: () => unknown): unknown {
  let result: unknown;
  try {
    result = run();
  } catch (thrown) {
    operation.fails();
    throw thrown;
  }
  if (!(result instanceof Promise)) {
    operation.takesEffect();
    return result;
  }
  return result.then(
    (value: unknown) => {
      operation.takesEffect();
      return value;
    },
    (thrown: unknown) => {
      operation.fails();
      throw thrown;
    },
  );
}

function replace(owner: object, method: string, make: (original: Method) => Method): void {
  const original: unknown = Reflect.get(owner, method);
  if (!isMethod(original)) throw new Error(`there is no ${method} to wrap`);
  Reflect.set(owner, method, make(original));
}

/** Undefined for a file that is neither the home's nor the store's. */
function named(operation: string, file: unknown): string | undefined {
  if (typeof file !== "string") return undefined;
  const name = nameIn("store", plan.folder, file) ?? nameIn("home", plan.home, file);
  return name === undefined ? undefined : `${operation} ${name}`;
}

function nameIn(place: "home" | "store", root: string | null, file: string): string | undefined {
  const below = root === null ? ".." : path.relative(root, file);
  return below.startsWith("..") ? undefined : nameOfFile(place, below);
}

function isMethod(value: unknown): value is Method {
  return typeof value === "function";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
