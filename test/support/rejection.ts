import { PosternError, type ErrorCode } from "../../src/base/errors.ts";

/** The code with which the promise is rejected, or `"fulfilled"`. Any other rejection fails the test. */
export async function rejectionCode(promise: Promise<unknown>): Promise<ErrorCode | "fulfilled"> {
  return (await rejection(promise))?.code ?? "fulfilled";
}

/** The coded error with which the promise is rejected. Any other rejection fails the test. */
export async function rejection(promise: Promise<unknown>): Promise<PosternError | undefined> {
  try {
    await promise;
  } catch (thrown) {
    if (thrown instanceof PosternError) return thrown;
    throw thrown;
  }
  return undefined;
}
