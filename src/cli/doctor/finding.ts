import { asPosternError, type PosternError } from "../../base/errors.ts";

/** What one check found. */
export interface Finding {
  readonly status: "ok" | "warning" | "failure";
  /** What was looked at, in a word or two. */
  readonly check: string;
  /** What there is to say. */
  readonly what: string;
  /** What to do about it. */
  readonly remedy?: string;
  /** Of a failure: its code. */
  readonly code?: PosternError["code"];
}

export function ok(check: string, what: string): Finding {
  return { status: "ok", check, what };
}

export function warning(check: string, what: string, remedy: string): Finding {
  return { status: "warning", check, what, remedy };
}

/** The message of a coded error says what to do as well. */
export function failure(check: string, thrown: unknown): Finding {
  const { code, message } = asPosternError(thrown);
  return { status: "failure", check, what: message, code };
}

/** What a check found; one that throws has failed. */
export async function findings(
  check: string,
  look: () => Finding | readonly Finding[] | Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return [await look()].flat();
  } catch (thrown) {
    return [failure(check, thrown)];
  }
}
