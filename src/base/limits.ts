/** Every bound of Postern, with its unit in its name. What is on the wire is said in SPEC.md as well. */
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Bounds the difference of any two clocks of a realm. */
const skewMs = 5 * minute;
/** A clock may be set back by so much, as time services do, without stopping admission. */
const clockStepMs = 10 * second;
/** How old a look at the owner keys may be when something is admitted, taken over, started or ended. */
const ownerLookMs = minute;

export const limits = {
  skewMs,
  clockStepMs,
  defaultTtlMs: 24 * hour,
  maxTtlMs: 14 * day,

  maxEnvelopeBytes: 1024 * 1024,
  maxCborDepth: 32,
  /** Items of one envelope, containers and scalars together. */
  maxCborItems: 65_536,
  maxObjectKeyBytes: 512,
  maxGatewayNameBytes: 100,
  maxToolNameBytes: 128,
  maxTenantBytes: 128,
  maxIdempotencyKeyBytes: 256,
  maxVia: 4,
  maxFramesPerEnvelope: 1024,
  maxAttempt: 9999,
  maxSeq: 9_999_999_999,
  maxErrorMessageBytes: 4096,
  maxPhaseBytes: 128,
  /** What a card says of one agent. */
  maxDescriptionBytes: 512,

  /** Frames are gathered this long before they are written as one object. */
  frameWindowMs: 200,
  /**
   * So many envelopes of one attempt, an hour of them without a pause, take a window each; for every so many more
   * the window is twice as long. The longest run then stays within what a caller reads.
   */
  envelopesAtFirst: 18_000,
  envelopesPerDoubling: 1000,
  /** A frames envelope is written early once its frames' estimated size reaches this. */
  frameFlushBytes: 256 * 1024,
  /** What a handler may put out in one run, all its frames together. */
  maxRunOutputBytes: 8 * 1024 * 1024,
  /** What a caller reads of one attempt, all its envelopes together. */
  maxTranscriptBytes: 32 * 1024 * 1024,
  /** The longest text or value that fits into one frame; longer texts are split, longer values fail the run. */
  maxFrameBytes: 512 * 1024,

  maxStarts: 3,
  defaultMaxRunMs: hour,
  /** The most that an agent's own bound may be. */
  longestMaxRunMs: 30 * day,
  /** Timers of the platform cannot be set further ahead than this. */
  longestSleepMs: hour,
  /** Who waits for a moment looks at the clock this often: timers stand still while the machine sleeps. */
  clockLookMs: minute,
  maxRunGraceMs: 5 * minute,
  handlerKillGraceMs: 5 * second,
  /** How long a handler's output may be silent, after its program has exited, before it counts as over. */
  handlerDrainMs: 2 * second,
  /** What a handler may write to stderr in one run before the rest is left out of the log. */
  maxHandlerLogBytes: 64 * 1024,
  /** How much of what a failed handler said last, or why it failed, the log repeats. */
  handlerFailureLogBytes: 2048,
  /** How long it may take to reach an agent behind a URL. */
  handlerConnectMs: 10 * second,
  /** After so long a silence, a connection to an agent is asked whether its other side is still there. */
  handlerKeepAliveMs: 30 * second,
  /** The headers that go to an agent besides Postern's own. */
  maxHeadersFileBytes: 16 * 1024,

  ownerLookMs,
  /**
   * Requests signed within this time after a recovered state's claim may have run elsewhere: clocks differ, and
   * who served the name until then goes on for a look's age, by a clock that may be set back meanwhile.
   */
  recoveryMs: skewMs + ownerLookMs + clockStepMs,
  ownerClaimMs: hour,
  ownerKeysPerLook: 1000,
  /** Own claims that stay below the newest, and how long each of them stays in any case. */
  keptOwnerKeys: 100,
  keptOwnerKeyMs: day,

  /** Receipts, outbox records and transcripts live at least this long after their end. */
  retentionMs: 7 * day,
  /** How long after deadline or expiry an asked run without an answer is called unknown. */
  unknownGraceMs: 10 * minute,
  /** How often an unanswered request is put again at most. */
  resendMs: minute,
  /** The same once frames have come. */
  resendAnsweredMs: 10 * minute,

  /** Received objects kept in quarantine for one sender, and for all unknown senders together. */
  quarantineBytesPerPeer: 16 * 1024 * 1024,
  quarantineEntriesPerPeer: 1000,
  /** What was released from quarantine and is taken up by one look through the inbox, at most. */
  releasedPerScan: 1000,
  /** Subjects whose latest trouble is remembered. */
  maxTroubles: 1000,
  maxTroubleCharacters: 500,
  /** How often a service whose outcome does not change has the state remember it. */
  troublesTellMs: minute,

  /** Ended runs of one sender whose answers are not in the store yet, while more of its requests are admitted. */
  unpublishedPerPeer: 256,
  listPageKeys: 1000,
  /** How often one end is signed again at a time, where others have taken its keys. */
  reissuesPerPublish: 16,
  /** Open and unpublished runs looked at in one pass. */
  recoverPerPass: 10_000,
  /** Envelopes of one run that one look reads before it is the next run's turn. */
  envelopesPerLook: 256,
  /** Asked and unclosed runs looked at in one pass, and those of which it takes them. */
  askedPerPass: 1000,
  askedTurns: 10_000,
  /** A run of unknown outcome is looked for in one of so many passes. */
  passesPerUnknownLook: 60,
  /** Left-over frames are looked for in one of so many passes, in at most so many pages of a listing. */
  passesPerSweep: 60,
  sweptPages: 16,
  /** What one sweep spends on objects that cannot be read or deleted, before it leaves the rest. */
  sweepFailuresMs: minute,
  /** Rows that one pass collects at most. */
  collectPerPass: 1000,
  /** How long one look through the inbox goes on, as runs end and leave room, before the inbox is listed anew. */
  scanMs: 10 * second,
  /** Requests read and admitted at the same time in one process. */
  admissionsAtOnce: 8,
  /** Rounds through the inbox in one scan: of each a page of every sender who has that much. */
  inboxPagesPerPeer: 4,
  /** Pages of the first round, at most one for each sender who fills it. */
  inboxPagesPerRound: 16,
  storeAttempts: 5,
  /** A put that is denied may have met a race within the store; so often it is tried. */
  deniedPutAttempts: 3,
  /** The wait before a store's second attempt; it doubles up to the longest one. */
  storeRetryMinMs: 100,
  storeRetryMaxMs: 5 * second,
  storeTimeoutMs: 20 * second,
  storeConnectTimeoutMs: 5 * second,
  storeConnections: 64,
  /** A store's answer that is not an object: a page of keys, or an error. */
  maxStoreAnswerBytes: 8 * 1024 * 1024,
  /** One segment of an object key: what a file name may be. */
  maxKeySegmentBytes: 255,
  /** How often a folder store makes a folder anew that another process removes as empty meanwhile. */
  fileStoreTries: 16,
  /** Unfinished files of a folder store whose writer is long gone. */
  staleTemporaryMs: hour,
  /** The same for claims on names, where a folder has no hard links. */
  staleClaimMs: minute,
  /** Test writes of a program that died over them. */
  staleProbeMs: hour,
  probeRacers: 16,
  probeRounds: 3,
  /** How long a probe waits for a listing to show what was done, and how often it looks. */
  probeLagMs: 10 * second,
  probeLookMs: 200,
  followMinDelayMs: 100,
  followMaxDelayMs: 2 * second,
  /** How long a listing is believed to show all cancels. */
  listingMs: 2 * second,
  /** While runs of a pass go on, its inbox is looked at again this often. */
  pollDelayMs: second,
  /** `postern serve`: between two looks into the store while there is work, and while there is none. */
  serveMinDelayMs: second,
  serveMaxDelayMs: 30 * second,
  /** By how much the time between two looks grows each time that nothing is found. */
  paceFactor: 1.5,
  /** While runs are at work, the inbox is looked at, for their cancels too, at least this often. */
  runDelayMs: 5 * second,
  /** How often a service collects a slice of what retention no longer keeps. */
  serveCollectMs: minute,
  /** How long a service that is told to stop lets runs go on before it ends them. */
  serveGraceMs: 30 * second,
  /** Every so many fruitless looks at the predicted frame key, the next attempt is looked for as well. */
  followLooksPerAttempt: 5,
  /** The same for all attempts above, by listing. */
  followLooksPerList: 25,
  /**
   * Pages of that listing, and attempts that are read of it: of more, the highest and the lowest. As many objects
   * that do not verify are read where a recovered state looks for attempts of its own.
   */
  attemptPagesPerLook: 16,
  attemptsPerLook: 64,
  defaultMaxConcurrentRuns: 8,
  /** The same of one peer, so that none takes all room. */
  defaultMaxPeerRuns: 2,
  /** The window in which a peer's requests are counted. */
  rateWindowMs: minute,
  /** How long a step waits for another process that holds the state. */
  stateBusyMs: 5 * second,
  /** How often a worker starts over when its unfinished lock file was swept away. */
  workerStarts: 3,
  defaultMaxRequestsPerMinute: 60,
  maxConfigBytes: 1024 * 1024,
  /** How long a finished command waits for what it left open, before it ends all the same. */
  exitGraceMs: 2 * second,
  /** How long an edit waits for another edit of the same home to end. */
  editLockWaitMs: 5 * second,
  /** How long a trust document is good after an edit by the command line. */
  trustLifetimeMs: 365 * day,
  /** `postern status`: how long before its end a trust document is worth attention, unless told. */
  warnTrustMs: 14 * day,
  /** `postern status`: how long what a peer caused, and nobody can undo, is worth attention. */
  recentTroubleMs: day,
  /** `postern status`: senders, peers and troubles that one screen names, of each. */
  statusScreenRows: 10,
  cardLifetimeMs: 365 * day,
  /** What of a request's content is shown on a terminal; as JSON there is all of it. */
  maxShownCharacters: 4096,
  /** A card's text with whatever white space it gained on its way. */
  maxCardTextBytes: 2 * 1024 * 1024,
} as const;
