-- One run in one file. SQLite keeps this text, and a run is recognized by it: a changed word is a new schema version.
-- Every table is STRICT; times are UTC in ISO 8601.

CREATE TABLE run (
    id                     INTEGER PRIMARY KEY CHECK (id = 1),
    kind                   TEXT NOT NULL CHECK (kind IN ('simulated', 'imported')),
    generation_fingerprint TEXT NOT NULL,
    settings               TEXT NOT NULL,  -- JSON: what the fingerprint is made of
    protocol               TEXT NOT NULL,  -- JSON: every word of it
    created_utc            TEXT NOT NULL
) STRICT;

-- Each time a command worked on this run.
CREATE TABLE attempt (
    id          INTEGER PRIMARY KEY,
    command     TEXT NOT NULL,
    versions    TEXT NOT NULL,  -- JSON
    host        TEXT NOT NULL,  -- JSON
    plan        TEXT,  -- JSON: what was to be in memory when, and how long it was expected to take
    started_utc TEXT NOT NULL,
    ended_utc   TEXT,
    outcome     TEXT CHECK (outcome IN ('finished', 'interrupted', 'error')),  -- NULL: running, or killed
    connections INTEGER NOT NULL DEFAULT 0  -- network connections that it tried to open
) STRICT;

CREATE TABLE model (
    role       TEXT NOT NULL CHECK (role IN ('seeker', 'supporter', 'scorer')),
    name       TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    size_bytes INTEGER,  -- NULL: no file of this machine, but an endpoint or Python code
    notice     TEXT,
    PRIMARY KEY (role, name, sha256)
) STRICT;

-- Each time a model was loaded into a child process, and when its memory was free again.
CREATE TABLE load (
    id         INTEGER PRIMARY KEY,
    attempt_id INTEGER NOT NULL REFERENCES attempt (id),
    name       TEXT NOT NULL,
    ready      TEXT NOT NULL,  -- JSON: device, context, template hash, build, seconds
    peak_bytes INTEGER NOT NULL,  -- the most memory its process had resident
    loaded_utc TEXT NOT NULL,
    left_utc   TEXT  -- NULL: still there, or its process died
) STRICT;

CREATE TABLE card (
    id          TEXT PRIMARY KEY,
    language    TEXT NOT NULL,
    text        TEXT NOT NULL,
    category    TEXT NOT NULL,
    subcategory TEXT,
    source      TEXT NOT NULL,
    crisis      TEXT,
    severity    TEXT  -- NULL: its author says nothing about it
) STRICT;

CREATE TABLE dialogue (
    id        INTEGER PRIMARY KEY,
    card_id   TEXT NOT NULL,  -- an imported dialogue has a card id but no card
    language  TEXT NOT NULL CHECK (language IN ('en', 'zh')),
    supporter TEXT NOT NULL,
    repeat    INTEGER NOT NULL CHECK (repeat >= 0),
    state     TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'speaking', 'complete', 'failed')),
    UNIQUE (card_id, supporter, repeat)
) STRICT;

CREATE TABLE dialogue_change (
    before TEXT NOT NULL,
    after  TEXT NOT NULL,
    PRIMARY KEY (before, after)
) STRICT;
INSERT INTO dialogue_change VALUES
    ('pending', 'speaking'),
    ('speaking', 'complete'),
    ('speaking', 'failed'),
    ('failed', 'speaking');

CREATE TRIGGER dialogue_change_is_allowed
BEFORE UPDATE OF state ON dialogue
WHEN OLD.state <> NEW.state
 AND NOT EXISTS (SELECT 1 FROM dialogue_change WHERE before = OLD.state AND after = NEW.state)
BEGIN
    SELECT RAISE(ABORT, 'a dialogue cannot change its state that way');
END;

CREATE TABLE turn (
    dialogue_id INTEGER NOT NULL REFERENCES dialogue (id),
    position    INTEGER NOT NULL CHECK (position >= 0),  -- 0 is the greeting
    speaker     TEXT NOT NULL CHECK (speaker IN ('seeker', 'supporter')),
    text        TEXT NOT NULL,
    reasoning   TEXT,  -- what the speaker thought aloud; neither the other nor the scorer sees it
    -- NULL where nothing was generated: the greeting and imported turns.
    finish      TEXT CHECK (finish IN ('stop', 'length')),
    seed        INTEGER,
    n_prompt    INTEGER,
    n_reused    INTEGER,
    n_generated INTEGER,
    busy_s      REAL,
    said_utc    TEXT NOT NULL,
    PRIMARY KEY (dialogue_id, position)
) STRICT, WITHOUT ROWID;

-- Each time a supporter that is no engine was asked for a turn: an endpoint or Python code.
CREATE TABLE request (
    id          INTEGER PRIMARY KEY,
    attempt_id  INTEGER NOT NULL REFERENCES attempt (id),
    dialogue_id INTEGER NOT NULL REFERENCES dialogue (id),
    position    INTEGER NOT NULL,  -- of the turn that it was asked for
    number      INTEGER NOT NULL CHECK (number >= 1),  -- 1 is the first try for this turn in this attempt
    waited_s    REAL NOT NULL,  -- before asking again
    elapsed_s   REAL NOT NULL,
    status      INTEGER,  -- of HTTP; NULL: none came, or none could
    model       TEXT,  -- as the endpoint names it
    error       TEXT,  -- NULL: answered
    asked_utc   TEXT NOT NULL
) STRICT;

CREATE TABLE judging (
    id          INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    scorer      TEXT NOT NULL,
    settings    TEXT NOT NULL,  -- JSON: what the fingerprint is made of
    created_utc TEXT NOT NULL,
    asked_utc   TEXT NOT NULL  -- when it was last worked on; the latest is the one that is shown
) STRICT;

CREATE TABLE reading (
    judging_id     INTEGER NOT NULL REFERENCES judging (id),
    dialogue_id    INTEGER NOT NULL REFERENCES dialogue (id),
    dimension      TEXT NOT NULL,
    reply          TEXT NOT NULL,
    label          INTEGER CHECK (label BETWEEN 0 AND 4),  -- NULL: the reply names no label
    p0 REAL, p1 REAL, p2 REAL, p3 REAL, p4 REAL,
    off_label_mass REAL,
    drafted        INTEGER NOT NULL CHECK (drafted IN (0, 1)),
    busy_s         REAL NOT NULL,
    read_utc       TEXT NOT NULL,
    CHECK ((label IS NULL) = (p0 IS NULL) AND (label IS NULL) = (off_label_mass IS NULL)),
    PRIMARY KEY (judging_id, dialogue_id, dimension)
) STRICT, WITHOUT ROWID;

-- What went wrong and was given up; `retried` once the user asked for another try.
CREATE TABLE failure (
    id          INTEGER PRIMARY KEY,
    attempt_id  INTEGER NOT NULL REFERENCES attempt (id),
    dialogue_id INTEGER NOT NULL REFERENCES dialogue (id),
    judging_id  INTEGER REFERENCES judging (id),  -- NULL: while the dialogue was spoken
    dimension   TEXT,
    position    INTEGER,
    error       TEXT NOT NULL,
    message     TEXT NOT NULL,
    retried     INTEGER NOT NULL DEFAULT 0 CHECK (retried IN (0, 1)),
    failed_utc  TEXT NOT NULL
) STRICT;

-- A scorer with a question flow about crisis dialogues.
CREATE TABLE asking (
    id          INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    scorer      TEXT NOT NULL,
    settings    TEXT NOT NULL,  -- JSON: as a judging's
    flow        TEXT NOT NULL,  -- JSON: every word of it
    created_utc TEXT NOT NULL,
    asked_utc   TEXT NOT NULL  -- when it was last worked on; the latest is the one that is shown
) STRICT;

CREATE TABLE flow_answer (
    asking_id      INTEGER NOT NULL REFERENCES asking (id),
    dialogue_id    INTEGER NOT NULL REFERENCES dialogue (id),
    step           TEXT NOT NULL,
    position       INTEGER NOT NULL,  -- of the last turn that the scorer read
    reply          TEXT,  -- NULL: there is none, and error says why
    label          INTEGER CHECK (label BETWEEN 0 AND 4),
    p0 REAL, p1 REAL, p2 REAL, p3 REAL, p4 REAL,
    off_label_mass REAL,
    error          TEXT,
    busy_s         REAL NOT NULL,
    read_utc       TEXT NOT NULL,
    CHECK ((reply IS NULL) = (error IS NOT NULL)),
    CHECK ((label IS NULL) = (p0 IS NULL) AND (label IS NULL) = (off_label_mass IS NULL)),
    PRIMARY KEY (asking_id, dialogue_id, step, position)
) STRICT, WITHOUT ROWID;

-- What people made of findings in crisis dialogues; of several about one finding the latest counts.
CREATE TABLE review (
    id           INTEGER PRIMARY KEY,
    finding      TEXT NOT NULL,
    verdict      TEXT NOT NULL CHECK (verdict IN ('confirmed', 'dismissed')),
    reviewer     TEXT NOT NULL,
    note         TEXT,
    reviewed_utc TEXT NOT NULL
) STRICT;
