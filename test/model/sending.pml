/*
 * One run as its caller sees it: signing once, sending until it is answered, closing and deleting (src/mailbox/send.ts,
 * follow.ts, put-exactly.ts; src/protocol/SPEC.md, Sending and Reading frames). CALLERS processes of one home ask the
 * same under one idempotency key; each would sign other bytes. The callee does what run.pml shows that it does.
 *
 * Modelled
 * - The outbox: the record is committed before anything is put. What is committed is seen at once, and durable once it
 *   was synced; the machine may lose the rest with its power (POWER times), when no process lives.
 * - A put is if-absent; it fails, or takes effect and loses its response (then it is tried again and says that it
 *   exists), or its response never comes and it takes effect late.
 * - Bytes of an earlier life of the caller lie under the name (OLD), so that the inbox is taken when it sends.
 * - The callee deletes by name: it may meet newer bytes than those that it answered. It may pause at any step.
 * - A process dies between any two steps (CRASHES times in all); a new one starts in its place.
 * - The caller's clock reaches `exp` at any time, or never.
 *
 * Abstracted
 * - The answer is one object. Cancels. More than one key: runs do not touch each other.
 */

#ifndef CALLERS
#define CALLERS 2
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef POWER
#define POWER 1
#endif
#ifndef LATE
#define LATE 1
#endif

/* Bytes: 1 to SIGNATURES are signed by the home, in this order; the last are older. */
#define NOTHING 0
#define SIGNATURES 4
#define OLD 5
#define BYTES 6

/* The caller's state, and what of it is on disk. */
byte record = NOTHING;
bit closed = 0;
bit durableClosed = 0;
byte signatures = 0;

/* The store. */
byte inbox = NOTHING;
bit frames[BYTES];
byte late = NOTHING; /* a put that is still on its way */

/* The callee's state. */
byte admitted = NOTHING;
bit ended[BYTES];
bit answered[BYTES]; /* acknowledged */

bit expired = 0;
byte crashes = CRASHES;
byte power = POWER;
byte lates = LATE;
byte dead = 0;

/* What is seen from outside. */
byte everPut = NOTHING;

/* A bound of the model itself: where it is too narrow, a search shows nothing. */
#define within(bound) \
  if \
  :: !(bound) -> assert(false) \
  :: else \
  fi

inline put(bytes) {
  assert(everPut == NOTHING || everPut == bytes); /* one envelope under a key */
  everPut = bytes;
  if
  :: inbox == NOTHING -> inbox = bytes
  :: else
  fi
}

#ifdef SENT_ONCE
#define mayPut (!closed && !expired && inbox != own && !once)
#else
#define mayPut (!closed && !expired && inbox != own)
#endif

#define OR_DIES :: atomic { crashes > 0 -> crashes--; own = NOTHING; dead++; printf("process %d dies\n", _pid); goto down }

active [CALLERS] proctype Caller() {
  byte own = NOTHING; /* the bytes in hand */
#ifdef SENT_ONCE
  bit once = 0;
#endif

enqueue: /* enqueue: what stands is followed, else it is signed */
  if
  :: atomic {
       if
       :: record != NOTHING -> own = record; goto follow
       :: else -> signatures++; within(signatures <= SIGNATURES); own = signatures
       fi
     }
  OR_DIES
  fi;
#ifdef SENT_BEFORE_COMMITTED
  if
  :: atomic { put(own); printf("process %d puts bytes %d, uncommitted\n", _pid, own) }
  OR_DIES
  fi;
#endif
  if /* openOutbox, durable: of several at once the first stands */
  :: atomic {
       if
       :: record == NOTHING -> record = own; printf("process %d commits bytes %d\n", _pid, own)
       :: else -> own = record
       fi
     }
  OR_DIES
  fi;

follow:
  if
  /* sendIfDue: as long as it has not expired and is not closed. Where it lies already, a put changes nothing. */
  :: atomic {
       mayPut ->
#ifdef OTHER_BYTES_TAKEN_AS_LOST
       if
       :: inbox != NOTHING -> goto stopped
       :: else
       fi;
#endif
       put(own);
       printf("process %d puts bytes %d: %d lie there\n", _pid, own, inbox);
#ifdef SENT_ONCE
       once = 1;
#endif
       goto follow
     }
  :: atomic { !closed && !expired && lates > 0 && late == NOTHING -> lates--; late = own; goto follow }
  :: atomic { frames[own] && !closed -> goto close }
  :: atomic { closed -> goto clean }
  OR_DIES
  :: timeout ->
     /* Nothing else happens any more. */
     printf("process %d has waited long enough\n", _pid);
     assert(expired && !answered[own]);
     goto stopped
  fi;

close: /* closeOutbox: the transcript and the closed record are one commit, relaxed */
  if
  :: atomic {
       closed = 1;
       printf("process %d closes the run\n", _pid)
     }
  OR_DIES
  fi;
clean: /* deleteFrames, once that is durable */
#ifndef FRAMES_DELETED_BEFORE_DURABLE
  if
  :: atomic { closed -> durableClosed = 1 }
  OR_DIES
  fi;
#endif
  if
  :: atomic { frames[own] = 0; printf("process %d deletes the frames\n", _pid) }
  OR_DIES
  fi;
#ifdef FRAMES_DELETED_BEFORE_DURABLE
  if
  :: atomic { closed -> durableClosed = 1 }
  OR_DIES
  fi;
#endif
  goto stopped;

down:
  atomic { dead--; goto enqueue };

stopped:
  assert(closed || expired) /* nobody gives up while an answer may come */
}

active proctype Callee() {
  byte read = NOTHING;
end:
  do
  :: atomic {
       inbox != NOTHING -> read = inbox;
       printf("the callee reads bytes %d\n", read)
     };
     atomic { /* admission, run and end: one of two under a name, the other one is in conflict */
       if
       :: admitted == NOTHING -> admitted = read
       :: else
       fi;
       ended[read] = 1
     };
     atomic { frames[read] = 1; printf("the callee answers bytes %d\n", read) };
     atomic { printf("the callee deletes the request: %d lie there\n", inbox); inbox = NOTHING };
     atomic { answered[read] = 1; read = NOTHING }
  od
}

active proctype World() {
  inbox = OLD;
end:
  do
  :: atomic { !expired -> expired = 1; printf("the request expires\n") }
  :: atomic { !expired -> goto endcalm } /* or it has time enough */
  :: atomic { power > 0 && dead == CALLERS -> power--; closed = durableClosed; printf("power is lost\n") }
  :: atomic { late != NOTHING -> put(late); late = NOTHING; printf("a late put arrives\n") }
  od;
endcalm:
  do
  :: atomic { power > 0 && dead == CALLERS -> power--; closed = durableClosed; printf("power is lost\n") }
  :: atomic { late != NOTHING -> put(late); late = NOTHING; printf("a late put arrives\n") }
  od
}
