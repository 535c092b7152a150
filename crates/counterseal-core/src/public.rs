//! The service's side of a group: it checks handshakes and follows the roster, and holds no secret.
//!
//! Pure functions over an opaque state, which the service stores beside its own rows.

use crate::error::{Error, Result};
use crate::frame;
use crate::label::Member;
use crate::mls::{self, Change, View};
use openmls::prelude::{MlsMessageBodyIn, ProcessedMessageContent, ProposalStore, PublicGroup};
use openmls_libcrux_crypto::CryptoProvider;
use openmls_traits::public_storage::PublicStorageProvider;
use openmls_traits::storage::traits;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::cell::RefCell;

const VERSION: u16 = 1;

/// What an accepted handshake means for the service.
pub struct Public {
    pub state: Vec<u8>,
    /// "group", "commit" or "proposal".
    pub kind: &'static str,
    pub view: View,
    pub sender: Member,
    pub added: Vec<Member>,
    pub removed: Vec<Member>,
    pub added_refs: Vec<Vec<u8>>,
}

/// What a key package says of itself, verified.
pub struct KeyPackageFacts {
    pub member: Member,
    pub suite: u16,
    pub reference: Vec<u8>,
    pub last_resort: bool,
}

/// Begins to follow a group; `sender` is its first leaf. One first seen after epoch 0 has its
/// present epoch as roster epoch. Errors: "mls".
pub fn group(group_info: &[u8], tree: &[u8]) -> Result<Public> {
    let crypto = mls::crypto_provider()?;
    let group_info = match mls::parse(group_info)?.extract() {
        MlsMessageBodyIn::GroupInfo(group_info) => group_info,
        _ => {
            return Err(Error::mls("group", "another kind of MLS message than a GroupInfo"));
        }
    };
    let memory = Memory::default();
    let (group, group_info) = PublicGroup::from_external(
        &crypto,
        &memory,
        mls::parse_tree(tree)?,
        group_info,
        ProposalStore::new(),
    )
    .map_err(|e| Error::mls("group", e))?;
    let view = View::of(&group, group_info.group_context().epoch().as_u64())?;
    let sender = group
        .members()
        .next()
        .ok_or_else(|| Error::mls("group", "nobody is in it"))
        .and_then(|leaf| mls::member_of(&leaf.credential, &leaf.signature_key))?;
    Ok(Public {
        state: save(memory, &view)?,
        kind: "group",
        view,
        sender,
        added: Vec::new(),
        removed: Vec::new(),
        added_refs: Vec::new(),
    })
}

/// Judges a PublicMessage against the group's public state and gives the state after it. Errors:
/// "mls".
pub fn process(state: &[u8], message: &[u8]) -> Result<Public> {
    let crypto = mls::crypto_provider()?;
    let saved: State = rmp_serde::from_slice(state)
        .map_err(|e| Error::usage(format!("this is no state of a public group: {e}")))?;
    if saved.version != VERSION {
        return Err(Error::usage(format!(
            "a public state of version {}, this build knows {VERSION}",
            saved.version
        )));
    }
    let memory = saved.memory;
    let mut group =
        PublicGroup::load(&memory, &openmls::prelude::GroupId::from_slice(&saved.conversation))
            .map_err(|e| Error::mls("public state", e))?
            .ok_or_else(|| Error::usage("this is no state of a public group: it is empty"))?;
    let processed = group
        .process_message(&crypto, mls::parse_handshake(message)?)
        .map_err(|e| Error::mls("handshake", e))?;
    let (sender, credential) = (processed.sender().clone(), processed.credential().clone());
    let (kind, change, roster_epoch) = match processed.into_content() {
        ProcessedMessageContent::StagedCommitMessage(commit) => {
            let change = mls::judge_commit(&crypto, &group, &sender, &credential, &commit)?;
            group.merge_commit(&memory, *commit).map_err(|e| Error::mls("commit", e))?;
            let began = group.group_context().epoch().as_u64();
            let roster_epoch = if change.moves_roster { began } else { saved.roster_epoch };
            ("commit", change, roster_epoch)
        }
        ProcessedMessageContent::ProposalMessage(proposal) => {
            let leaver = mls::judge_standalone(&group, &proposal)?;
            group.add_proposal(&memory, *proposal).map_err(|e| Error::mls("proposal", e))?;
            ("proposal", leaving(leaver), saved.roster_epoch)
        }
        _ => {
            return Err(Error::mls("handshake", "neither a commit nor a self-remove"));
        }
    };
    let view = View::of(&group, roster_epoch)?;
    Ok(Public {
        state: save(memory, &view)?,
        kind,
        view,
        sender: change.committer,
        added: change.added,
        removed: change.removed,
        added_refs: change.added_refs,
    })
}

fn leaving(leaver: Member) -> Change {
    Change {
        committer: leaver,
        added: Vec::new(),
        added_refs: Vec::new(),
        removed: vec![leaver],
        context: None,
        moves_roster: false,
    }
}

/// (conversation, epoch, authenticated data) of a PrivateMessage with application data. Errors: F1.
pub fn parse_private(message: &[u8]) -> Result<([u8; 16], u64, &[u8])> {
    frame::parse_private(message)
        .map(|outside| (outside.conversation, outside.epoch, outside.authenticated))
}

/// Errors: "mls".
pub fn check_key_package(bytes: &[u8]) -> Result<KeyPackageFacts> {
    let crypto: CryptoProvider = mls::crypto_provider()?;
    let package = mls::key_package(&crypto, bytes)?;
    let reference = package.hash_ref(&crypto).map_err(|e| Error::mls("key package", e))?;
    Ok(KeyPackageFacts {
        member: mls::key_package_member(&package)?,
        suite: mls::suite_id(package.ciphersuite()),
        reference: reference.as_slice().to_vec(),
        last_resort: package.last_resort(),
    })
}

// ---- the state

#[derive(Serialize, Deserialize)]
struct State {
    version: u16,
    conversation: [u8; 16],
    roster_epoch: u64,
    memory: Memory,
}

fn save(memory: Memory, view: &View) -> Result<Vec<u8>> {
    let state = State {
        version: VERSION,
        conversation: view.conversation,
        roster_epoch: view.roster_epoch,
        memory,
    };
    rmp_serde::to_vec_named(&state)
        .map_err(|e| Error::new("fatal", format!("a public state cannot be written: {e}")))
}

/// OpenMLS' storage for exactly one public group, in memory.
#[derive(Default, Serialize, Deserialize)]
struct Memory {
    tree: RefCell<Option<Stored>>,
    context: RefCell<Option<Stored>>,
    transcript: RefCell<Option<Stored>>,
    confirmation: RefCell<Option<Stored>>,
    proposals: RefCell<Vec<(Stored, Stored)>>,
}

/// One of OpenMLS' values, encoded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored(#[serde(with = "serde_bytes")] Vec<u8>);

#[derive(Debug)]
struct MemoryError(String);

impl std::fmt::Display for MemoryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MemoryError {}

type Stores<T> = std::result::Result<T, MemoryError>;

fn put<T: Serialize>(value: &T) -> Stores<Stored> {
    rmp_serde::to_vec_named(value).map(Stored).map_err(|e| MemoryError(e.to_string()))
}

fn get<T: DeserializeOwned>(stored: &Stored) -> Stores<T> {
    rmp_serde::from_slice(&stored.0).map_err(|e| MemoryError(e.to_string()))
}

fn read<T: DeserializeOwned>(slot: &RefCell<Option<Stored>>) -> Stores<Option<T>> {
    slot.borrow().as_ref().map(get).transpose()
}

impl PublicStorageProvider<VERSION> for Memory {
    type PublicError = MemoryError;

    fn write_tree<G: traits::GroupId<VERSION>, T: traits::TreeSync<VERSION>>(
        &self,
        _: &G,
        tree: &T,
    ) -> Stores<()> {
        *self.tree.borrow_mut() = Some(put(tree)?);
        Ok(())
    }

    fn write_interim_transcript_hash<
        G: traits::GroupId<VERSION>,
        T: traits::InterimTranscriptHash<VERSION>,
    >(
        &self,
        _: &G,
        hash: &T,
    ) -> Stores<()> {
        *self.transcript.borrow_mut() = Some(put(hash)?);
        Ok(())
    }

    fn write_context<G: traits::GroupId<VERSION>, T: traits::GroupContext<VERSION>>(
        &self,
        _: &G,
        context: &T,
    ) -> Stores<()> {
        *self.context.borrow_mut() = Some(put(context)?);
        Ok(())
    }

    fn write_confirmation_tag<G: traits::GroupId<VERSION>, T: traits::ConfirmationTag<VERSION>>(
        &self,
        _: &G,
        tag: &T,
    ) -> Stores<()> {
        *self.confirmation.borrow_mut() = Some(put(tag)?);
        Ok(())
    }

    fn queue_proposal<
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
        P: traits::QueuedProposal<VERSION>,
    >(
        &self,
        _: &G,
        reference: &R,
        proposal: &P,
    ) -> Stores<()> {
        let entry = (put(reference)?, put(proposal)?);
        let mut proposals = self.proposals.borrow_mut();
        proposals.retain(|(known, _)| *known != entry.0);
        proposals.push(entry);
        Ok(())
    }

    fn queued_proposals<
        G: traits::GroupId<VERSION>,
        R: traits::ProposalRef<VERSION>,
        P: traits::QueuedProposal<VERSION>,
    >(
        &self,
        _: &G,
    ) -> Stores<Vec<(R, P)>> {
        let proposals = self.proposals.borrow();
        proposals
            .iter()
            .map(|(reference, proposal)| Ok((get(reference)?, get(proposal)?)))
            .collect()
    }

    fn tree<G: traits::GroupId<VERSION>, T: traits::TreeSync<VERSION>>(
        &self,
        _: &G,
    ) -> Stores<Option<T>> {
        read(&self.tree)
    }

    fn group_context<G: traits::GroupId<VERSION>, T: traits::GroupContext<VERSION>>(
        &self,
        _: &G,
    ) -> Stores<Option<T>> {
        read(&self.context)
    }

    fn interim_transcript_hash<
        G: traits::GroupId<VERSION>,
        T: traits::InterimTranscriptHash<VERSION>,
    >(
        &self,
        _: &G,
    ) -> Stores<Option<T>> {
        read(&self.transcript)
    }

    fn confirmation_tag<G: traits::GroupId<VERSION>, T: traits::ConfirmationTag<VERSION>>(
        &self,
        _: &G,
    ) -> Stores<Option<T>> {
        read(&self.confirmation)
    }

    fn delete_tree<G: traits::GroupId<VERSION>>(&self, _: &G) -> Stores<()> {
        self.tree.borrow_mut().take();
        Ok(())
    }

    fn delete_confirmation_tag<G: traits::GroupId<VERSION>>(&self, _: &G) -> Stores<()> {
        self.confirmation.borrow_mut().take();
        Ok(())
    }

    fn delete_context<G: traits::GroupId<VERSION>>(&self, _: &G) -> Stores<()> {
        self.context.borrow_mut().take();
        Ok(())
    }

    fn delete_interim_transcript_hash<G: traits::GroupId<VERSION>>(&self, _: &G) -> Stores<()> {
        self.transcript.borrow_mut().take();
        Ok(())
    }

    fn remove_proposal<G: traits::GroupId<VERSION>, R: traits::ProposalRef<VERSION>>(
        &self,
        _: &G,
        reference: &R,
    ) -> Stores<()> {
        let reference = put(reference)?;
        self.proposals.borrow_mut().retain(|(known, _)| *known != reference);
        Ok(())
    }

    fn clear_proposal_queue<G: traits::GroupId<VERSION>, R: traits::ProposalRef<VERSION>>(
        &self,
        _: &G,
    ) -> Stores<()> {
        self.proposals.borrow_mut().clear();
        Ok(())
    }
}
