import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Makes a folder that has something wrong with it, for the demo's agent to find. */
export function makeScene(root: string): void {
  for (const [name, content] of files()) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

function* files(): Generator<[string, string]> {
  yield [
    "logs/gateway.log",
    lines(2000, (at) => `2026-11-20T08:${two(at)}Z info served request ${at}`),
  ];
  yield [
    "logs/sync.log",
    lines(60_000, (at) => `2026-11-21T03:${two(at)}Z warn retry ${at}: certificate expired`),
  ];
  for (let day = 1; day <= 5; day += 1) {
    yield [`backups/database-${day}.dump`, lines(8000, (at) => `row ${at} of the same table`)];
  }
  for (let page = 1; page <= 20; page += 1) {
    yield [`cache/page-${page}.html`, `<p>page ${page}</p>\n`.repeat(200)];
  }
}

function lines(count: number, line: (at: number) => string): string {
  return Array.from({ length: count }, (_, at) => `${line(at)}\n`).join("");
}

function two(at: number): string {
  return String(at % 60).padStart(2, "0");
}
