"""The tables. Times are Unix seconds, digests and keys 32 bytes, numbers our own.

Two tables are clustered by computed row numbers, so that an append touches one B-tree only:
`events` by conversation << 32 | n, and `stamps` by window << 24 | seq.
"""

from __future__ import annotations

VERSION = 1
EVENT_BITS = 32
SEQ_BITS = 24

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

-- the log: an entry gets its index in the transaction of the change it records;
-- tiles are made from here afterwards
CREATE TABLE log_entries (
  idx INTEGER PRIMARY KEY, entry BLOB NOT NULL, statement BLOB NOT NULL, kind TEXT NOT NULL,
  time INTEGER NOT NULL
) STRICT;
CREATE INDEX log_by_entry ON log_entries (entry);
CREATE TABLE log_rows (
  origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE charters (
  version INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, statement BLOB NOT NULL,
  log_index INTEGER NOT NULL, active_from INTEGER NOT NULL
) STRICT;
CREATE TABLE keysets (
  charter BLOB NOT NULL, quarter INTEGER NOT NULL, digest BLOB NOT NULL UNIQUE,
  statement BLOB NOT NULL, log_index INTEGER NOT NULL, PRIMARY KEY (charter, quarter)
) STRICT;
CREATE TABLE holder_keys (
  charter BLOB NOT NULL, quarter INTEGER NOT NULL, position INTEGER NOT NULL,
  statement BLOB NOT NULL, PRIMARY KEY (charter, quarter, position)
) STRICT;
CREATE TABLE revocations (
  issuer BLOB PRIMARY KEY, since INTEGER NOT NULL, statement BLOB NOT NULL,
  log_index INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
  id BLOB PRIMARY KEY, handle TEXT NOT NULL UNIQUE, display TEXT NOT NULL,
  statements INTEGER NOT NULL, head BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE chain (
  account BLOB NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, statement BLOB NOT NULL,
  possession BLOB, log_index INTEGER NOT NULL, PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE devices (
  device BLOB PRIMARY KEY, account BLOB NOT NULL, revoked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE directory_roots (
  log_index INTEGER PRIMARY KEY, root BLOB NOT NULL, record BLOB NOT NULL
) STRICT;

CREATE TABLE key_packages (
  no INTEGER PRIMARY KEY, device BLOB NOT NULL, ref BLOB NOT NULL UNIQUE, package BLOB NOT NULL,
  last_resort INTEGER NOT NULL, claimed INTEGER NOT NULL
) STRICT;
CREATE INDEX key_packages_free ON key_packages (device, last_resort, no) WHERE claimed = 0;

CREATE TABLE conversations (
  no INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, last_n INTEGER NOT NULL,
  epoch INTEGER NOT NULL, roster_epoch INTEGER NOT NULL, roster_digest BLOB NOT NULL,
  charter BLOB NOT NULL, quarter INTEGER NOT NULL, keyset BLOB NOT NULL,
  version INTEGER NOT NULL
) STRICT;
CREATE TABLE groups (conversation INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT;
CREATE TABLE members (
  conversation INTEGER NOT NULL, device BLOB NOT NULL, first_n INTEGER NOT NULL, last_n INTEGER,
  PRIMARY KEY (conversation, device, first_n)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_device ON members (device, conversation);
CREATE TABLE events (
  id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, time INTEGER NOT NULL, data BLOB NOT NULL
) STRICT;
CREATE TABLE welcomes (
  no INTEGER PRIMARY KEY, conversation BLOB NOT NULL, welcome BLOB NOT NULL, tree BLOB NOT NULL,
  commit_n INTEGER NOT NULL
) STRICT;
CREATE TABLE inbox (
  device BLOB NOT NULL, n INTEGER NOT NULL, welcome INTEGER NOT NULL, PRIMARY KEY (device, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE windows (
  no INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, conversation INTEGER NOT NULL,
  account BLOB NOT NULL, device BLOB NOT NULL, charter BLOB NOT NULL, keyset BLOB NOT NULL,
  roster_epoch INTEGER NOT NULL, roster_digest BLOB NOT NULL, opens INTEGER NOT NULL,
  closes INTEGER NOT NULL, serial INTEGER NOT NULL, seal_digest BLOB NOT NULL,
  next_seq INTEGER NOT NULL
) STRICT;
CREATE INDEX windows_by_device ON windows (conversation, device, serial);
CREATE INDEX windows_by_period ON windows (opens, id);
CREATE TABLE seals (
  window INTEGER PRIMARY KEY, label BLOB NOT NULL, roster BLOB NOT NULL,
  counterseal BLOB NOT NULL
) STRICT;
CREATE TABLE stamps (
  id INTEGER PRIMARY KEY, event INTEGER NOT NULL, digest BLOB NOT NULL, time INTEGER NOT NULL
) STRICT;

CREATE TABLE periods (
  opens INTEGER PRIMARY KEY, record BLOB NOT NULL, log_index INTEGER NOT NULL
) STRICT;

CREATE TABLE blobs (
  digest BLOB PRIMARY KEY, size INTEGER NOT NULL, uploader BLOB NOT NULL, begun INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_queue (
  no INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, statement BLOB NOT NULL, leaf INTEGER
) STRICT;
CREATE INDEX ledger_waiting ON ledger_queue (no) WHERE leaf IS NULL;
CREATE INDEX ledger_placed ON ledger_queue (leaf) WHERE leaf IS NOT NULL;
CREATE TABLE ledger_leaves (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT;
CREATE TABLE ledger_ticks (
  tick INTEGER PRIMARY KEY, time INTEGER NOT NULL, first_leaf INTEGER NOT NULL,
  end_leaf INTEGER NOT NULL, chunk BLOB NOT NULL
) STRICT;
CREATE INDEX ledger_ticks_by_leaf ON ledger_ticks (end_leaf);
CREATE TABLE ledger_keys (
  commitment BLOB PRIMARY KEY, secret BLOB NOT NULL, charter BLOB NOT NULL,
  quarter INTEGER NOT NULL, part BLOB NOT NULL, logged INTEGER NOT NULL
) STRICT;

CREATE TABLE listings (
  warrant BLOB NOT NULL, number INTEGER NOT NULL, digest BLOB NOT NULL UNIQUE,
  record BLOB NOT NULL, windows INTEGER NOT NULL, PRIMARY KEY (warrant, number)
) STRICT;
CREATE TABLE listed_periods (
  warrant BLOB NOT NULL, opens INTEGER NOT NULL, PRIMARY KEY (warrant, opens)
) STRICT, WITHOUT ROWID;
CREATE TABLE shares (
  no INTEGER PRIMARY KEY, warrant BLOB NOT NULL, listing BLOB NOT NULL,
  position INTEGER NOT NULL, sealed BLOB NOT NULL, UNIQUE (warrant, listing, position)
) STRICT;
CREATE TABLE notices (
  idx INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, sealed BLOB NOT NULL,
  position INTEGER NOT NULL, time INTEGER NOT NULL
) STRICT;
"""
