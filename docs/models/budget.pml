/* The life of money in Leeway: reserve -> intent in the journal -> dispatch -> settle once, with the window's
 * end and a crash at any point. Checked by docs/models/check.sh with spin.
 *
 * Two requests (WORKERS) want COST each of a limit that has room for one and a half. The journal and the
 * ledger survive a crash, the book does not: it is rebuilt from the ledger, and every intent without an outcome
 * becomes "unknown", charged at the reservation.
 *
 * -DSETTLE_TWICE, -DFORGET_UNKNOWN, -DDISPATCH_FIRST, -DCHECK_THEN_ADD: mutations that must be found.
 */
#define WORKERS 2
#define COST    2
#define LIMIT   3

byte posted;            /* the book, in memory */
byte pending;
byte window;            /* window that the book is in: 0, then 1 */

byte spent[2];          /* what the provider really billed, for each window */
byte ledger[2];         /* what the ledger says, for each window */
bool intent[WORKERS];   /* journal: durable */
byte intent_window[WORKERS];
byte rows[WORKERS];     /* rows of the ledger for each request: never more than one */
bool sent[WORKERS];     /* bytes went upstream */
bool down;              /* crashed and not recovered yet */
byte epoch;             /* counts processes: a request dies with its own */

inline charge(i, amount) {
    ledger[intent_window[i]] = ledger[intent_window[i]] + amount;
    rows[i] = rows[i] + 1;
    intent[i] = false
}

proctype request(byte i) {
    byte mine, born, actual;
    bool allowed;
    atomic { !down; born = epoch; mine = window };
#ifdef CHECK_THEN_ADD
    allowed = (posted + pending + COST <= LIMIT);
    atomic {
        if
        :: down || epoch != born -> goto gone
        :: else
        fi;
        if
        :: allowed -> pending = pending + COST; mine = window
        :: else -> goto refused
        fi
    };
#else
    atomic {                                       /* one step over all scopes */
        if
        :: down || epoch != born -> goto gone
        :: else
        fi;
        mine = window;
        if
        :: posted + pending + COST <= LIMIT -> pending = pending + COST
        :: else -> goto refused
        fi
    };
#endif
#ifdef DISPATCH_FIRST
    atomic {
        if
        :: down || epoch != born -> goto gone
        :: else -> sent[i] = true; spent[mine] = spent[mine] + COST
        fi
    };
#endif
    atomic {
        if
        :: down || epoch != born -> goto gone      /* killed before the intent: nothing was sent */
        :: else -> intent[i] = true; intent_window[i] = mine
        fi
    };
#ifndef DISPATCH_FIRST
    atomic {
        if
        :: down || epoch != born -> goto gone
        :: else -> sent[i] = true; spent[mine] = spent[mine] + COST
        fi
    };
#endif
    /* the answer, or nobody knows: then the reservation stays charged */
    if
    :: actual = COST
    :: actual = COST       /* unknown */
    fi;
    atomic {                                       /* outcome record: intent and row in one transaction */
        if
        :: down || epoch != born -> goto gone
        :: else
        fi;
        charge(i, actual);
#ifdef SETTLE_TWICE
        charge(i, actual);
#endif
        if
        :: mine == window -> pending = pending - COST; posted = posted + actual
        :: else                                    /* that window is over */
        fi
    };
refused:
gone:
    skip
}

proctype clock() {
    atomic { !down; window = 1; posted = 0; pending = 0 }
    /* and back: window_at() says 0 again, the book stays where it is */
}

proctype killer() {
    atomic { down = true; epoch = epoch + 1; posted = 0; pending = 0 };
    /* recovery, before the port opens */
    byte i = 0;
    do
    :: i < WORKERS ->
        atomic {
            if
#ifndef FORGET_UNKNOWN
            :: intent[i] && rows[i] == 0 -> charge(i, COST)
#else
            :: intent[i] && rows[i] == 0 -> intent[i] = false
#endif
            :: else
            fi;
            i = i + 1
        }
    :: else -> break
    od;
    atomic { posted = ledger[window]; pending = 0; down = false }
}

/* After the crash new requests come, with numbers of their own in the model's tables. */
init {
    atomic { run request(0); run request(1); run clock(); run killer() }
    (_nr_pr == 1);
    byte i = 0;
    do
    :: i < WORKERS ->
        assert(rows[i] <= 1);                       /* never double */
        assert(!sent[i] || rows[i] == 1);           /* never lost */
        assert(!intent[i]);                         /* nothing is left open */
        i = i + 1
    :: else -> break
    od;
    assert(ledger[0] == spent[0] || ledger[0] == spent[0] + COST || ledger[0] == spent[0] + 2 * COST);
    assert(ledger[0] >= spent[0] && ledger[1] >= spent[1])
}

/* Never more than the limit, neither in the book nor at the provider nor in the ledger. */
#define within (posted + pending <= LIMIT && spent[0] <= LIMIT && spent[1] <= LIMIT && ledger[0] <= LIMIT && ledger[1] <= LIMIT)
ltl never_over { [] within }
