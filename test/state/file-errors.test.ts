import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../src/base/errors.ts";
import { fileError, linkError } from "../../src/state/file-errors.ts";

const failed = (errno: string): Error => Object.assign(new Error(errno), { code: errno });

describe("trouble with a file of this machine", () => {
  const codes: readonly (readonly [string, ErrorCode])[] = [
    ["ENOSPC", "STATE_FULL"],
    ["EDQUOT", "STATE_FULL"],
    ["EACCES", "STATE_READ_ONLY"],
    ["EPERM", "STATE_READ_ONLY"],
    ["EROFS", "STATE_READ_ONLY"],
    ["ENOTSUP", "INTERNAL"],
    ["EIO", "INTERNAL"],
  ];

  test.each(codes)("%s is %s, never a code of the shared store", (errno, code) => {
    expect(fileError(failed(errno), "/home/of/one/file").code).toBe(code);
  });

  test("speaks of hard links only where one was to be made", () => {
    for (const errno of ["EPERM", "ENOTSUP", "ENOSYS"]) {
      expect(linkError(failed(errno), "/file")).toMatchObject({
        code: "STATE_UNSAFE",
        message: expect.stringContaining("no hard links"),
      });
      expect(fileError(failed(errno), "/file").message).not.toContain("link");
    }
    expect(linkError(failed("ENOSPC"), "/file").code).toBe("STATE_FULL");
  });
});
