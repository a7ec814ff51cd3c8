-- The queue on disk. Each section takes a database from the version before it to its own; a released
-- section never changes, a new one is added below it. daemon/queue/database.py runs them.

-- version 1
CREATE TABLE jobs (
  number       INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
  job_id       TEXT    NOT NULL UNIQUE,
  role         TEXT    NOT NULL,                   -- the kind of worker that runs it: engine, inspect
  spec         TEXT    NOT NULL,                   -- JSON, daemon.protocol.jobs.JobSpec
  key          TEXT    UNIQUE,                     -- the caller's idempotency key
  state        TEXT    NOT NULL,                   -- daemon.protocol.jobs.JobState
  priority     INTEGER NOT NULL,                   -- larger runs earlier
  position     REAL    NOT NULL,                   -- within a priority, smaller runs earlier
  submitted_at REAL    NOT NULL,                   -- seconds since the epoch, as all times here
  submitted_by TEXT    NOT NULL,
  attempt      INTEGER NOT NULL DEFAULT 0,         -- the fence: every claim makes it one larger
  crashes      INTEGER NOT NULL DEFAULT 0,         -- workers it lost since it was submitted or retried
  started_at   REAL,
  finished_at  REAL,
  lease_until  REAL,
  progress     TEXT,                               -- JSON, coarse; the newest lives in memory
  error        TEXT,                               -- JSON, daemon.protocol.errors.ErrorInfo
  result       TEXT,                               -- JSON, of faces and probe jobs
  seq          INTEGER NOT NULL DEFAULT 0          -- number of the job's latest event
) STRICT;

-- One index for each question the scheduler asks: a claim must not sort the whole queue.
CREATE INDEX jobs_ready ON jobs (role, priority DESC, position, number) WHERE state = 'queued';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_by_state ON jobs (state, number);

CREATE TABLE job_log (
  job_id   TEXT    NOT NULL REFERENCES jobs (job_id),
  seq      INTEGER NOT NULL,
  at       REAL    NOT NULL,
  sentence TEXT    NOT NULL,
  PRIMARY KEY (job_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE takes (
  take_id TEXT    NOT NULL PRIMARY KEY,
  job_id  TEXT    NOT NULL REFERENCES jobs (job_id),
  number  INTEGER NOT NULL,
  body    TEXT    NOT NULL                         -- JSON, daemon.protocol.jobs.Take, with its verdict
) STRICT;

CREATE INDEX takes_of_job ON takes (job_id, number);

-- version 2
-- What each stage of past jobs cost on this machine; daemon/queue/eta.py learns from it.
CREATE TABLE stage_timings (
  number     INTEGER PRIMARY KEY AUTOINCREMENT,
  engine     TEXT    NOT NULL,
  stage      TEXT    NOT NULL,
  frames     INTEGER NOT NULL,
  megapixels REAL    NOT NULL,                     -- of one source frame; 0: not known
  seconds    REAL    NOT NULL
) STRICT;

CREATE INDEX stage_timings_recent ON stage_timings (engine, stage, number);

-- version 3
-- Jobs of the night, deadlines, and jobs that give way to others on this machine.
ALTER TABLE jobs ADD COLUMN tonight INTEGER NOT NULL DEFAULT 0;   -- waits for the windows of the schedule
ALTER TABLE jobs ADD COLUMN deadline REAL;                        -- seconds since the epoch; NULL: none
ALTER TABLE jobs ADD COLUMN due REAL NOT NULL DEFAULT 1e18;       -- the order within a priority: the deadline,
                                                                  -- or that of the job it was placed before
ALTER TABLE jobs ADD COLUMN uses_gpu INTEGER NOT NULL DEFAULT 0;

DROP INDEX jobs_ready;
CREATE INDEX jobs_ready ON jobs (role, priority DESC, due, position, number) WHERE state = 'queued';
CREATE INDEX jobs_tonight ON jobs (state) WHERE tonight = 1;

-- When a worker had a job in its hands; the night's report counts the hours.
CREATE TABLE runs (
  number   INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id   TEXT    NOT NULL REFERENCES jobs (job_id),
  began_at REAL    NOT NULL,
  ended_at REAL    NOT NULL
) STRICT;

CREATE INDEX runs_by_end ON runs (ended_at);

-- version 4
-- Whose job it is: the public key of a paired machine, or nothing for this home's own.
ALTER TABLE jobs ADD COLUMN client TEXT NOT NULL DEFAULT '';
