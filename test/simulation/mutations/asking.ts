import type { Mutation } from "./mutation.ts";

const reader = "mailbox/frame-reader.ts";

/** Holes on the caller's side, and in how both sides name and put objects. */
export const askingMutations: readonly Mutation[] = [
  {
    name: "no-request-digest",
    opens: "frames answer a run's name, and not the bytes that were sent under it",
    breaks: 2,
    edits: [
      {
        file: "protocol/object-key.ts",
        find: `  return digest.slice(0, 16) as Digest16;`,
        replace: `  return "aaaaaaaaaaaaaaaa" as Digest16;`,
      },
      {
        file: reader,
        find: `    if (payload.runId !== runId || payload.requestDigest !== requestDigest) {`,
        replace: `    if (payload.runId !== runId) {`,
      },
    ],
  },
  {
    name: "exists-taken-as-ours",
    opens: "a put that meets an object takes it for its own, without reading it back",
    breaks: 2,
    edits: [
      {
        file: "mailbox/put-exactly.ts",
        find: `    const standing = await readObject(store, key);`,
        replace: `    return "ours";
    const standing = await readObject(store, key);`,
      },
    ],
  },
  {
    name: "request-not-durable",
    opens: "a request is sent while a loss of power could still undo that it was asked",
    breaks: 2,
    edits: [
      {
        file: "state/steps.ts",
        find: `openOutbox(outbox, record));`,
        replace: `openOutbox(outbox, record), "relaxed");`,
      },
    ],
  },
  {
    name: "signed-anew-on-resend",
    opens: "a request that is sent again is signed again, with new times",
    breaks: 5,
    edits: [
      {
        file: "mailbox/send.ts",
        find: `  const displaced = await put(box, record);
`,
        replace: `  const { to, runId, intentDigest, iat, exp } = record;
  const again = { to, payload: decodeRequest(record.payload), ttlMs: (exp - iat) * 1000 };
  const displaced = await put(box, {
    ...record,
    envelope: sign(box, runId, intentDigest, again).envelope,
  });
`,
      },
      {
        file: "mailbox/send.ts",
        find: `import {
  encodeCancel,`,
        replace: `import {
  decodeRequest,
  encodeCancel,`,
      },
    ],
  },
  {
    name: "sent-though-expired",
    opens: "a request is sent again however long ago it has expired",
    breaks: 6,
    edits: [
      {
        file: "mailbox/send.ts",
        find: `record.state === "closed" || nowMs >= record.exp * 1000 || `,
        replace: `record.state === "closed" || `,
      },
    ],
  },
  {
    name: "signed-anew-when-asked-again",
    opens: "a request that is asked again while its run is open is signed and kept anew",
    breaks: 2,
    edits: [
      {
        file: "state/outbox.ts",
        find: `  if (standing === undefined) {
    outbox.put({`,
        replace: `  if (standing === undefined || standing.state === "open") {
    outbox.put({`,
      },
    ],
  },
  {
    name: "chain-not-checked",
    opens: "a reader takes envelopes that do not follow the one before them",
    breaks: 5,
    edits: [
      {
        file: reader,
        find: `    if (!equalBytes(read.payload.prev, this.#prev)) {`,
        replace: `    if (false) {`,
      },
    ],
  },
  {
    name: "frames-not-verified",
    opens: "a reader takes frames whose signature does not verify",
    breaks: 2,
    edits: [
      {
        file: reader,
        find: `    const { claims, kid, payload: plain } = openFromPeer(this.#box, "frames", key, envelope);`,
        replace: `    const { claims, kid, untrustedPayload: plain } = parseEnvelope("frames", envelope);`,
      },
    ],
  },
  {
    name: "transcript-not-durable",
    opens: "frames are deleted while a loss of power could still undo their transcript",
    breaks: 5,
    edits: [
      {
        file: "mailbox/follow.ts",
        find: `    await box.state.sync();
    for (`,
        replace: `    for (`,
      },
    ],
  },
  {
    name: "request-taken-back",
    opens: "a caller that has its answer deletes its request from the callee's inbox",
    breaks: 4,
    edits: [
      {
        file: "mailbox/follow.ts",
        find: `        await deleteFrames(box, transcript);`,
        replace: `        await deleteFrames(box, transcript);
        await box.store.delete(record.key);`,
      },
    ],
  },
  {
    name: "told-from-the-start-again",
    opens: "a reader whose run another process closed is told frames that it was told before",
    breaks: 5,
    edits: [
      {
        file: "mailbox/follow.ts",
        find: `  const from = told?.attempt === transcript.attempt ? told.seq : 0;`,
        replace: `  const from = 0;`,
      },
    ],
  },
  {
    name: "deleted-before-transcript",
    opens: "frames are deleted before the transcript of their run is stored",
    breaks: 5,
    edits: [
      {
        file: "mailbox/follow.ts",
        find: `      const { transcript, status } = await close(box, record, reader, final.payload);`,
        replace: `      for (const { key } of reader.envelopes) await box.store.delete(key);
      const { transcript, status } = await close(box, record, reader, final.payload);`,
      },
    ],
  },
];
