/*
 * One callee: admission, starting, ending, takeover, publishing and collection of the requests that lie under one
 * name (from, runId), by the workers of one home. What is promised is in README.md beside this file; every atomic
 * block is one operation of the store or one transaction of the state, named after the function that it stands for
 * (src/mailbox, src/gateway/run.ts, src/state/collect.ts) and the section of src/protocol/SPEC.md.
 *
 * Modelled
 * - The store hands out any bytes ever put under the name, at any time, to anybody: so it covers repeated and late
 *   puts of the sender, stale listings, deleted objects that come back, and swapped ones. A put fails before or
 *   after its effect; it may meet other bytes (FOREIGN times).
 * - The state is atomic and outlives its processes. What is committed is seen at once, and is durable once it was
 *   synced (`dur` is what is on disk): the machine may lose the rest with its power (POWER times).
 * - A worker dies between any two steps (CRASHES times in all), and another one with a new id starts in its place.
 *   One that is slow is not dead: it may pause at any step for as long as time goes.
 * - A run may break off in a worker that lives on (BREAKS times): the state was busy, the look too old.
 * - The clock counts in skews (SKEW steps each), from `exp` of request 0 being EXP0. A transaction may read one step
 *   less than before: a clock may be set back a little (limits.clockStepMs).
 * - Trust, deadline and cancel may say yes or no each time that they are asked.
 * - With LOST: the home is lost, or an old copy of it comes back, once, and it is recovered.
 * - With READER: the caller of each request follows it, closes it at a terminal, and deletes what it read.
 *
 * Abstracted
 * - Signatures, quarantine's budget, rate and concurrency (a request that waits is one that nobody looked at).
 * - One envelope of frames at most lies before the terminal.
 * - Of several commits that are not yet durable, the machine loses all or none.
 * - The owner keys: see owner.pml. The caller's own crashes and clock: see sending.pml.
 */

#ifndef REQUESTS
#define REQUESTS 1
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef POWER
#define POWER 0
#endif
#ifndef BREAKS
#define BREAKS 0
#endif
#ifndef FOREIGN
#define FOREIGN 0
#endif
#ifndef SKEW
#define SKEW 1
#endif
#ifndef EXP0
#define EXP0 0
#endif
#ifndef EXP1
#define EXP1 0
#endif
#ifndef RETENTION
#define RETENTION 1
#endif
#ifndef LAST
#define LAST (EXP0 + 3 * SKEW + RETENTION)
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 6
#endif
#ifdef RETRY
#define MOST_STARTS 3
#else
#define MOST_STARTS 1
#endif
#if defined(READER) || defined(LOST)
#define FRAMES
#endif

/* A bound of the model itself: where it is too narrow, a search shows nothing. */
#define within(bound) \
  if \
  :: !(bound) -> assert(false) \
  :: else \
  fi

/* The state of a receipt. */
#define NONE 0
#define ADMITTED 1
#define RUNNING 2
#define ENDED 3

/* How a run ended. 1 to 3: what the first to third start of its handler returned. */
#define INTERRUPTED 4
#define DEADLINE 5
#define REFUSED 6 /* refused, or cancelled before it began */
#define CONFLICT 7
#define EXPIRED 8
#define STATE_LOST 9
#define SILENCED 10

#define GONE WORKERS /* the worker of a receipt: one that has died */

typedef Receipt {
  byte st;
  bit admitted; /* it once stood as ADMITTED */
  bit old;      /* received before the state was recovered */
  byte worker;
  byte attempt;
  byte starts;
  byte since; /* RUNNING since */
  byte out;   /* outcome committed, 0 for none */
  byte seq;   /* of the terminal's envelope */
  byte at;    /* ENDED at */
  bit acked
};

Receipt r[REQUESTS];
byte now = 0;
byte crashes = CRASHES;
byte breaks = BREAKS;
byte foreign = FOREIGN;
byte dead = 0;
byte finished = 0;

#if POWER > 0 || defined(LOST)
Receipt dur[REQUESTS];
byte power = POWER;
#endif
#ifdef LOST
Receipt backup[REQUESTS];
bit backedUp = 0;
bit recovered = 0;
byte born = 0;
bit sent = 0;
#define IAT (EXP0 - 1)
#endif

/* What is seen from outside, by nobody of the model. */
byte started[REQUESTS]; /* handlers */
byte working[REQUESTS]; /* handlers at work now */
byte published[REQUESTS]; /* the outcome, 0 for none */
bit settled[REQUESTS];    /* it has ended durably, or is kept in quarantine */
#if REQUESTS > 1
bit ran[REQUESTS];
#ifdef READER
byte content[REQUESTS]; /* whose bytes were admitted */
#endif
byte endedAt[REQUESTS];
#endif

#ifdef FRAMES
/* The object at seq 0 and at seq 1 of each attempt: absent, some frames, somebody's bytes, a terminal with its outcome. */
#define ABSENT 0
#define SOME 1
#define OTHERS 2
#define TERMINAL 16
byte first[REQUESTS * ATTEMPTS];
byte second[REQUESTS * ATTEMPTS];
#define AT(d, attempt) ((d) * ATTEMPTS + (attempt) - 1)
#endif

/* Which receipt, and which keys of frames, are those of a request. */
#ifdef NO_REQUEST_DIGEST
#define placeOf(d) 0
#else
#define placeOf(d) d
#endif

#define expOf(d) ((d) == 0 -> EXP0 : EXP1)
#define other(d) (1 - (d))
#define isOpen(d) (r[d].st == ADMITTED || r[d].st == RUNNING)
#define isUnpublished(d) (r[d].st == ENDED && !r[d].acked)
/* Longer than one step of the clock: longer than its agent may. */
#define isHung(d) (r[d].st == RUNNING && now > r[d].since + 1)
#define claimsNeverRan(o) (o == REFUSED || o == CONFLICT || o == EXPIRED)

#ifdef TAKEOVER_OF_A_LIVE_WORKER
#define mayTake(d) (isOpen(d))
#else
#define mayTake(d) (isOpen(d) && (r[d].worker == GONE || r[d].worker == _pid || isHung(d)))
#endif

/* src/mailbox/lease.ts: the run is still this worker's, and open. */
#ifdef TAKEOVER_IGNORING_LEASE
#define held(d) (r[d].st != NONE)
#else
#define held(d) (isOpen(d) && r[d].worker == _pid && r[d].attempt == a)
#endif

#define copyReceipt(to, from) \
  to.st = from.st; to.admitted = from.admitted; to.old = from.old; to.worker = from.worker; \
  to.attempt = from.attempt; to.starts = from.starts; to.since = from.since; to.out = from.out; \
  to.seq = from.seq; to.at = from.at; to.acked = from.acked

#define clearReceipt(x) \
  x.st = NONE; x.admitted = 0; x.old = 0; x.worker = 0; x.attempt = 0; x.starts = 0; x.since = 0; \
  x.out = 0; x.seq = 0; x.at = 0; x.acked = 0

#if REQUESTS > 1
#define forEach(do_) do_(0); do_(1)
#else
#define forEach(do_) do_(0)
#endif

#if REQUESTS > 1
#define noteRan(d) ran[d] = 1
#else
#define noteRan(d) skip
#endif
/* State.sync, or what a durable step waits for. */
#if POWER > 0 || defined(LOST)
#define syncOne(d) \
  copyReceipt(dur[d], r[d]); \
  if \
  :: r[d].st == ENDED -> settled[d] = 1 \
  :: r[d].st == RUNNING -> noteRan(d) \
  :: else \
  fi
#else
#define syncOne(d) \
  if \
  :: r[d].st == ENDED -> settled[d] = 1 \
  :: r[d].st == RUNNING -> noteRan(d) \
  :: else \
  fi
#endif
inline sync() { forEach(syncOne) }

/* The clock as a transaction reads it. */
inline readClock(t) {
  if
  :: t = now
  :: now > 0 -> t = now - 1
  fi
}

/* An end is written to the receipt: `bornEnded`, `endedReceipt`. */
inline writeEnd(d, asAttempt, asSeq, asOut, asOf) {
  r[d].st = ENDED;
  r[d].worker = 0;
  r[d].starts = 0;
  r[d].since = 0;
  r[d].attempt = asAttempt;
  r[d].seq = asSeq;
  r[d].out = asOut;
  r[d].at = asOf;
  r[d].acked = (asOut == SILENCED);
#if REQUESTS > 1
  if
  :: ran[d] && asOut != SILENCED -> endedAt[d] = asOf
  :: else
  fi;
#endif
  a = r[d].attempt;
  within(a <= ATTEMPTS);
  s = r[d].seq;
  o = r[d].out;
  frames = 0;
  t = 0
}

/* A terminal reaches the store. */
inline seePublished(d, o) {
#ifdef LOST
  /* After a loss the callee may say STATE_LOST of what it said more of before: the stated exception. */
  if
  :: o == STATE_LOST -> assert(recovered)
  :: else ->
#endif
  assert(published[d] == 0 || published[d] == o); /* one outcome */
  assert(!claimsNeverRan(o) || started[d] == 0);  /* it says that it never ran */
  published[d] = o
#ifdef LOST
  fi
#endif
}

/* A handler starts. */
inline seeStarted(d) {
  started[d]++;
  assert(started[d] <= MOST_STARTS);
  assert(!claimsNeverRan(published[d])); /* what was refused never runs */
  assert(working[d] == 0); /* one handler at a time */
  working[d]++
}

/* `running` is committed: of two requests under a name only one, for as long as retention lasts. */
inline seeRunning(d) {
#if REQUESTS > 1
  assert(!ran[other(d)] || now >= endedAt[other(d)] + RETENTION);
#endif
  skip
}

/* A request is deleted from the inbox by who dealt with `d`. */
inline seeDeleted(d) { assert(settled[d]) }

/* Whoever is told that it is over was told first. */
inline seeCollected(d) { assert(published[d] != 0 || r[d].out == SILENCED || r[d].out == STATE_LOST) }

#define releaseOne(d) \
  if \
  :: r[d].worker == _pid && isOpen(d) -> r[d].worker = GONE \
  :: else \
  fi
#if POWER > 0 || defined(LOST)
#define releaseDurable(d) \
  if \
  :: dur[d].worker == _pid && (dur[d].st == ADMITTED || dur[d].st == RUNNING) -> dur[d].worker = GONE \
  :: else \
  fi
#else
#define releaseDurable(d) skip
#endif

inline rest() {
  d = 0;
  a = 0;
  s = 0;
  o = 0;
  t = 0;
#ifdef TERMINAL_BEFORE_FRAMES
  owed = 0;
#endif
  frames = 0
}

inline die() {
  crashes--;
  forEach(releaseOne);
  forEach(releaseDurable);
  working[d] = working[d] - atWork;
  atWork = 0;
  rest();
  dead++;
  printf("worker %d dies\n", _pid)
}

#define OR_DIES :: atomic { crashes > 0 -> die(); goto down }

#ifdef COLLECTION_BEFORE_ACKNOWLEDGEMENT
#define isAcked(d) 1
#else
#define isAcked(d) r[d].acked
#endif
#ifdef RECEIPTS_FOUND_BY_EXPIRY
#define isRetained(d) 0
#else
#define isRetained(d) (now < r[d].at + RETENTION)
#endif
/* State.collect */
#define mayCollect(d) (r[d].st == ENDED && isAcked(d) && now >= expOf(d) + 3 * SKEW && !isRetained(d))

active [WORKERS] proctype Worker() {
  byte d = 0;      /* the request in hand */
  byte a = 0;      /* attempt of the lease, or of the terminal */
  byte s = 0;      /* seq of the terminal */
  byte o = 0;      /* outcome */
  byte frames = 0; /* 1: an envelope of frames stands; 2: its key was taken by other bytes */
  bit atWork = 0;  /* the handler */
  byte t;
#ifdef NO_REQUEST_DIGEST
  byte what = 0;
#endif
#ifdef NO_SECOND_CLOCK_READ
  byte early = 0;
#endif
#ifdef TERMINAL_BEFORE_FRAMES
  bit owed = 0; /* frames that are to be put after the terminal */
#endif

idle:
  if
  /* Admission: LIST and GET hand out a request. */
  :: atomic {
#ifdef LOST
       sent ->
#endif
       if
       :: d = 0
#if REQUESTS > 1
       :: d = 1
#endif
       fi;
#ifdef NO_REQUEST_DIGEST
       what = d;
       d = placeOf(d);
#endif
#ifdef NO_SECOND_CLOCK_READ
       readClock(early);
#endif
       printf("worker %d reads request %d\n", _pid, d);
       goto admission
     }
  /* Ending, step 4: what was committed and not acknowledged is published again (republishEnding). */
  :: atomic {
       if
       :: isUnpublished(0) -> d = 0
#if REQUESTS > 1
       :: isUnpublished(1) -> d = 1
#endif
       fi;
       a = r[d].attempt;
       s = r[d].seq;
       o = r[d].out;
       goto publish
     }
  /* Crashes: an open run whose worker is gone, or hung (takeOver). */
  :: atomic {
       if
       :: mayTake(0) -> d = 0
#if REQUESTS > 1
       :: mayTake(1) -> d = 1
#endif
       fi;
       goto takeover
     }
  :: atomic {
#if REQUESTS > 1
       !mayTake(1) && !isUnpublished(1) &&
#endif
       !mayTake(0) && !isUnpublished(0) -> goto done
     }
  OR_DIES
  fi;

admission: /* decideAdmission, in the admission transaction */
  if
  :: atomic {
       printf("worker %d: admission of request %d at %d\n", _pid, d, now);
#ifdef NO_SECOND_CLOCK_READ
       t = early;
       early = 0;
#else
       readClock(t);
#endif
       if
       :: r[d].st == ENDED && r[d].out == SILENCED -> t = 0; goto quarantine
       :: r[d].st == ENDED && r[d].out != SILENCED ->
          t = 0;
          a = r[d].attempt;
          s = r[d].seq;
          o = r[d].out;
          goto publish
       :: isOpen(d) -> rest(); goto idle
       :: r[d].st == NONE ->
#ifdef LOST
#ifdef BORN_WITHOUT_SKEW
#define isOfLostState (recovered && IAT < born)
#else
#define isOfLostState (recovered && IAT < born + SKEW)
#endif
#ifdef EXPIRED_BEFORE_BORN
#define asksBorn (isOfLostState && t < expOf(d) + SKEW)
#else
#define asksBorn isOfLostState
#endif
          if
          :: asksBorn -> t = 0; goto lookBack
          :: else
          fi;
#endif
          if
#if REQUESTS > 1
          /* RunView.blocked */
          :: r[other(d)].st != NONE &&
             (r[other(d)].admitted || (r[other(d)].out != EXPIRED && r[other(d)].out != SILENCED)) ->
             if
             :: t >= expOf(d) + 2 * SKEW -> o = SILENCED
             :: else -> o = CONFLICT
             fi
          :: !(r[other(d)].st != NONE &&
             (r[other(d)].admitted || (r[other(d)].out != EXPIRED && r[other(d)].out != SILENCED))) &&
#else
          ::
#endif
             t >= expOf(d) + SKEW ->
             if
             :: t >= expOf(d) + 2 * SKEW -> o = SILENCED
             :: else -> o = EXPIRED
             fi
          :: else ->
             if
             :: o = REFUSED
             :: o = 0
             fi
          fi;
          if
          :: o == 0 ->
             r[d].st = ADMITTED;
             r[d].admitted = 1;
             r[d].worker = _pid;
             r[d].attempt = 1;
             a = 1;
#if defined(READER) && REQUESTS > 1
#ifdef NO_REQUEST_DIGEST
             content[d] = what;
             what = 0;
#else
             content[d] = d;
#endif
#endif
             t = 0;
             printf("worker %d admits request %d\n", _pid, d);
#ifdef DELETION_BEFORE_ENDED
             printf("worker %d deletes the request\n", _pid);
             seeDeleted(d);
#endif
             goto start
#ifdef RECEIPT_AFTER_REFUSAL
          :: o == REFUSED -> a = 1; t = 0; goto publishEarly
#endif
#ifdef CONFLICTS_FORGOTTEN
          :: o == CONFLICT -> a = 1; t = 0; goto publishEarly
#endif
          :: else ->
             printf("worker %d: request %d is born ended, outcome %d\n", _pid, d, o);
             writeEnd(d, 1, 0, o, t);
             if
             :: o == SILENCED -> goto quarantine
             :: else -> goto publish
             fi
          fi
       fi
     }
  OR_DIES
  fi;

#if defined(RECEIPT_AFTER_REFUSAL) || defined(CONFLICTS_FORGOTTEN)
publishEarly:
  if
  :: atomic {
       printf("worker %d publishes outcome %d of request %d before it is committed\n", _pid, o, d);
       seePublished(d, o);
#ifdef CONFLICTS_FORGOTTEN
       rest();
       goto idle
#endif
     }
  OR_DIES
  fi;
  if
  :: atomic {
       if
       :: r[d].st == NONE -> writeEnd(d, 1, 0, o, now); sync(); goto publish
       :: else -> rest(); goto idle
       fi
     }
  OR_DIES
  fi;
#endif

#ifdef LOST
lookBack: /* highestOwnAttempt: a listing may hide what stands; then its key tells */
  if
  :: atomic {
       a = 1;
       do
       :: a < ATTEMPTS && first[AT(d, a)] != ABSENT -> a++
       :: break
       od;
       if
       :: r[d].st == NONE ->
          printf("worker %d: request %d is from before the recovery\n", _pid, d);
          writeEnd(d, a, 0, STATE_LOST, now);
          goto publish
       :: else -> rest(); goto idle
       fi
     }
  OR_DIES
  fi;
#endif

takeover: /* takeOver: one transaction; what was seen before must be unchanged, so that is seen here */
  if
  :: atomic {
       readClock(t);
       if
       :: !mayTake(d) -> rest(); goto idle
       :: else
       fi;
       a = r[d].attempt + 1;
       if
       :: r[d].out != 0 -> o = r[d].out
       :: r[d].out == 0 && r[d].old -> o = STATE_LOST
       :: r[d].out == 0 && !r[d].old && r[d].st == ADMITTED ->
          if
          :: o = 0
          :: o = (r[d].starts == 0 -> REFUSED : INTERRUPTED) /* a cancel lies there */
          fi
       :: r[d].out == 0 && !r[d].old && r[d].st == RUNNING ->
          if
          :: r[d].worker != GONE && r[d].worker != _pid && isHung(d) -> o = DEADLINE
#if defined(RETRY) || defined(TAKEOVER_RUNS_AGAIN)
#ifdef NO_MOST_STARTS
          :: else -> o = 0
#else
          :: else ->
             if
             :: r[d].starts < 3 -> o = 0
             :: o = INTERRUPTED
             fi
#endif
#else
          :: else -> o = INTERRUPTED
#endif
          fi
       fi;
       if
       :: o == 0 ->
          printf("worker %d takes request %d over, attempt %d\n", _pid, d, a);
          r[d].st = ADMITTED;
          r[d].worker = _pid;
          r[d].attempt = a;
          r[d].since = 0;
          t = 0;
          sync();
          goto start
       :: else ->
          printf("worker %d takes request %d over and ends it, attempt %d, outcome %d\n", _pid, d, a, o);
          writeEnd(d, a, 0, o, now);
          goto publish
       fi
     }
  OR_DIES
  fi;

start: /* commitStart */
#ifdef START_WITHOUT_COMMITTED_RUNNING
  if
  :: atomic { seeStarted(d); atWork = 1 }
  OR_DIES
  fi;
#endif
  if
  :: atomic {
       readClock(t);
       if
       :: !held(d) || r[d].st != ADMITTED -> rest(); goto idle
       :: else
       fi;
       if
       :: t >= expOf(d) + 2 * SKEW -> o = (r[d].starts == 0 -> EXPIRED : INTERRUPTED)
       :: o = (r[d].starts == 0 -> REFUSED : INTERRUPTED) /* trust, deadline, cancel */
       :: t < expOf(d) + 2 * SKEW -> o = 0
       fi;
#ifdef START_WITHOUT_COMMITTED_RUNNING
       o = 0;
#endif
       if
       :: o == 0 ->
          printf("worker %d commits that request %d is running\n", _pid, d);
          r[d].st = RUNNING;
          r[d].starts++;
          r[d].since = now;
          seeRunning(d);
          t = 0
       :: else ->
          printf("worker %d ends request %d instead of starting it, outcome %d\n", _pid, d, o);
          writeEnd(d, a, 0, o, now);
          goto publish
       fi
     }
  OR_DIES
  fi;

  if /* the handler starts once `running` is durable */
  :: atomic {
       sync();
#ifndef START_WITHOUT_COMMITTED_RUNNING
       printf("worker %d starts the handler of request %d\n", _pid, d);
       seeStarted(d);
       atWork = 1
#endif
     }
  OR_DIES
  fi;

  if /* FrameWriter: a put is repeated until it stands */
  :: atomic { frames = 0 } /* a short run: all in one object */
  :: atomic {
       foreign > 0 -> foreign--; frames = 2;
#ifdef FRAMES
       if
       :: first[AT(d, a)] == ABSENT -> first[AT(d, a)] = OTHERS
       :: else
       fi;
#endif
       printf("worker %d meets other bytes at the frames of request %d\n", _pid, d)
     }
#ifdef FRAMES
  :: atomic {
       frames = 1;
#ifdef TERMINAL_BEFORE_FRAMES
       owed = 1
#else
       printf("worker %d puts frames of request %d, attempt %d\n", _pid, d, a);
       if
       :: first[AT(d, a)] == ABSENT -> first[AT(d, a)] = SOME
       :: first[AT(d, a)] == SOME
       :: else -> frames = 2
       fi
#endif
     }
#endif
  OR_DIES
  fi;

  if /* the handler returns; outcome and end are one commit where nothing is left to write (commitEnd) */
  :: atomic {
       frames != 2 -> o = started[d]; working[d]--; atWork = 0;
       if
       :: held(d) ->
          printf("worker %d commits the end of request %d\n", _pid, d);
          writeEnd(d, a, frames, o, now);
          goto publish
       :: else -> rest(); goto idle
       fi
     }
  :: atomic { /* or the outcome alone (commitOutcome) */
       o = started[d]; working[d]--; atWork = 0;
       if
       :: held(d) -> r[d].out = o; sync(); printf("worker %d commits the outcome of request %d\n", _pid, d)
       :: else -> rest(); goto idle
       fi
     }
  :: atomic { breaks > 0 -> breaks--; working[d]--; atWork = 0; rest(); goto idle }
  OR_DIES
  fi;

  if /* the end after the outcome; after other bytes, at seq 0 of the next attempt */
  :: atomic {
       if
       :: held(d) ->
          printf("worker %d commits the end of request %d\n", _pid, d);
          if
          :: frames == 2 -> writeEnd(d, a + 1, 0, o, now)
          :: else -> writeEnd(d, a, frames, o, now)
          fi;
          goto publish
       :: else -> rest(); goto idle
       fi
     }
  :: atomic { breaks > 0 -> breaks--; rest(); goto idle }
  OR_DIES
  fi;

publish: /* publishEnding: the terminal is put, once its commit is durable */
  if
  :: atomic {
#ifndef PUBLISHED_BEFORE_DURABLE
       sync();
#endif
#ifdef FRAMES
       if
       :: s == 0 && first[AT(d, a)] != ABSENT && first[AT(d, a)] != TERMINAL + o -> goto reissue
       :: s == 1 && second[AT(d, a)] != ABSENT && second[AT(d, a)] != TERMINAL + o -> goto reissue
       :: else
       fi;
       if
       :: s == 0 -> first[AT(d, a)] = TERMINAL + o
       :: else -> second[AT(d, a)] = TERMINAL + o
       fi;
#endif
       printf("worker %d puts the terminal of request %d, attempt %d, outcome %d\n", _pid, d, a, o);
       seePublished(d, o)
     }
  :: atomic { foreign > 0 -> foreign--; sync(); goto reissue }
  :: atomic { rest(); goto idle } /* the put failed */
  OR_DIES
  fi;

#ifdef TERMINAL_BEFORE_FRAMES
  if
  :: atomic {
       if
       :: owed -> first[AT(d, a)] = SOME
       :: else
       fi;
       owed = 0
     }
  OR_DIES
  fi;
#endif

delete:
  if
  :: atomic { printf("worker %d deletes the request\n", _pid); seeDeleted(d) }
  :: atomic { rest(); goto idle }
  OR_DIES
  fi;

  if /* acknowledge: relaxed */
  :: atomic {
       if
       :: r[d].st == ENDED && r[d].attempt == a -> r[d].acked = 1
       :: else
       fi;
       rest();
       goto idle
     }
  OR_DIES
  fi;

reissue: /* the same outcome, signed again for the next attempt */
  if
  :: atomic {
       if
       :: r[d].st != ENDED -> rest(); goto idle
       :: r[d].st == ENDED && r[d].out == SILENCED -> goto delete
       :: else
       fi;
       o = r[d].out;
       if
       :: r[d].attempt > a -> a = r[d].attempt; s = r[d].seq
       :: else ->
          r[d].attempt++;
          within(r[d].attempt <= ATTEMPTS);
          r[d].seq = 0;
          r[d].acked = 0;
          a = r[d].attempt;
          s = 0
       fi;
       printf("worker %d signs the terminal of request %d again, attempt %d\n", _pid, d, a);
       goto publish
     }
  OR_DIES
  fi;

quarantine: /* keepSilenced: kept first, then deleted */
  if
  :: atomic { sync(); settled[d] = 1; rest(); goto idle }
  OR_DIES
  fi;

down:
  atomic { dead--; printf("worker %d starts anew\n", _pid); goto idle }

done: /* it lives on, and sees nothing to do */
  atomic {
    finished++;
    printf("worker %d has nothing left to do\n", _pid);
    if
    :: finished == WORKERS ->
       /* Nothing that was admitted is left open, or unpublished, while all are alive. */
       assert(!isOpen(0) && !isUnpublished(0));
#if REQUESTS > 1
       assert(!isOpen(1) && !isUnpublished(1))
#endif
    :: else
    fi
  }
}

#define loseOne(d) copyReceipt(r[d], dur[d])

#ifdef READER
#define ME (_pid - WORKERS - 1)
#define PLACE placeOf(ME)
#define isReadable(x) (first[AT(PLACE, x)] == SOME || first[AT(PLACE, x)] >= TERMINAL)
#define mayRead ((seq == 0 && isReadable(attempt)) || (seq == 1 && second[AT(PLACE, attempt)] >= TERMINAL) || \
  (attempt < 2 && isReadable(2)) || (attempt < 3 && isReadable(3)) || (attempt < 4 && isReadable(4)))
#endif

/* Time, collection by any process, and what befalls the machine when no worker lives. */
active proctype World() {
end:
  do
  :: atomic { now < LAST -> now++; printf("the clock says %d\n", now) }
  :: atomic { mayCollect(0) -> seeCollected(0); clearReceipt(r[0]); sync(); printf("request 0 is collected\n") }
#if REQUESTS > 1
  :: atomic { mayCollect(1) -> seeCollected(1); clearReceipt(r[1]); sync(); printf("request 1 is collected\n") }
#endif
#if POWER > 0
  :: atomic { power > 0 && dead == WORKERS -> power--; forEach(loseOne); printf("power is lost\n") }
#endif
#ifdef LOST
  :: atomic { !sent && now + SKEW > IAT && now < IAT + SKEW -> sent = 1; printf("the request is sent\n") }
  :: atomic { !backedUp && !recovered -> backedUp = 1; copyReceipt(backup[0], dur[0]); printf("the state is copied\n") }
  :: atomic {
       !recovered && dead == WORKERS -> recovered = 1; born = now;
       copyReceipt(r[0], backup[0]);
       if
       :: r[0].st != NONE -> r[0].old = 1
       :: else
       fi;
       if
       :: isOpen(0) -> r[0].worker = GONE
       :: else
       fi;
       copyReceipt(dur[0], r[0]);
       clearReceipt(backup[0]);
       printf("the state is lost, its copy is recovered\n")
     }
#endif
  od
}

#ifdef READER
/* The caller of one request. */
active [REQUESTS] proctype Reader() {
  byte attempt = 1;
  bit seq = 0;
  byte terminal = 0;

  do
  :: atomic { seq == 0 && first[AT(PLACE, attempt)] == SOME -> seq = 1 }
  :: atomic { seq == 0 && first[AT(PLACE, attempt)] >= TERMINAL -> terminal = first[AT(PLACE, attempt)]; break }
  :: atomic { seq == 1 && second[AT(PLACE, attempt)] >= TERMINAL -> terminal = second[AT(PLACE, attempt)]; break }
  :: atomic { attempt < 2 && isReadable(2) -> attempt = 2; seq = 0 }
  :: atomic { attempt < 3 && isReadable(3) -> attempt = 3; seq = 0 }
  :: atomic { attempt < 4 && isReadable(4) -> attempt = 4; seq = 0 }
  :: atomic { finished == WORKERS && !mayRead -> printf("the caller of request %d finds no terminal\n", ME); assert(published[PLACE] == 0); goto unknown }
  od;
  atomic { /* the transcript is stored, and then the frames are deleted */
    assert(terminal == TERMINAL + published[PLACE]);
#if REQUESTS > 1
    assert(content[PLACE] == ME || claimsNeverRan(published[PLACE])); /* it answers the bytes that were sent */
#endif
    terminal = 0;
    seq = 0;
    printf("the caller closes request %d at attempt %d\n", ME, attempt);
    do
    :: attempt > 0 -> first[AT(PLACE, attempt)] = ABSENT; second[AT(PLACE, attempt)] = ABSENT; attempt--
    :: else -> break
    od
  }
unknown:
}
#endif
