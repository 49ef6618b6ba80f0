extension JournalSchema {
  /// Times are milliseconds since 1970 UTC, hashes 32 bytes, digests 16 (high half first, big-endian).
  static let version1 = """
    CREATE TABLE journal (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      migration TEXT NOT NULL CHECK (migration <> ''),
      created INTEGER NOT NULL,
      head_sequence INTEGER NOT NULL CHECK (head_sequence >= 0),
      head_hash BLOB NOT NULL CHECK (length(head_hash) = 32)
    ) STRICT;

    CREATE TABLE event (
      sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
      time INTEGER NOT NULL,
      stage TEXT,
      kind TEXT NOT NULL CHECK (kind <> ''),
      payload TEXT NOT NULL CHECK (json_valid(payload)),
      hash BLOB NOT NULL CHECK (length(hash) = 32)
    ) STRICT;

    CREATE TABLE effect (
      number INTEGER PRIMARY KEY,
      id TEXT NOT NULL CHECK (id <> ''),
      stage TEXT,
      kind TEXT NOT NULL CHECK (kind <> ''),
      payload TEXT NOT NULL CHECK (json_valid(payload)),
      began INTEGER NOT NULL REFERENCES event (sequence),
      ended INTEGER REFERENCES event (sequence) CHECK (ended >= began)
    ) STRICT;
    CREATE UNIQUE INDEX pending_effect ON effect (id) WHERE ended IS NULL;

    CREATE TABLE command (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      time INTEGER NOT NULL,
      kind TEXT NOT NULL CHECK (kind <> ''),
      stage TEXT,
      arguments TEXT NOT NULL CHECK (json_valid(arguments)),
      user TEXT NOT NULL,
      host TEXT NOT NULL,
      reason TEXT,
      answered INTEGER REFERENCES event (sequence),
      accepted INTEGER CHECK (accepted IN (0, 1)),
      message TEXT,
      CHECK ((answered IS NULL) = (accepted IS NULL) AND (answered IS NULL) = (message IS NULL))
    ) STRICT;
    CREATE INDEX open_command ON command (id) WHERE answered IS NULL;

    CREATE TABLE lease (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      token INTEGER NOT NULL CHECK (token >= 0),
      active INTEGER NOT NULL CHECK (active IN (0, 1)),
      host TEXT NOT NULL,
      user TEXT NOT NULL,
      process INTEGER NOT NULL,
      since INTEGER NOT NULL,
      expires INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE status (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      json TEXT NOT NULL CHECK (json_valid(json)),
      time INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE fact (
      key TEXT PRIMARY KEY NOT NULL CHECK (key <> ''),
      value TEXT NOT NULL
    ) STRICT;

    CREATE TABLE partition (
      id INTEGER PRIMARY KEY,
      source_topic TEXT NOT NULL CHECK (source_topic <> ''),
      source_partition INTEGER NOT NULL CHECK (source_partition >= 0),
      target_topic TEXT NOT NULL CHECK (target_topic <> ''),
      target_partition INTEGER NOT NULL CHECK (target_partition >= 0),
      forward_position INTEGER CHECK (forward_position >= 0),
      reverse_position INTEGER CHECK (reverse_position >= 0),
      last_digest BLOB CHECK (length(last_digest) = 16),
      UNIQUE (source_topic, source_partition),
      UNIQUE (target_topic, target_partition)
    ) STRICT;

    CREATE TABLE map_block (
      id INTEGER PRIMARY KEY,
      partition INTEGER NOT NULL REFERENCES partition (id),
      number INTEGER NOT NULL CHECK (number >= 0),
      source_start INTEGER NOT NULL CHECK (source_start >= 0),
      target_start INTEGER NOT NULL CHECK (target_start >= 0),
      source_end INTEGER NOT NULL CHECK (source_end > source_start),
      target_end INTEGER NOT NULL CHECK (target_end > target_start),
      data BLOB NOT NULL,
      UNIQUE (partition, number)
    ) STRICT;

    CREATE TABLE validated (
      partition INTEGER NOT NULL REFERENCES partition (id),
      source_start INTEGER NOT NULL CHECK (source_start >= 0),
      source_end INTEGER NOT NULL CHECK (source_end > source_start),
      records INTEGER NOT NULL CHECK (records >= 0),
      digest BLOB NOT NULL CHECK (length(digest) = 16),
      time INTEGER NOT NULL,
      PRIMARY KEY (partition, source_start, source_end)
    ) STRICT, WITHOUT ROWID;
    """ + triggers

  private static let triggers = """

    CREATE TRIGGER event_follows BEFORE INSERT ON event
    WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM event)
    BEGIN SELECT raise(ABORT, 'events are numbered without a gap'); END;
    CREATE TRIGGER event_fixed BEFORE UPDATE ON event
    BEGIN SELECT raise(ABORT, 'events are never changed'); END;
    CREATE TRIGGER event_kept BEFORE DELETE ON event
    BEGIN SELECT raise(ABORT, 'events are never deleted'); END;

    CREATE TRIGGER journal_kept BEFORE DELETE ON journal
    BEGIN SELECT raise(ABORT, 'a journal keeps its name'); END;
    CREATE TRIGGER journal_fixed BEFORE UPDATE OF id, migration, created ON journal
    BEGIN SELECT raise(ABORT, 'a journal keeps its name'); END;
    CREATE TRIGGER head_is_event BEFORE UPDATE OF head_sequence, head_hash ON journal
    WHEN NEW.head_sequence <= OLD.head_sequence OR NOT EXISTS (
      SELECT 1 FROM event WHERE sequence = NEW.head_sequence AND hash = NEW.head_hash)
    BEGIN SELECT raise(ABORT, 'the head is the last event'); END;

    CREATE TRIGGER effect_kept BEFORE DELETE ON effect
    BEGIN SELECT raise(ABORT, 'effects are never deleted'); END;
    CREATE TRIGGER effect_ends_once BEFORE UPDATE ON effect
    WHEN OLD.ended IS NOT NULL OR NEW.ended IS NULL OR NEW.id IS NOT OLD.id
      OR NEW.stage IS NOT OLD.stage OR NEW.kind IS NOT OLD.kind
      OR NEW.payload IS NOT OLD.payload OR NEW.began IS NOT OLD.began
    BEGIN SELECT raise(ABORT, 'an effect only ends, once'); END;

    CREATE TRIGGER command_kept BEFORE DELETE ON command
    BEGIN SELECT raise(ABORT, 'commands are never deleted'); END;
    CREATE TRIGGER command_fixed BEFORE UPDATE OF
      id, time, kind, stage, arguments, user, host, reason ON command
    BEGIN SELECT raise(ABORT, 'commands are never changed'); END;
    CREATE TRIGGER command_answered_once BEFORE UPDATE ON command WHEN OLD.answered IS NOT NULL
    BEGIN SELECT raise(ABORT, 'a command is answered once'); END;

    CREATE TRIGGER lease_kept BEFORE DELETE ON lease
    BEGIN SELECT raise(ABORT, 'the lease row stays'); END;
    CREATE TRIGGER lease_ascends BEFORE UPDATE OF token ON lease
    WHEN NEW.token NOT IN (OLD.token, OLD.token + 1)
    BEGIN SELECT raise(ABORT, 'lease tokens ascend by one'); END;

    CREATE TRIGGER fact_fixed BEFORE UPDATE ON fact
    BEGIN SELECT raise(ABORT, 'facts are never changed'); END;
    CREATE TRIGGER fact_kept BEFORE DELETE ON fact
    BEGIN SELECT raise(ABORT, 'facts are never deleted'); END;

    CREATE TRIGGER partition_pinned BEFORE UPDATE OF
      id, source_topic, source_partition, target_topic, target_partition ON partition
    BEGIN SELECT raise(ABORT, 'partitions stay pinned'); END;
    CREATE TRIGGER partition_kept BEFORE DELETE ON partition
    BEGIN SELECT raise(ABORT, 'partitions stay pinned'); END;
    """
}
