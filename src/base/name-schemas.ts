import { z } from "zod";
import { asPosternError } from "./errors.ts";
import { parseAgentName, parseGatewayName, parseRealm } from "./names.ts";

/** Names as they stand in documents, for zod. */
export const gatewayNameSchema = parsed(parseGatewayName);
export const agentNameSchema = parsed(parseAgentName);
export const realmSchema = parsed(parseRealm);

/** A text that `parse` accepts; what it throws says what is wrong. */
export function parsed<T>(
  parse: (text: string) => T,
): z.ZodPipe<z.ZodString, z.ZodTransform<T, string>> {
  return z.string("use a text").transform((text, context): T => {
    try {
      return parse(text);
    } catch (thrown) {
      context.addIssue({ code: "custom", message: asPosternError(thrown).message });
      return z.NEVER;
    }
  });
}
