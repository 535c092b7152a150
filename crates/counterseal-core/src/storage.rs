//! OpenMLS' values in the device's database.
//!
//! OpenMLS hands over some twenty kinds of values and asks for them again by key. One table takes
//! them all: a row has the value's kind, its owner (a group, or the public value that names it),
//! its name where the owner has several, and the value. Nobody but OpenMLS reads inside.

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

pub const SCHEMA: &str = "
CREATE TABLE mls_value (
    kind TEXT NOT NULL, owner BLOB NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (kind, owner, name));
";

/// The version of OpenMLS' storage traits. When a new OpenMLS raises it, this file no longer
/// compiles until somebody has looked at what has changed in the values.
const VERSION: u16 = 1;
const _: () = assert!(VERSION == CURRENT_VERSION);

/// The name of an owner's only value of a kind.
const ONLY: &() = &();

/// Reads and writes on the device's one connection, in whatever transaction is open there.
pub struct Storage<'a>(pub &'a Connection);

type Stored<T> = rusqlite::Result<T>;

/// MessagePack with named fields describes itself, so a later OpenMLS still reads what this one
/// wrote. Most values are secret, so the buffer is erased.
fn encode<T: Serialize + ?Sized>(value: &T) -> Stored<Zeroizing<Vec<u8>>> {
    rmp_serde::to_vec_named(value)
        .map(Zeroizing::new)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn decode<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Stored<T> {
    let bytes = row.get_ref(column)?;
    let kind = bytes.data_type();
    rmp_serde::from_slice(bytes.as_blob()?)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(e)))
}

impl Storage<'_> {
    fn put<O, N, T>(&self, kind: &str, owner: &O, name: &N, value: &T) -> Stored<()>
    where
        O: Serialize,
        N: Serialize,
        T: Serialize + ?Sized,
    {
        let sql = "INSERT INTO mls_value (kind, owner, name, value) VALUES (?, ?, ?, ?)
                   ON CONFLICT DO UPDATE SET value = excluded.value";
        let (owner, name, value) = (encode(owner)?, encode(name)?, encode(value)?);
        self.0.prepare_cached(sql)?.execute(params![kind, *owner, *name, *value])?;
        Ok(())
    }

    fn get<O, N, T>(&self, kind: &str, owner: &O, name: &N) -> Stored<Option<T>>
    where
        O: Serialize,
        N: Serialize,
        T: DeserializeOwned,
    {
        let sql = "SELECT value FROM mls_value WHERE kind = ? AND owner = ? AND name = ?";
        let (owner, name) = (encode(owner)?, encode(name)?);
        let mut statement = self.0.prepare_cached(sql)?;
        statement.query_row(params![kind, *owner, *name], |row| decode(row, 0)).optional()
    }

    /// What `read` takes from each of the owner's rows of a kind: (name, value), by name.
    fn all<O, T>(
        &self,
        kind: &str,
        owner: &O,
        read: impl Fn(&Row<'_>) -> Stored<T>,
    ) -> Stored<Vec<T>>
    where
        O: Serialize,
    {
        let sql = "SELECT name, value FROM mls_value WHERE kind = ? AND owner = ? ORDER BY name";
        let mut statement = self.0.prepare_cached(sql)?;
        statement.query_map(params![kind, *encode(owner)?], read)?.collect()
    }

    fn delete<O: Serialize, N: Serialize>(&self, kind: &str, owner: &O, name: &N) -> Stored<()> {
        let sql = "DELETE FROM mls_value WHERE kind = ? AND owner = ? AND name = ?";
        let (owner, name) = (encode(owner)?, encode(name)?);
        self.0.prepare_cached(sql)?.execute(params![kind, *owner, *name])?;
        Ok(())
    }

    fn delete_all<O: Serialize>(&self, kind: &str, owner: &O) -> Stored<()> {
        let sql = "DELETE FROM mls_value WHERE kind = ? AND owner = ?";
        self.0.prepare_cached(sql)?.execute(params![kind, *encode(owner)?])?;
        Ok(())
    }
}

/// Writing, reading and deleting what each group has one of.
macro_rules! one_a_group {
    ($kind:literal, $value:ident: $write:ident, $read:ident, $delete:ident) => {
        fn $write<G, T>(&self, group: &G, value: &T) -> Stored<()>
        where
            G: traits::GroupId<VERSION>,
            T: traits::$value<VERSION>,
        {
            self.put($kind, group, ONLY, value)
        }

        fn $read<G, T>(&self, group: &G) -> Stored<Option<T>>
        where
            G: traits::GroupId<VERSION>,
            T: traits::$value<VERSION>,
        {
            self.get($kind, group, ONLY)
        }

        fn $delete<G: traits::GroupId<VERSION>>(&self, group: &G) -> Stored<()> {
            self.delete($kind, group, ONLY)
        }
    };
}

impl StorageProvider<VERSION> for Storage<'_> {
    type Error = rusqlite::Error;

    // ---- a group's values

    one_a_group!(
        "join_config", MlsGroupJoinConfig:
        write_mls_join_config, mls_group_join_config, delete_group_config
    );
    one_a_group!(
        "tree", TreeSync:
        write_tree, tree, delete_tree
    );
    one_a_group!(
        "transcript_hash", InterimTranscriptHash:
        write_interim_transcript_hash, interim_transcript_hash, delete_interim_transcript_hash
    );
    one_a_group!(
        "context", GroupContext:
        write_context, group_context, delete_context
    );
    one_a_group!(
        "confirmation_tag", ConfirmationTag:
        write_confirmation_tag, confirmation_tag, delete_confirmation_tag
    );
    one_a_group!(
        "message_secrets", MessageSecrets:
        write_message_secrets, message_secrets, delete_message_secrets
    );
    one_a_group!(
        "resumption_psks", ResumptionPskStore:
        write_resumption_psk_store, resumption_psk_store, delete_all_resumption_psk_secrets
    );
    one_a_group!(
        "own_leaf_index", LeafNodeIndex:
        write_own_leaf_index, own_leaf_index, delete_own_leaf_index
    );
    one_a_group!(
        "epoch_secrets", GroupEpochSecrets:
        write_group_epoch_secrets, group_epoch_secrets, delete_group_epoch_secrets
    );

    // Written out, because OpenMLS asks for the value's type before the group's here, and the order
    // of type parameters is part of the trait.

    fn write_group_state<S, G>(&self, group: &G, state: &S) -> Stored<()>
    where
        S: traits::GroupState<VERSION>,
        G: traits::GroupId<VERSION>,
    {
        self.put("group_state", group, ONLY, state)
    }

    fn group_state<S, G>(&self, group: &G) -> Stored<Option<S>>
    where
        S: traits::GroupState<VERSION>,
        G: traits::GroupId<VERSION>,
    {
        self.get("group_state", group, ONLY)
    }

    fn delete_group_state<G>(&self, group: &G) -> Stored<()>
    where
        G: traits::GroupId<VERSION>,
    {
        self.delete("group_state", group, ONLY)
    }

    // ---- a group's proposals, by reference, and its own leaves, in the order in which they came

    fn queue_proposal<G, R, P>(&self, group: &G, reference: &R, proposal: &P) -> Stored<()>
    where
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
        P: traits::QueuedProposal<VERSION>,
    {
        self.put("proposal", group, reference, proposal)
    }

    fn queued_proposals<G, R, P>(&self, group: &G) -> Stored<Vec<(R, P)>>
    where
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
        P: traits::QueuedProposal<VERSION>,
    {
        self.all("proposal", group, |row| Ok((decode(row, 0)?, decode(row, 1)?)))
    }

    fn queued_proposal_refs<G, R>(&self, group: &G) -> Stored<Vec<R>>
    where
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
    {
        self.all("proposal", group, |row| decode(row, 0))
    }

    fn remove_proposal<G, R>(&self, group: &G, reference: &R) -> Stored<()>
    where
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
    {
        self.delete("proposal", group, reference)
    }

    fn clear_proposal_queue<G, R>(&self, group: &G) -> Stored<()>
    where
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
    {
        self.delete_all("proposal", group)
    }

    fn append_own_leaf_node<G, L>(&self, group: &G, leaf: &L) -> Stored<()>
    where
        G: traits::GroupId<VERSION>,
        L: traits::LeafNode<VERSION>,
    {
        let sql = "SELECT count(*) FROM mls_value WHERE kind = 'own_leaf' AND owner = ?";
        let mut statement = self.0.prepare_cached(sql)?;
        let place: u32 = statement.query_row([&*encode(group)?], |row| row.get(0))?;
        // MessagePack's numbers sort as they count.
        self.put("own_leaf", group, &place, leaf)
    }

    fn own_leaf_nodes<G, L>(&self, group: &G) -> Stored<Vec<L>>
    where
        G: traits::GroupId<VERSION>,
        L: traits::LeafNode<VERSION>,
    {
        self.all("own_leaf", group, |row| decode(row, 1))
    }

    fn delete_own_leaf_nodes<G>(&self, group: &G) -> Stored<()>
    where
        G: traits::GroupId<VERSION>,
    {
        self.delete_all("own_leaf", group)
    }

    // ---- a group's encryption keys of one epoch

    fn write_encryption_epoch_key_pairs<G, E, K>(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
        pairs: &[K],
    ) -> Stored<()>
    where
        G: traits::GroupId<VERSION>,
        E: traits::EpochKey<VERSION>,
        K: traits::HpkeKeyPair<VERSION>,
    {
        self.put("epoch_keys", group, &(epoch, leaf), pairs)
    }

    fn encryption_epoch_key_pairs<G, E, K>(&self, group: &G, epoch: &E, leaf: u32) -> Stored<Vec<K>>
    where
        G: traits::GroupId<VERSION>,
        E: traits::EpochKey<VERSION>,
        K: traits::HpkeKeyPair<VERSION>,
    {
        Ok(self.get("epoch_keys", group, &(epoch, leaf))?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<G, E>(&self, group: &G, epoch: &E, leaf: u32) -> Stored<()>
    where
        G: traits::GroupId<VERSION>,
        E: traits::EpochKey<VERSION>,
    {
        self.delete("epoch_keys", group, &(epoch, leaf))
    }

    // ---- keys by their public half, key packages by reference, pre-shared keys by id

    fn write_encryption_key_pair<U, K>(&self, public: &U, pair: &K) -> Stored<()>
    where
        U: traits::EncryptionKey<VERSION>,
        K: traits::HpkeKeyPair<VERSION>,
    {
        self.put("encryption_key", public, ONLY, pair)
    }

    fn encryption_key_pair<K, U>(&self, public: &U) -> Stored<Option<K>>
    where
        K: traits::HpkeKeyPair<VERSION>,
        U: traits::EncryptionKey<VERSION>,
    {
        self.get("encryption_key", public, ONLY)
    }

    fn delete_encryption_key_pair<U>(&self, public: &U) -> Stored<()>
    where
        U: traits::EncryptionKey<VERSION>,
    {
        self.delete("encryption_key", public, ONLY)
    }

    fn write_signature_key_pair<U, K>(&self, public: &U, pair: &K) -> Stored<()>
    where
        U: traits::SignaturePublicKey<VERSION>,
        K: traits::SignatureKeyPair<VERSION>,
    {
        self.put("signature_key", public, ONLY, pair)
    }

    fn signature_key_pair<U, K>(&self, public: &U) -> Stored<Option<K>>
    where
        U: traits::SignaturePublicKey<VERSION>,
        K: traits::SignatureKeyPair<VERSION>,
    {
        self.get("signature_key", public, ONLY)
    }

    fn delete_signature_key_pair<U>(&self, public: &U) -> Stored<()>
    where
        U: traits::SignaturePublicKey<VERSION>,
    {
        self.delete("signature_key", public, ONLY)
    }

    fn write_key_package<R, P>(&self, reference: &R, package: &P) -> Stored<()>
    where
        R: traits::HashReference<VERSION>,
        P: traits::KeyPackage<VERSION>,
    {
        self.put("key_package", reference, ONLY, package)
    }

    fn key_package<R, P>(&self, reference: &R) -> Stored<Option<P>>
    where
        R: traits::HashReference<VERSION>,
        P: traits::KeyPackage<VERSION>,
    {
        self.get("key_package", reference, ONLY)
    }

    fn delete_key_package<R>(&self, reference: &R) -> Stored<()>
    where
        R: traits::HashReference<VERSION>,
    {
        self.delete("key_package", reference, ONLY)
    }

    fn write_psk<I, B>(&self, id: &I, psk: &B) -> Stored<()>
    where
        I: traits::PskId<VERSION>,
        B: traits::PskBundle<VERSION>,
    {
        self.put("psk", id, ONLY, psk)
    }

    fn psk<B, I>(&self, id: &I) -> Stored<Option<B>>
    where
        B: traits::PskBundle<VERSION>,
        I: traits::PskId<VERSION>,
    {
        self.get("psk", id, ONLY)
    }

    fn delete_psk<I>(&self, id: &I) -> Stored<()>
    where
        I: traits::PskId<VERSION>,
    {
        self.delete("psk", id, ONLY)
    }
}
