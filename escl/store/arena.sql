-- What one judge said about pairs of dialogues, in one file. SQLite keeps this text, and an arena is recognized by it: a
-- changed word is a new version. Every table is STRICT; times are UTC in ISO 8601.

CREATE TABLE arena (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    fingerprint TEXT NOT NULL,
    settings    TEXT NOT NULL,  -- JSON: what the fingerprint is made of
    rubric      TEXT NOT NULL,  -- JSON: every word of it
    notice      TEXT,  -- what must be said wherever this judge's verdicts are shown
    created_utc TEXT NOT NULL
) STRICT;

-- Each time a command worked on this arena.
CREATE TABLE attempt (
    id          INTEGER PRIMARY KEY,
    command     TEXT NOT NULL,
    versions    TEXT NOT NULL,  -- JSON
    host        TEXT NOT NULL,  -- JSON
    plan        TEXT,  -- JSON: how the judge was to be loaded; NULL when nothing was left to compare
    started_utc TEXT NOT NULL,
    ended_utc   TEXT,
    outcome     TEXT CHECK (outcome IN ('finished', 'interrupted', 'error'))  -- NULL: running, or killed
) STRICT;

-- One reading: two dialogues in this order, each named by the sha256 of its transcript as the judge read it.
CREATE TABLE comparison (
    language       TEXT NOT NULL CHECK (language IN ('en', 'zh')),
    dimension      TEXT NOT NULL,
    first_sha256   TEXT NOT NULL,
    second_sha256  TEXT NOT NULL,
    reply          TEXT NOT NULL,
    label          INTEGER CHECK (label BETWEEN 0 AND 4),  -- NULL: the reply names none
    p0             REAL,
    p1             REAL,
    p2             REAL,
    p3             REAL,
    p4             REAL,
    off_label_mass REAL,
    busy_s         REAL NOT NULL,
    attempt_id     INTEGER NOT NULL REFERENCES attempt (id),
    read_utc       TEXT NOT NULL,
    PRIMARY KEY (language, dimension, first_sha256, second_sha256),
    CHECK ((label IS NULL) = (p0 IS NULL))
) STRICT;

-- What the judge could not read at all.
CREATE TABLE failure (
    id            INTEGER PRIMARY KEY,
    language      TEXT NOT NULL,
    dimension     TEXT NOT NULL,
    first_sha256  TEXT NOT NULL,
    second_sha256 TEXT NOT NULL,
    error         TEXT NOT NULL,
    message       TEXT NOT NULL,
    attempt_id    INTEGER NOT NULL REFERENCES attempt (id),
    failed_utc    TEXT NOT NULL,
    retried       INTEGER NOT NULL DEFAULT 0 CHECK (retried IN (0, 1))
) STRICT;

CREATE TRIGGER comparison_is_final BEFORE UPDATE ON comparison
BEGIN SELECT RAISE(ABORT, 'a comparison is never changed'); END;
