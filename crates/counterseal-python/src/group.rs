//! What a device's groups give: views, its own commits, others' handshakes.

use crate::Digest;
use crate::call::fixed;
use counterseal_core::error::Result;
use counterseal_core::groups::{Commit, Staged};
use counterseal_core::label::Member;
use counterseal_core::mls::{Context, View};
use pyo3::prelude::*;

#[pyclass(frozen, get_all, name = "View", module = "counterseal.core._core")]
pub struct PyView {
    conversation: [u8; 16],
    epoch: u64,
    roster_epoch: u64,
    roster: Vec<Member>,
    roster_digest: Digest,
    charter_digest: Digest,
    quarter: u64,
    keyset_digest: Digest,
    suite: u16,
}

impl From<&View> for PyView {
    fn from(view: &View) -> Self {
        Self {
            conversation: view.conversation,
            epoch: view.epoch,
            roster_epoch: view.roster_epoch,
            roster: view.members.clone(),
            roster_digest: view.roster_digest,
            charter_digest: view.context.charter_digest,
            quarter: view.context.quarter,
            keyset_digest: view.context.keyset_digest,
            suite: view.suite,
        }
    }
}

#[pyclass(frozen, get_all, name = "Commit", module = "counterseal.core._core")]
pub struct PyCommit {
    message: Vec<u8>,
    welcome: Option<Vec<u8>>,
    tree: Vec<u8>,
    group_info: Vec<u8>,
    epoch: u64,
}

impl From<Commit> for PyCommit {
    fn from(commit: Commit) -> Self {
        Self {
            message: commit.message,
            welcome: commit.welcome,
            tree: commit.tree,
            group_info: commit.group_info,
            epoch: commit.epoch,
        }
    }
}

#[pyclass(frozen, get_all, name = "Staged", module = "counterseal.core._core")]
pub struct PyStaged {
    kind: &'static str,
    epoch: u64,
    committer: Member,
    added: Vec<Member>,
    removed: Vec<Member>,
    context: Option<(Digest, u64, Digest)>,
    removes_me: bool,
}

impl From<Staged> for PyStaged {
    fn from(staged: Staged) -> Self {
        let context = |of: Context| (of.charter_digest, of.quarter, of.keyset_digest);
        Self {
            kind: staged.kind,
            epoch: staged.epoch,
            committer: staged.committer,
            added: staged.added,
            removed: staged.removed,
            context: staged.context.map(context),
            removes_me: staged.removes_me,
        }
    }
}

/// Errors: "usage".
pub fn context(charter_digest: &[u8], quarter: u64, keyset_digest: &[u8]) -> Result<Context> {
    Ok(Context {
        charter_digest: fixed(charter_digest, "charter_digest")?,
        quarter,
        keyset_digest: fixed(keyset_digest, "keyset_digest")?,
    })
}

/// Errors: "usage".
pub fn member(account_id: &[u8], device_key: &[u8]) -> Result<Member> {
    Ok((fixed(account_id, "account_id")?, fixed(device_key, "device_key")?))
}
