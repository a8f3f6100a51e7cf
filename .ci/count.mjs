// Counts what CI ran: `node .ci/count.mjs REPORT FAILED`, where REPORT is the JSON report of vitest and FAILED
// has the name of a failed check on each line. The last line says `N passed, N failed`, the exit status whether
// anything failed.
import { existsSync, readFileSync } from "node:fs";

const [reportFile, failedFile] = process.argv.slice(2);

const failedChecks = existsSync(failedFile)
  ? readFileSync(failedFile, "utf8").split("\n").filter(Boolean)
  : [];
const files = existsSync(reportFile)
  ? JSON.parse(readFileSync(reportFile, "utf8")).testResults
  : [];
const tests = files.flatMap((file) => file.assertionResults);

const passed = tests.filter(({ status }) => status === "passed");
const failed = tests.filter(({ status }) => status === "failed");
const skipped = tests.length - passed.length - failed.length;
// A file that cannot even be loaded fails without any test of its own.
const brokenFiles = files.filter(
  ({ status, assertionResults }) =>
    status === "failed" && !assertionResults.some((test) => test.status === "failed"),
);

const testFaults = [
  ...failed.map(({ fullName }) => `failed test: ${fullName}`),
  ...brokenFiles.map(({ name }) => `failed test file: ${name}`),
];
// The runner's own exit status counts only when it is not a failed test that explains it.
const checkFaults = failedChecks
  .filter((check) => check !== "tests" || testFaults.length === 0)
  .map((check) => `failed check: ${check}`);
const storeFaults = passed.some(({ fullName }) => fullName.includes("on real S3"))
  ? []
  : ["failed check: no test of conditional writes ran on a real S3"];
const faults = [...testFaults, ...checkFaults, ...storeFaults];

for (const fault of faults) console.log(fault);
const tail = skipped > 0 ? `, ${skipped} skipped` : "";
console.log(`${passed.length} passed, ${faults.length} failed${tail}`);
process.exitCode = faults.length > 0 ? 1 : 0;
