/*
 * Which state serves a gateway's name (src/mailbox/owner.ts; src/protocol/SPEC.md, Owner): an original home with
 * ORIGINAL processes, and one copy of it, that is made at any moment and used meanwhile on another machine.
 *
 * Modelled
 * - Claims under consecutive generations, put if absent; every read, put and transaction of `ensureOwner` is an atomic
 *   block of its own, and other processes come between any two. A put may fail, or take effect and lose its response.
 * - A process dies between any two steps (CRASHES times in all); a new one starts in its place.
 * - The copy is a copied, restored or lost home that was recovered (`postern state recover`: no nonces, born now and
 *   once more at its first claim), or, with CLONE, a snapshot of the whole machine, which cannot tell that it is one.
 * - The clock counts in halves of what a look is good for (LOOK of them); a claim is renewed after CLAIM.
 * - Somebody may put JUNK claims that do not verify.
 *
 * Abstracted
 * - What a state does with its right: `act` stands for every transaction that makes a receipt, takes over, starts or
 *   ends. The store does not hide claims. Past claims are not deleted.
 */

#ifndef ORIGINAL
#define ORIGINAL 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef JUNK
#define JUNK 0
#endif
#ifndef LAST
#define LAST 5
#endif
#ifndef GENERATIONS
#define GENERATIONS 5
#endif
#define LOOK 2
#define CLAIM 3
#define NEVER 255

typedef Home {
  bit exists;
  byte look; /* begun */
  byte generation;
  byte claimed; /* at */
  bit elsewhere;
  bit recovering;
  byte born
};
Home home[2];

/*
 * The claim of each generation: absent, junk, or stated by somebody; and whether its nonce is in the state of home 0
 * (KNOWN) and of home 1 (2 * KNOWN).
 */
#define ABSENT 0
#define PUT 1
#define KNOWN 2
#define BAD 8
byte claim[GENERATIONS];
byte issued[GENERATIONS];

byte now = 0;
byte crashes = CRASHES;
byte junk = JUNK;

/* What is seen from outside. */
byte young[GENERATIONS]; /* so long a look may still miss it */
bit by[GENERATIONS];
byte adopted = 0;      /* the generation that the copy took as past */
byte overlap = NEVER; /* so long after the first act of the copy may the original act */

/* A bound of the model itself: where it is too narrow, a search shows nothing. */
#define within(bound) \
  if \
  :: !(bound) -> assert(false) \
  :: else \
  fi

#define mine home[h]
#define bitOf(h) (KNOWN << (h))
#define isForeign(g) (claim[g] != ABSENT && claim[g] != BAD && !(claim[g] & bitOf(h)))
#ifdef ACTING_WITHOUT_A_CLAIM
#define hasClaim true
#define isDue(at, when) false
#else
#define hasClaim (mine.claimed != NEVER)
#define isDue(at, when) (at == NEVER || when >= at + CLAIM)
#endif

#ifdef LOOK_NEVER_TOO_OLD
#define isFresh (mine.look != NEVER)
#else
#define isFresh (mine.look != NEVER && now < mine.look + LOOK)
#endif
/* requireOwner */
#ifdef NO_OWNER_GENERATION
#define mayAct true
#else
#define mayAct (!mine.elsewhere && isFresh && hasClaim)
#endif

/* State.noteOwner: `lookedAt` in src/state/rules.ts. */
inline note(asBegun, asHighest, asClaimed, isElsewhere) {
  if
  :: born == mine.born && !mine.elsewhere ->
     if
     :: mine.look == NEVER || asBegun > mine.look -> mine.look = asBegun
     :: else
     fi;
#ifndef CLONE
     if
     :: h == 1 && mine.claimed == NEVER && asClaimed != NEVER && asHighest >= mine.generation -> mine.born = now
     :: else
     fi;
#endif
     if
     :: asHighest > mine.generation -> mine.generation = asHighest; mine.claimed = asClaimed
     :: asHighest == mine.generation && asClaimed != NEVER && (mine.claimed == NEVER || asClaimed > mine.claimed) ->
        mine.claimed = asClaimed
     :: else
     fi;
     mine.recovering = 0;
     if
     :: isElsewhere ->
        printf("home %d: another state serves the name\n", h);
        mine.elsewhere = 1;
        mine.look = NEVER;
        mine.claimed = NEVER;
        mine.generation = 0;
        /* Only when one has claimed it; and never of both. */
        t = 1;
        do
        :: t < GENERATIONS && !(claim[t] != ABSENT && claim[t] != BAD && by[t] != h) -> t++
        :: else -> break
        od;
        assert(t < GENERATIONS);
        t = 0;
        assert(!home[1 - h].elsewhere)
     :: else
     fi
  :: else
  fi
}

/* A transaction that needs the right: no other state has claimed the name, but for what a look may miss. */
inline seeAct() {
  t = (h == 1 -> adopted + 1 : 1);
  do
  :: t < GENERATIONS ->
     assert(!isForeign(t) || by[t] == h || young[t] > 0);
     t++
  :: else -> break
  od;
  t = 0;
#ifndef CLONE
  if
  :: h == 1 && overlap == NEVER -> overlap = LOOK
  :: else
  fi;
  assert(h == 1 || overlap > 0)
#endif
}

inline forget() { begun = 0; born = 0; g = 0; early = 0; e = 0 }

#define OR_DIES :: atomic { crashes > 0 -> crashes--; forget(); printf("a process of home %d dies\n", h); goto ensure }

active [ORIGINAL + 1] proctype Process() {
  bit h = (_pid < ORIGINAL -> 0 : 1);
  byte begun = 0;
  byte born = 0; /* mine.born, as it was then */
  byte g = 0;    /* the highest generation found, or the one to claim */
  bit e = 0;     /* it was found that another state has claimed */
  bit early = 0; /* the nonce of our claim is older than the copy */
  byte t = 0;

ensure: /* ensureOwner */
  if
  :: atomic {
       mine.exists && now < LAST -> begun = now; born = mine.born;
#ifdef NO_OWNER_GENERATION
       goto act;
#endif
       if
       :: mine.elsewhere -> forget(); goto stopped
       :: !mine.elsewhere && mine.recovering -> goto adopt
       :: !mine.elsewhere && !mine.recovering && mine.look != NEVER && now < mine.look + LOOK / 2 &&
          !isDue(mine.claimed, now) -> goto act
       :: else -> g = mine.generation; goto look
       fi
     }
  :: atomic { now == LAST -> goto stopped }
  fi;

look: /* nextClaims: all that stands at the moment when the last read finds nothing */
  if
  :: atomic {
       t = g;
       do
       :: t + 1 < GENERATIONS && claim[t + 1] != ABSENT ->
          t++;
          if
          :: claim[t] != BAD -> g = t
          :: else
          fi;
          if
          :: isForeign(t) -> e = 1
          :: else
          fi
       :: else -> break
       od;
       t = 0
     }
  OR_DIES
  fi;
  if
  :: atomic {
#ifdef LOOK_DATED_AT_ITS_END
       begun = now;
#endif
       note(begun, g, (g == 0 || isForeign(g) -> NEVER : issued[g]), e);
       e = 0;
       g = mine.generation;
       if
       :: mine.elsewhere -> forget(); goto stopped
       :: !mine.elsewhere && isDue(mine.claimed, begun) -> goto claiming
       :: else -> goto act
       fi
     }
  OR_DIES
  fi;

adopt: /* adoptOwner: whatever stands after a recovery is past */
  if
  :: atomic {
       g = mine.generation;
       t = g;
       do
       :: t + 1 < GENERATIONS && claim[t + 1] != ABSENT ->
          t++;
          if
          :: claim[t] != BAD -> g = t
          :: else
          fi
       :: else -> break
       od;
       t = 0;
       printf("home %d takes generation %d as past\n", h, g)
     }
  OR_DIES
  fi;
  if
  :: atomic {
       note(begun, g, NEVER, 0);
       if
       :: g > adopted -> adopted = g
       :: else
       fi;
#ifdef ACTING_WITHOUT_A_CLAIM
       goto act
#endif
     }
  OR_DIES
  fi;

claiming: /* claimOwner: the nonce is committed first */
  if
  :: atomic { early = !home[1].exists; g++ }
  OR_DIES
  fi;

put:
  if
  :: atomic {
       within(g < GENERATIONS);
       if
       :: claim[g] == ABSENT ->
#ifdef OWNER_NONCE_AFTER_PUT
          claim[g] = PUT;
#else
          claim[g] = PUT + bitOf(h);
#if defined(CLONE) || defined(RECOVERED_WITH_OLD_NONCES)
          if
          :: early && home[1].exists -> claim[g] = PUT + KNOWN + 2 * KNOWN
          :: else
          fi;
#endif
#endif
          issued[g] = begun;
          young[g] = LOOK;
          by[g] = h;
          printf("home %d claims generation %d\n", h, g);
          if
          :: goto claimed
          :: goto put /* its response was lost: the next try says that it exists */
          fi
       :: claim[g] == BAD -> g++; goto put
       :: else ->
#ifdef EXISTS_TAKEN_AS_LOST
          note(begun, g, NEVER, 1);
          forget();
          goto stopped
#else
#ifdef OWNER_NONCE_AFTER_PUT
          if
          :: claim[g] == PUT && by[g] == h && issued[g] == begun -> goto claimed
          :: else
          fi;
#endif
          if
          :: isForeign(g) -> note(begun, g, NEVER, 1); forget(); goto stopped
          :: else -> note(begun, g, issued[g], 0); goto act
          fi
#endif
       fi
     }
  :: atomic { forget(); goto ensure } /* it failed */
  OR_DIES
  fi;

claimed:
  if
  :: atomic {
#ifdef OWNER_NONCE_AFTER_PUT
       claim[g] = claim[g] | bitOf(h);
#endif
       note(begun, g, begun, 0)
     }
  OR_DIES
  fi;

act: /* within a transaction */
  if
  :: atomic {
       if
       :: mayAct -> printf("home %d acts\n", h); seeAct()
       :: else
       fi;
       forget();
       goto ensure
     }
  OR_DIES
  fi;

stopped:
  skip
}

/* What the state knew is known to its copy. */
inline copyNonces() {
  for (x : 1 .. GENERATIONS - 1) {
    if
    :: claim[x] != BAD && (claim[x] & KNOWN) -> claim[x] = claim[x] | 2 * KNOWN
    :: else
    fi
  }
  x = 0
}

inline age() {
  for (x : 1 .. GENERATIONS - 1) {
    if
    :: young[x] > 0 -> young[x]--
    :: else
    fi
  }
  x = 0
}

active proctype World() {
  byte x = 0;

  atomic { home[0].exists = 1; home[0].look = NEVER; home[0].claimed = NEVER; home[1].look = NEVER; home[1].claimed = NEVER };
end:
  do
  :: atomic {
       now < LAST -> now++;
       age();
       if
       :: overlap != NEVER && overlap > 0 -> overlap--
       :: else
       fi;
       printf("the clock says %d\n", now)
     }
  :: atomic {
       home[0].exists && !home[1].exists -> home[1].exists = 1;
       home[1].generation = home[0].generation;
#ifdef CLONE
       home[1].look = home[0].look;
       home[1].claimed = home[0].claimed;
       home[1].elsewhere = home[0].elsewhere;
       printf("the machine is copied\n");
#else
       home[1].recovering = 1;
       home[1].born = now;
       printf("the home is copied and recovered\n");
#endif
#if defined(CLONE) || defined(RECOVERED_WITH_OLD_NONCES)
       copyNonces()
#else
       skip
#endif
     }
#if JUNK > 0
  :: atomic {
       junk > 0 -> junk--;
       x = 1;
       do
       :: x < GENERATIONS - 1 && claim[x] != ABSENT -> x++
       :: else -> break
       od;
       if
       :: claim[x] == ABSENT -> claim[x] = BAD
       :: else
       fi;
       x = 0;
       printf("somebody puts a claim that does not verify\n")
     }
#endif
  od
}
