//! A device: its store, its identity, the keysets it knows, and how an operation runs on it.
//!
//! OpenMLS writes in many steps and keeps a copy in memory, so every operation here runs in one
//! transaction (or a savepoint in the caller's) and takes the group out of the cache while it
//! works: on any error the transaction is undone and the copy is dropped.

use crate::cbor::{self, Value};
use crate::error::{Error, Result};
use crate::groups::Pending;
use crate::label::{Member, Prk};
use crate::mls::{self, DeviceKey, Provider, View};
use crate::seal::{self, SealingKeys};
use crate::shares::Tree;
use crate::storage::Storage;
use crate::store::Store;
use ed25519_dalek::{Signer as _, SigningKey};
use openmls::prelude::{GroupId, MlsGroup};
use openmls_libcrux_crypto::CryptoProvider;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

pub type Conversation = [u8; 16];

/// Groups and views that stay in memory.
const GROUPS_IN_MEMORY: usize = 64;
pub(crate) const VIEWS_IN_MEMORY: usize = 512;

/// What windows and frames under one charter and keyset need.
pub struct Keyset {
    pub domain: String,
    pub tree: Tree,
    pub keys: SealingKeys,
    pub period_length: u64,
}

pub struct Identity {
    pub member: Member,
    pub key: DeviceKey,
}

pub struct Device {
    pub(crate) store: Store,
    crypto: CryptoProvider,
    identity: Option<Arc<Identity>>,
    pub(crate) groups: HashMap<Conversation, MlsGroup>,
    pub(crate) staged: HashMap<Conversation, Pending>,
    pub(crate) views: HashMap<(Conversation, u64), Arc<View>>,
    keysets: HashMap<([u8; 32], [u8; 32]), Arc<Keyset>>,
}

/// What an operation on a group works with.
pub struct Session<'a> {
    pub provider: Provider<'a>,
    pub db: &'a Connection,
    pub me: &'a Identity,
}

/// SQLite counts to 2^63 - 1. Errors: "usage".
pub fn sql_int(n: u64) -> Result<i64> {
    i64::try_from(n).map_err(|_| Error::usage(format!("{n} is beyond what can be stored")))
}

// ---- opening, identity, transactions

impl Device {
    pub fn create(path: &Path, key: &[u8; 32]) -> Result<Self> {
        Self::over(Store::create(path, key)?)
    }

    pub fn open(path: &Path, key: &[u8; 32]) -> Result<Self> {
        Self::over(Store::open(path, key)?)
    }

    fn over(store: Store) -> Result<Self> {
        let mut device = Self {
            store,
            crypto: mls::crypto_provider()?,
            identity: None,
            groups: HashMap::new(),
            staged: HashMap::new(),
            views: HashMap::new(),
            keysets: HashMap::new(),
        };
        device.identity = device.load_identity()?;
        Ok(device)
    }

    fn load_identity(&self) -> Result<Option<Arc<Identity>>> {
        let sql = "SELECT (SELECT value FROM cs_meta WHERE name = 'account_id'), value
                   FROM cs_meta WHERE name = 'device_seed'";
        let row = self.store.connection.query_row(sql, [], |row| {
            Ok((row.get::<_, [u8; 32]>(0)?, Zeroizing::new(row.get::<_, [u8; 32]>(1)?)))
        });
        Ok(row.optional()?.map(|(account, seed)| {
            let key = SigningKey::from_bytes(&seed);
            Arc::new(Identity {
                member: (account, key.verifying_key().to_bytes()),
                key: DeviceKey(key),
            })
        }))
    }

    pub fn set_identity(&mut self, account_id: &[u8; 32], device_seed: &[u8; 32]) -> Result<()> {
        if self.identity.is_some() {
            return Err(Error::usage("this device has an identity already, and it never changes"));
        }
        self.atomic(|device| {
            let sql =
                "INSERT INTO cs_meta (name, value) VALUES ('account_id', ?), ('device_seed', ?)";
            device.store.connection.execute(sql, params![account_id, device_seed])?;
            device.identity = device.load_identity()?;
            Ok(())
        })
    }

    pub fn identity(&self) -> Option<Member> {
        self.identity.as_ref().map(|identity| identity.member)
    }

    pub(crate) fn me(&self) -> Result<Arc<Identity>> {
        self.identity
            .clone()
            .ok_or_else(|| Error::usage("this device has no identity yet: call set_identity"))
    }

    /// Ed25519 over `message` as it is.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        Ok(self.me()?.key.0.sign(message).to_bytes())
    }

    pub fn begin(&mut self) -> Result<()> {
        self.store.begin()
    }

    pub fn commit(&mut self) -> Result<()> {
        let result = self.store.commit();
        if result.is_err() {
            self.forget_memory();
        }
        result
    }

    /// Also drops everything held in memory, which is read again when it is needed.
    pub fn rollback(&mut self) -> Result<()> {
        self.forget_memory();
        self.store.rollback()?;
        self.identity = self.load_identity()?;
        Ok(())
    }

    /// One SQL statement of the caller's on its own tables. Errors: "usage", "store".
    pub fn execute(
        &self,
        sql: &str,
        params: Vec<rusqlite::types::Value>,
    ) -> Result<Vec<Vec<rusqlite::types::Value>>> {
        self.store.execute(sql, params)
    }

    fn forget_memory(&mut self) {
        self.groups.clear();
        self.staged.clear();
        self.views.clear();
        self.keysets.clear();
    }

    /// Runs `work` in one transaction, or in a savepoint of the caller's.
    pub(crate) fn atomic<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.store.enter()?;
        let done = work(self).and_then(|value| self.store.leave().map(|()| value));
        if done.is_err() {
            // The first error is the one to tell; if undoing fails as well, the next operation will
            // say so.
            let _ = self.store.undo();
            if self.store.lost() {
                self.forget_memory();
            }
            self.views.clear();
            self.keysets.clear();
            self.identity = self.load_identity().unwrap_or_default();
        }
        done
    }

    /// As [`Device::atomic`], on a group that stays in the cache only if all went well.
    pub(crate) fn with_group<T>(
        &mut self,
        conversation: &Conversation,
        work: impl FnOnce(&mut MlsGroup, &Session<'_>) -> Result<T>,
    ) -> Result<T> {
        let me = self.me()?;
        let cached = self.groups.remove(conversation);
        let (value, group) = self.atomic(|device| {
            let session = device.session(&me);
            let mut group = match cached {
                Some(group) => group,
                None => {
                    MlsGroup::load(&session.provider.storage, &GroupId::from_slice(conversation))?
                        .ok_or_else(|| Error::usage("this device has no such conversation"))?
                }
            };
            let value = work(&mut group, &session)?;
            Ok((value, group))
        })?;
        self.keep(*conversation, group);
        Ok(value)
    }

    /// Keeps a group in memory for the next operation. The cache is bounded: what is dropped is
    /// read again when it is needed.
    pub(crate) fn keep(&mut self, conversation: Conversation, group: MlsGroup) {
        if self.groups.len() >= GROUPS_IN_MEMORY {
            self.groups.clear();
        }
        self.groups.insert(conversation, group);
    }

    pub(crate) fn session<'a>(&'a self, me: &'a Identity) -> Session<'a> {
        Session {
            provider: Provider { crypto: &self.crypto, storage: Storage(&self.store.connection) },
            db: &self.store.connection,
            me,
        }
    }
}

// ---- keysets

impl Device {
    /// Keeps what windows under this charter and keyset need; the same again is no error. Errors:
    /// "usage", E6, S1.
    pub fn register_keyset(
        &mut self,
        domain: &str,
        digests: (&[u8; 32], &[u8; 32]),
        tree: &[u8],
        keys: &[Option<Vec<u8>>],
        period_length: u64,
    ) -> Result<()> {
        if period_length == 0 || 86_400 % period_length != 0 {
            return Err(Error::usage(format!(
                "a period of {period_length} s does not divide a day"
            )));
        }
        let parsed = Tree::decode(tree)?;
        // Sealing once finds the keys that nobody can seal to, before a window would.
        seal::seal(
            &Prk::default(),
            &[0; 32],
            digests.0,
            &parsed,
            &SealingKeys::decode(&parsed, keys)?,
        )?;
        let keys: Vec<Value<'_>> = keys.iter().map(|key| key.as_deref().into()).collect();
        let keys = cbor::encode(&Value::Array(keys));
        let row = params![digests.0, digests.1, domain, tree, keys, sql_int(period_length)?];
        self.atomic(|device| {
            let db = &device.store.connection;
            db.execute("INSERT OR IGNORE INTO cs_keyset VALUES (?, ?, ?, ?, ?, ?)", row)?;
            let sql = "SELECT count(*) FROM cs_keyset
                       WHERE (charter_digest, keyset_digest, domain, tree, keys, period_length)
                           = (?, ?, ?, ?, ?, ?)";
            match db.query_row(sql, row, |row| row.get::<_, i64>(0))? {
                1 => Ok(()),
                _ => Err(Error::usage("another keyset is registered under these digests")),
            }
        })
    }

    /// Errors: "usage" when it was not registered.
    pub(crate) fn keyset(
        &mut self,
        charter_digest: &[u8; 32],
        keyset_digest: &[u8; 32],
    ) -> Result<Arc<Keyset>> {
        let place = (*charter_digest, *keyset_digest);
        if let Some(keyset) = self.keysets.get(&place) {
            return Ok(keyset.clone());
        }
        let sql = "SELECT domain, tree, keys, period_length FROM cs_keyset
                   WHERE charter_digest = ? AND keyset_digest = ?";
        let row =
            self.store.connection.query_row(sql, params![charter_digest, keyset_digest], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, Vec<u8>>(1)?,
                    row.get::<_, Vec<u8>>(2)?,
                    row.get::<_, u64>(3)?,
                ))
            });
        let (domain, tree, keys, period_length) = row.optional()?.ok_or_else(|| {
            Error::usage(
                "the conversation's charter and keyset are not registered: call register_keyset",
            )
        })?;
        let tree = Tree::decode(&tree)?;
        let mut parsed = Vec::new();
        for key in cbor::decode(&keys, 1 << 20)?.items("keys")? {
            parsed.push(match key {
                Value::Null => None,
                key => Some(key.bytes("key")?),
            });
        }
        let keyset = Arc::new(Keyset {
            domain,
            keys: SealingKeys::decode(&tree, &parsed)?,
            tree,
            period_length,
        });
        self.keysets.insert(place, keyset.clone());
        Ok(keyset)
    }
}
