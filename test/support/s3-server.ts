import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { access, constants, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ToolError } from "./tool.ts";

/** The S3 that the tests meet. Everything here can be handed from process to process. */
export interface S3UnderTest {
  readonly kind: S3Kind;
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const s3Kinds = ["endpoint", "docker", "program", "emulator"] as const;
export type S3Kind = (typeof s3Kinds)[number];

export interface RunningS3 {
  readonly s3: S3UnderTest;
  /** What it is, for people. */
  readonly name: string;
  stop(): Promise<void>;
}

/** A store that runs, or why this kind cannot be had here. */
type Start = () => Promise<RunningS3 | string>;

const image = "postern-minio:local";
const installHint = "run minio/install";
const region = "us-east-1";
const nothing = async (): Promise<void> => undefined;

const starts: Readonly<Record<S3Kind, Start>> = {
  endpoint: givenEndpoint,
  docker: minioInDocker,
  program: minioProgram,
  emulator,
};

/**
 * Takes the first of the ladder that can be had: an endpoint from the environment, MinIO in Docker, a
 * MinIO program, the emulator. `wanted` is one of the kinds, or `real` for any but the emulator, which
 * does not have conditional writes; without it every kind will do.
 */
export async function startS3(
  wanted: string | undefined,
): Promise<RunningS3 & { notes: string[] }> {
  const notes: string[] = [];
  for (const kind of kindsFor(wanted)) {
    const started = await starts[kind]();
    if (typeof started !== "string") return { ...started, notes };
    notes.push(`${kind}: ${started}`);
  }
  throw new ToolError(
    `no S3 for the tests (POSTERN_TEST_S3=${wanted ?? ""}):\n  ${notes.join("\n  ")}`,
  );
}

function kindsFor(wanted: string | undefined): readonly S3Kind[] {
  if (wanted === undefined || wanted === "") return s3Kinds;
  if (wanted === "real") return s3Kinds.filter((kind) => kind !== "emulator");
  const kinds = s3Kinds.filter((kind) => kind === wanted);
  if (kinds.length > 0) return kinds;
  throw new ToolError(`POSTERN_TEST_S3 is "${wanted}": use real, ${s3Kinds.join(", ")}`);
}

async function givenEndpoint(): Promise<RunningS3 | string> {
  const { POSTERN_TEST_S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION } =
    process.env;
  if (POSTERN_TEST_S3_ENDPOINT === undefined) return "POSTERN_TEST_S3_ENDPOINT is not set";
  if (AWS_ACCESS_KEY_ID === undefined || AWS_SECRET_ACCESS_KEY === undefined) {
    throw new ToolError(
      "POSTERN_TEST_S3_ENDPOINT needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY beside it",
    );
  }
  return {
    name: `the endpoint ${POSTERN_TEST_S3_ENDPOINT}`,
    s3: {
      kind: "endpoint",
      endpoint: POSTERN_TEST_S3_ENDPOINT,
      region: AWS_REGION ?? region,
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
    },
    stop: nothing,
  };
}

async function minioInDocker(): Promise<RunningS3 | string> {
  // The reaper's image comes from a registry, and this container is stopped below.
  process.env["TESTCONTAINERS_RYUK_DISABLED"] ??= "true";
  const { getContainerRuntimeClient, ImageName } = await import("testcontainers");
  const engine = await getContainerRuntimeClient().catch(() => undefined);
  if (engine === undefined) return "no container engine answers";
  if (!(await engine.image.exists(ImageName.fromString(image)))) {
    return `there is no image ${image}: ${installHint} --image`;
  }
  const { MinioContainer } = await import("@testcontainers/minio");
  const secret = randomBytes(16).toString("hex");
  const container = await new MinioContainer(image)
    .withUsername("postern")
    .withPassword(secret)
    .start();
  await untilReady(container.getConnectionUrl());
  return {
    name: `MinIO in Docker (${image}) at ${container.getConnectionUrl()}`,
    s3: {
      kind: "docker",
      endpoint: container.getConnectionUrl(),
      region,
      accessKeyId: container.getUsername(),
      secretAccessKey: container.getPassword(),
    },
    stop: async () => {
      await container.stop({ timeout: 1000 });
    },
  };
}

async function minioProgram(): Promise<RunningS3 | string> {
  const minio = await MinioProgram.find();
  if (minio === undefined) return `no minio program on PATH or in the cache: ${installHint}`;
  await minio.start();
  const { s3 } = minio;
  return {
    name: `the MinIO program ${minio.program} at ${s3.endpoint}`,
    s3,
    stop: () => minio.remove(),
  };
}

/** A MinIO of one's own, which can be killed and started again over what it holds. */
export class MinioProgram {
  readonly program: string;
  readonly s3: S3UnderTest;
  readonly #folder: string;
  readonly #address: string;
  #child: ChildProcess | undefined;

  private constructor(program: string, folder: string, address: string) {
    this.program = program;
    this.#folder = folder;
    this.#address = address;
    this.s3 = {
      kind: "program",
      endpoint: `http://${address}`,
      region,
      accessKeyId: "postern",
      secretAccessKey: randomBytes(16).toString("hex"),
    };
  }

  /** Not started yet; undefined where there is no such program. */
  static async find(): Promise<MinioProgram | undefined> {
    const program = await findMinio();
    if (program === undefined) return undefined;
    const folder = await mkdtemp(join(tmpdir(), "postern-minio-"));
    return new MinioProgram(program, folder, `127.0.0.1:${await freePort()}`);
  }

  async start(): Promise<void> {
    const { accessKeyId, secretAccessKey, endpoint } = this.s3;
    const args = ["server", "--quiet", "--address", this.#address, this.#folder];
    this.#child = spawn(this.program, args, {
      env: {
        ...process.env,
        MINIO_ROOT_USER: accessKeyId,
        MINIO_ROOT_PASSWORD: secretAccessKey,
        MINIO_BROWSER: "off",
      },
      stdio: ["ignore", "ignore", "inherit"],
    });
    await untilReady(endpoint, this.#child);
  }

  /** With SIGKILL. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function findMinio(): Promise<string | undefined> {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const candidate of [
    ...folders.map((folder) => join(folder, "minio")),
    await cachedMinio(),
  ]) {
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not there; the next one may be.
    }
  }
  return undefined;
}

/** Where minio/install puts the program: the version is pinned there and nowhere else. */
async function cachedMinio(): Promise<string> {
  const script = await readFile(new URL("../../minio/install", import.meta.url), "utf8");
  const version = /^version=(\S+)$/m.exec(script)?.[1];
  if (version === undefined) throw new Error("minio/install names no version");
  const cache = process.env["POSTERN_CACHE"] ?? join(homedir(), ".cache", "postern");
  return join(cache, "minio", version, "minio");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port can be had");
  return address.port;
}

/** It answers from early on, and to requests about objects with an error until it has taken up what it holds. */
async function untilReady(endpoint: string, child?: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (typeof child?.exitCode === "number")
      throw new Error(`minio ended with status ${child.exitCode}`);
    const ready = await fetch(`${endpoint}/minio/health/cluster`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) return;
    await delay(100);
  }
  child?.kill("SIGKILL");
  throw new Error(`minio does not answer at ${endpoint}`);
}

async function emulator(): Promise<RunningS3> {
  const { startFauxqs } = await import("fauxqs");
  const server = await startFauxqs({ port: 0, logger: false });
  return {
    name: "the emulator fauxqs",
    s3: {
      kind: "emulator",
      endpoint: `http://127.0.0.1:${server.port}`,
      region,
      accessKeyId: "test",
      secretAccessKey: "test",
    },
    stop: () => server.stop(),
  };
}
