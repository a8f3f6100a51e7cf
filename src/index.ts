/**
 * The public API: open a home, ask agents of other gateways and follow their answers, run one pass.
 * Everything else is internal and may change.
 */
export { isErrorCode, PosternError, type ErrorClass, type ErrorCode } from "./base/errors.ts";
export { silentLogger, type Logger } from "./base/log.ts";
export type { AgentName, GatewayName, Realm, RequestDigest, RunId } from "./base/names.ts";
export { parseRunId } from "./base/names.ts";
export { ask, deliver, type Ask, type Asked, type Routes } from "./gateway/ask.ts";
export { openGateway, type Gateway, type OpenGatewayOptions } from "./gateway/gateway.ts";
export { poll, type PollOptions, type PollReport } from "./gateway/poll.ts";
export type { AgentRoute, ResponderOptions } from "./gateway/responder.ts";
export type { Handler, HandlerResult, Work } from "./handlers/handler.ts";
export { follow, type Followed, type FollowOptions } from "./mailbox/follow.ts";
export type { PlacedFrame } from "./mailbox/frame-reader.ts";
export type { Mailbox } from "./mailbox/mailbox.ts";
export { cancelRun } from "./mailbox/send.ts";
export type { JsonValue } from "./protocol/fields.ts";
export type {
  Frame,
  FrameEvent,
  HandlerEvent,
  TerminalPayload,
  TerminalStatus,
  TokenUsage,
} from "./protocol/frame.ts";
export type {
  CallerIdentity,
  RequestBody,
  RequestKind,
  RequestPayload,
} from "./protocol/request.ts";
export type { OutboxRecord, Transcript } from "./state/state.ts";
