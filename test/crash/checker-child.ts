/**
 * Says how a world stands, as a process that has had no part in it reads it from states and store: for each
 * question that its parent sends, one answer.
 */
import { openGateway } from "../../src/gateway/gateway.ts";
import { entriesBelow } from "../../src/store/entries-below.ts";
import { parseQuestion, type Answer, type EndState, type Question } from "./end-state.ts";

process.on("message", (message) => {
  void answer(parseQuestion(message)).then((answered) => process.send?.(answered));
});

async function answer(question: Question): Promise<Answer> {
  const { id } = question;
  try {
    return { id, end: await lookAt(question) };
  } catch (thrown) {
    return { id, failure: String(thrown) };
  }
}

async function lookAt({ caller, callee, runId }: Question): Promise<EndState> {
  await using asker = await openGateway({ home: caller, readOnly: true });
  await using answerer = await openGateway({ home: callee, readOnly: true });
  const record = await asker.mailbox.state.outboxRecord(runId);
  const transcript = await asker.mailbox.state.transcript(runId);
  const receipts = await answerer.mailbox.state.receiptsNamed(runId);
  const quarantined = await answerer.mailbox.state.quarantined({ limit: 1000 });
  const asked = await asker.mailbox.state.overview();
  const received = await answerer.mailbox.state.overview();
  const objects: string[] = [];
  for await (const { key } of entriesBelow(asker.mailbox.store, { prefix: "" })) objects.push(key);
  return {
    asked: record === undefined ? null : { state: record.state, terminal: record.terminal },
    transcript: transcript === undefined ? null : transcript.terminal,
    receipts: receipts.map(({ state, starts, ended }) => ({
      state,
      starts,
      terminal: ended?.terminal?.payload ?? null,
      acknowledged: ended?.acknowledged ?? false,
    })),
    quarantined: quarantined.map(({ code }) => code),
    objects,
    remembered: {
      asked: asked.asked.open + asked.asked.unknown + asked.asked.closed,
      received: received.received.admitted + received.received.running + received.received.ended,
    },
  };
}
