//! The device's one SQLCipher connection: lock, pragmas, schema and nested transactions.
//!
//! There is never a second connection: a lock file is held for as long as the database is open
//! (docs/decisions/0002-one-connection.md).

use crate::error::{Error, Result};
use crate::storage;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long `open` waits for another process to let go of the database.
const PATIENCE: Duration = Duration::from_secs(10);

/// The schema's version, in the database's own `user_version`.
const VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE cs_meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE cs_keyset (
    charter_digest BLOB NOT NULL, keyset_digest BLOB NOT NULL,
    domain TEXT NOT NULL, tree BLOB NOT NULL, keys BLOB NOT NULL, period_length INTEGER NOT NULL,
    PRIMARY KEY (charter_digest, keyset_digest)) WITHOUT ROWID;
CREATE TABLE cs_group (
    conversation BLOB PRIMARY KEY, suite INTEGER NOT NULL, core TEXT NOT NULL,
    accepted INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cs_view (
    conversation BLOB NOT NULL, epoch INTEGER NOT NULL,
    roster_epoch INTEGER NOT NULL, roster BLOB NOT NULL, charter_digest BLOB NOT NULL,
    quarter INTEGER NOT NULL, keyset_digest BLOB NOT NULL, suite INTEGER NOT NULL,
    PRIMARY KEY (conversation, epoch)) WITHOUT ROWID;
CREATE TABLE cs_window (
    window_id BLOB PRIMARY KEY, own INTEGER NOT NULL,
    conversation BLOB NOT NULL, device_key BLOB NOT NULL,
    opens INTEGER NOT NULL, closes INTEGER NOT NULL, serial INTEGER NOT NULL,
    key BLOB, seal_digest BLOB NOT NULL,
    label BLOB NOT NULL, roster BLOB NOT NULL, counterseal BLOB);
CREATE INDEX cs_window_place ON cs_window (conversation, device_key, serial);
CREATE INDEX cs_window_closes ON cs_window (closes) WHERE key IS NOT NULL;
CREATE TABLE cs_frame (
    window_id BLOB NOT NULL, seq INTEGER NOT NULL, message BLOB NOT NULL, ct BLOB NOT NULL,
    prev BLOB,
    PRIMARY KEY (window_id, seq)) WITHOUT ROWID;
";

pub struct Store {
    pub connection: Connection,
    /// Whether the caller's own transaction is open.
    outer: bool,
    // Declared last: the lock is let go only after the connection is closed.
    _lock: File,
}

impl Store {
    /// Makes a new encrypted database. `key` is 32 random bytes. Errors: "usage" when the file
    /// exists, "busy", "store".
    pub fn create(path: &Path, key: &[u8; 32]) -> Result<Self> {
        let lock = take_lock(path)?;
        if path.exists() {
            return Err(Error::usage(format!(
                "{} exists already: open it instead",
                path.display()
            )));
        }
        let connection = connect(path, key, OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {SCHEMA} {} PRAGMA user_version = {VERSION}; COMMIT;",
            storage::SCHEMA
        ))?;
        Ok(Self { connection, outer: false, _lock: lock })
    }

    /// Errors: "usage" when there is no such file, "busy", "store" (also for a wrong key).
    pub fn open(path: &Path, key: &[u8; 32]) -> Result<Self> {
        if !path.exists() {
            return Err(Error::usage(format!(
                "there is no database at {}: create it",
                path.display()
            )));
        }
        let lock = take_lock(path)?;
        let connection = connect(path, key, OpenFlags::empty())?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != VERSION {
            return Err(Error::new(
                "store",
                format!("the database has schema {version}, this build knows {VERSION}"),
            ));
        }
        Ok(Self { connection, outer: false, _lock: lock })
    }

    /// Begins the caller's own transaction, which every operation then joins.
    pub fn begin(&mut self) -> Result<()> {
        if self.outer {
            return Err(Error::usage("a transaction is open already: commit or roll it back"));
        }
        self.run("BEGIN IMMEDIATE")?;
        self.outer = true;
        Ok(())
    }

    /// When it fails, the transaction waits for `rollback`. Errors: "usage", "store".
    pub fn commit(&mut self) -> Result<()> {
        self.require_begun()?;
        self.require_transaction()?;
        self.run("COMMIT")?;
        self.outer = false;
        Ok(())
    }

    pub fn rollback(&mut self) -> Result<()> {
        self.require_begun()?;
        if !self.lost() {
            self.run("ROLLBACK")?;
        }
        self.outer = false;
        Ok(())
    }

    fn require_begun(&self) -> Result<()> {
        if self.outer { Ok(()) } else { Err(Error::usage("no transaction is open")) }
    }

    /// Whether SQLite has rolled back the caller's transaction by itself, after a full disk for
    /// instance.
    pub fn lost(&self) -> bool {
        self.outer && self.connection.is_autocommit()
    }

    /// Errors: "store" while the caller believes in a transaction that is gone: what came after it
    /// would stand alone.
    fn require_transaction(&self) -> Result<()> {
        if self.lost() {
            return Err(Error::new(
                "store",
                "the database has rolled the transaction back: call rollback and begin again",
            ));
        }
        Ok(())
    }

    /// Begins one operation: a transaction of its own, or a savepoint in the caller's.
    pub fn enter(&mut self) -> Result<()> {
        self.require_transaction()?;
        self.run(if self.outer { "SAVEPOINT operation" } else { "BEGIN IMMEDIATE" })
    }

    pub fn leave(&mut self) -> Result<()> {
        self.run(if self.outer { "RELEASE operation" } else { "COMMIT" })
    }

    pub fn undo(&mut self) -> Result<()> {
        if self.connection.is_autocommit() {
            Ok(()) // SQLite has rolled back already.
        } else if self.outer {
            self.run("ROLLBACK TO operation")?;
            self.run("RELEASE operation")
        } else {
            self.run("ROLLBACK")
        }
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Empties the write-ahead log, so that what was erased in the database does not live on there.
    pub fn flush_log(&self) -> Result<()> {
        if self.connection.is_autocommit() {
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(())
    }

    /// One SQL statement of the caller's, with its rows. Errors: "usage" for transaction control,
    /// "store".
    pub fn execute(&self, sql: &str, params: Vec<Sql>) -> Result<Vec<Vec<Sql>>> {
        let verb = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if ["BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "ATTACH", "DETACH"]
            .contains(&verb.trim_end_matches(';'))
        {
            return Err(Error::usage(format!(
                "{verb} is not for execute: use begin, commit and rollback"
            )));
        }
        self.require_transaction()?;
        let mut statement = self.connection.prepare_cached(sql)?;
        let width = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push((0..width).map(|i| row.get(i)).collect::<rusqlite::Result<_>>()?);
        }
        Ok(all)
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// The exclusive lock that stands for "the one connection". Errors: "busy" after ten seconds.
fn take_lock(path: &Path) -> Result<File> {
    let place = lock_path(path);
    let unusable = |e: std::io::Error| {
        Error::new("store", format!("the lock file {} cannot be used: {e}", place.display()))
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&place)
        .map_err(unusable)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20))
            }
            Err(TryLockError::WouldBlock) => {
                let message =
                    format!("another process has {} open: close it there first", path.display());
                return Err(Error::new("busy", message));
            }
            Err(TryLockError::Error(e)) => return Err(unusable(e)),
        }
    }
}

/// Lets SQLCipher finish its own start before any database is opened.
///
/// SQLite calls itself ready before it runs SQLCipher's start (SQLITE_EXTRA_INIT), so a second
/// thread that opens a database in that moment meets a cipher that is not there yet and is refused.
fn start_cipher() -> Result<()> {
    static STARTED: OnceLock<Option<String>> = OnceLock::new();
    let fault = STARTED.get_or_init(|| Connection::open_in_memory().err().map(|e| e.to_string()));
    match fault {
        None => Ok(()),
        Some(message) => Err(Error::new("store", message.clone())),
    }
}

fn connect(path: &Path, key: &[u8; 32], extra: OpenFlags) -> Result<Connection> {
    start_cipher()?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(256);
    unlock(&connection, key)?;
    // Exclusive before WAL: the log's index then lives in this process and no second connection can
    // exist.
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

/// Gives SQLCipher the raw key, without a password derivation, and proves that it is the right one.
fn unlock(connection: &Connection, key: &[u8; 32]) -> Result<()> {
    let mut pragma = Zeroizing::new(String::with_capacity(90));
    pragma.push_str("PRAGMA key = \"x'");
    for byte in key {
        for nibble in [byte >> 4, byte & 15] {
            pragma.push(char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }));
        }
    }
    pragma.push_str("'\"");
    // SQLCipher would tell a wrong key on standard error as well, which is not ours to write on.
    connection.execute_batch("PRAGMA cipher_log_level = NONE;")?;
    connection.execute_batch(&pragma)?;
    connection
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))
        .map_err(|_| {
            Error::new("store", "the database does not open with this key, or is no database")
        })?;
    Ok(())
}
