extension JournalSchema {
  /// Topics that are rekeyed: their cuts, and the round that was begun last. Vectors of offsets are packed
  /// by `OffsetVector`.
  static let version2 = """
    CREATE TABLE rekey_topic (
      id INTEGER PRIMARY KEY,
      topic TEXT NOT NULL UNIQUE CHECK (topic <> ''),
      intent_direction TEXT CHECK (intent_direction IN ('forward', 'reverse')),
      intent_end BLOB,
      validated INTEGER CHECK (validated >= 0),
      CHECK ((intent_direction IS NULL) = (intent_end IS NULL))
    ) STRICT;

    CREATE TABLE rekey_cut (
      topic INTEGER NOT NULL REFERENCES rekey_topic (id),
      number INTEGER NOT NULL CHECK (number >= 0),
      kind TEXT NOT NULL CHECK (kind IN ('forward', 'reverse', 'base')),
      source BLOB NOT NULL,
      target BLOB NOT NULL,
      records INTEGER NOT NULL CHECK (records >= 0),
      PRIMARY KEY (topic, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TRIGGER rekey_cut_fixed BEFORE UPDATE ON rekey_cut
    BEGIN SELECT raise(ABORT, 'cuts are never changed'); END;
    CREATE TRIGGER rekey_cut_follows BEFORE INSERT ON rekey_cut
    WHEN NEW.number IS NOT
      (SELECT coalesce(max(number), -1) + 1 FROM rekey_cut WHERE topic = NEW.topic)
    BEGIN SELECT raise(ABORT, 'cuts are numbered without a gap'); END;
    """
}
