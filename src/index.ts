/**
 * The public API: open a home; ask agents of other gateways and follow their answers; answer what is asked
 * here, in one pass or as a service. Everything else is internal and may change.
 */
export { isErrorCode, PosternError, type ErrorClass, type ErrorCode } from "./base/errors.ts";
export { silentLogger, type Logger } from "./base/log.ts";
export type { AgentName, GatewayName, Realm, RequestDigest, RunId } from "./base/names.ts";
export { parseRunId } from "./base/names.ts";
export {
  runPass as poll,
  runService as serve,
  type PassOptions,
  type ServiceOptions,
} from "./gateway/at-work.ts";
export {
  call,
  cancel,
  follow,
  send,
  type Asking,
  type Call,
  type CallRequest,
  type Sent,
  type WaitOptions,
} from "./gateway/client.ts";
export { openGateway, type Gateway, type OpenGatewayOptions } from "./gateway/gateway.ts";
export type { PollReport } from "./gateway/poll.ts";
export type { ServeReport } from "./gateway/serve.ts";
export type { Handler, HandlerResult, Work } from "./handlers/handler.ts";
export type { AgentModule } from "./handlers/module.ts";
export type { RequestDocument } from "./handlers/request-document.ts";
export type { PlacedFrame } from "./mailbox/frame-reader.ts";
export type { JsonValue } from "./protocol/fields.ts";
export type {
  Frame,
  FrameEvent,
  HandlerEvent,
  TerminalPayload,
  TerminalStatus,
  TokenUsage,
} from "./protocol/frame.ts";
