/** A module whose agent does what its prompt says (see `script.ts`). */
import type { AgentModule } from "../../src/handlers/module.ts";
import type { JsonValue } from "../../src/protocol/fields.ts";
import type { HandlerEvent } from "../../src/protocol/frame.ts";
import { drop, resultOf, scriptOf, secret } from "./script.ts";

const agent: AgentModule = async function* (request) {
  const script = scriptOf(request);
  for (const value of script.says ?? []) yield asEvent(value);
  switch (script.ends) {
    case undefined:
      break;
    case "fail":
      throw new Error(secret);
    case "break":
      // oxlint-disable-next-line typescript/only-throw-error -- nobody keeps a module from it
      throw null;
    case "hang":
      // Ignores that it is told to stop.
      await Promise.withResolvers<void>().promise;
      break;
    case "flood":
      for (;;) yield asEvent(drop);
  }
  return resultOf(script, request);
};
// oxlint-disable-next-line import/no-default-export -- what a module of an agent has
export default agent;

/** Whether it is one is for the handler to find out. */
function asEvent(value: JsonValue): HandlerEvent {
  return (
    typeof value === "string" ? { event: "textDelta", payload: { text: value } } : value
  ) as HandlerEvent;
}
