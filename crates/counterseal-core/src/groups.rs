//! A device's MLS groups: making, joining, leaving, committing, and others' handshakes.

use crate::device::{Conversation, Device, Session};
use crate::error::{Error, Result};
use crate::label::Member;
use crate::mls::{self, Change, Context, View};
use crate::views::{insert_view, next_view};
use openmls::prelude::{
    GroupId, KeyPackage, Lifetime, MlsGroup, MlsMessageBodyIn, MlsMessageOut,
    ProcessedMessageContent, QueuedProposal, Sender, StagedCommit, StagedWelcome,
};
use rusqlite::{Connection, OptionalExtension, params};

/// Seconds that a key package and the leaf in it are good for: 84 days.
const LIFETIME: u64 = 84 * 24 * 3600;

/// A handshake that was staged and waits for the caller's word.
pub(crate) enum Pending {
    Commit(Box<(StagedCommit, Change)>),
    Proposal(Box<QueuedProposal>),
}

/// A commit of this device's own.
pub struct Commit {
    pub message: Vec<u8>,
    pub welcome: Option<Vec<u8>>,
    pub tree: Vec<u8>,
    pub group_info: Vec<u8>,
    pub epoch: u64,
}

/// What a received handshake would do.
pub struct Staged {
    pub kind: &'static str,
    pub epoch: u64,
    pub committer: Member,
    pub added: Vec<Member>,
    pub removed: Vec<Member>,
    pub context: Option<Context>,
    pub removes_me: bool,
}

// ---- groups: making, joining, leaving

impl Device {
    /// Fresh key packages, each an MLSMessage. Their private keys are stored.
    pub fn key_packages(
        &mut self,
        count: usize,
        last_resort: bool,
        suite: u16,
    ) -> Result<Vec<Vec<u8>>> {
        let (suite, me) = (mls::suite(suite)?, self.me()?);
        self.atomic(|device| {
            let session = device.session(&me);
            let one = |_| {
                let mut builder = KeyPackage::builder()
                    .leaf_node_capabilities(mls::capabilities())
                    .key_package_lifetime(Lifetime::new(LIFETIME));
                if last_resort {
                    builder = builder.mark_as_last_resort();
                }
                let bundle = builder
                    .build(suite, &session.provider, &me.key, mls::credential(&me.member))
                    .map_err(|e| Error::mls("key package", e))?;
                mls::to_bytes("key package", &MlsMessageOut::from(bundle.into_key_package()))
            };
            (0..count).map(one).collect()
        })
    }

    /// Makes a group of this device alone and gives its GroupInfo in epoch 0.
    pub fn group_create(
        &mut self,
        conversation: &Conversation,
        suite: u16,
        context: &Context,
    ) -> Result<Vec<u8>> {
        let (ciphersuite, me) = (mls::suite(suite)?, self.me()?);
        let (group, view, group_info) = self.atomic(|device| {
            let session = device.session(&me);
            let group = MlsGroup::builder()
                .with_group_id(GroupId::from_slice(conversation))
                .ciphersuite(ciphersuite)
                .with_wire_format_policy(mls::wire_format())
                .sender_ratchet_configuration(mls::ratchets())
                .max_past_epochs(mls::PAST_EPOCHS)
                .use_ratchet_tree_extension(false)
                .lifetime(Lifetime::new(LIFETIME))
                .with_capabilities(mls::capabilities())
                .with_group_context_extensions(context.extensions()?)
                .build(&session.provider, &me.key, mls::credential(&me.member))
                .map_err(|e| Error::mls("making a group", e))?;
            let view = View::of(group.public_group(), 0)?;
            insert_group(session.db, &view, true)?;
            let group_info = export_group_info(&group, &session)?;
            Ok((group, view, group_info))
        })?;
        self.keep(*conversation, group);
        self.remember_view(view);
        Ok(group_info)
    }

    /// Joins by a Welcome and its ratchet tree. The group is unusable until
    /// [`Device::group_accept`].
    pub fn group_join(&mut self, welcome: &[u8], tree: &[u8]) -> Result<View> {
        let welcome = match mls::parse(welcome)?.extract() {
            MlsMessageBodyIn::Welcome(welcome) => welcome,
            _ => {
                return Err(Error::mls("joining", "another kind of MLS message than a Welcome"));
            }
        };
        mls::suite(mls::suite_id(welcome.ciphersuite()))?;
        let (tree, me) = (mls::parse_tree(tree)?, self.me()?);
        let (group, view) = self.atomic(|device| {
            let session = device.session(&me);
            let staged =
                StagedWelcome::build_from_welcome(&session.provider, &mls::join_config(), welcome)
                    .and_then(|join| {
                        // A leaf whose lifetime is over must not keep others out; its owner is
                        // asked to renew it.
                        join.with_ratchet_tree(tree)
                            .skip_lifetime_validation()
                            .replace_old_group()
                            .build()
                    })
                    .map_err(|e| Error::mls("joining", e))?;
            let conversation = mls::conversation_id(staged.group_context().group_id().as_slice())?;
            forget_inactive(&session, &conversation)?;
            let group =
                staged.into_group(&session.provider).map_err(|e| Error::mls("joining", e))?;
            let view = View::of(group.public_group(), group.epoch().as_u64())?;
            if !view.members.contains(&me.member) {
                return Err(Error::mls("joining", "the Welcome's leaf is not this device"));
            }
            insert_group(session.db, &view, false)?;
            Ok((group, view))
        })?;
        self.keep(view.conversation, group);
        self.staged.remove(&view.conversation);
        self.views.retain(|(conversation, _), _| *conversation != view.conversation);
        self.remember_view(view.clone());
        Ok(view)
    }

    /// Erases a group and its views.
    pub fn group_forget(&mut self, conversation: &Conversation) -> Result<()> {
        self.with_group(conversation, |group, session| delete_group(group, session, conversation))?;
        self.groups.remove(conversation);
        self.staged.remove(conversation);
        self.views.retain(|(of, _), _| of != conversation);
        Ok(())
    }

    /// A self-remove proposal, which somebody else's commit then takes up.
    pub fn group_leave(&mut self, conversation: &Conversation) -> Result<Vec<u8>> {
        self.with_group(conversation, |group, session| {
            require_accepted(session.db, conversation)?;
            let message = group
                .leave_group_via_self_remove(&session.provider, &session.me.key)
                .map_err(|e| Error::mls("leaving", e))?;
            mls::to_bytes("leaving", &message)
        })
    }

    pub fn group_tree(&mut self, conversation: &Conversation) -> Result<Vec<u8>> {
        self.with_group(conversation, |group, _| {
            mls::to_bytes("ratchet tree", &group.export_ratchet_tree())
        })
    }

    pub fn groups(&self) -> Result<Vec<Conversation>> {
        let mut statement = self
            .store
            .connection
            .prepare_cached("SELECT conversation FROM cs_group ORDER BY conversation")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn insert_group(db: &Connection, view: &View, accepted: bool) -> Result<()> {
    let sql = "INSERT INTO cs_group (conversation, suite, core, accepted) VALUES (?, ?, ?, ?)";
    db.execute(sql, params![view.conversation, view.suite, env!("CARGO_PKG_VERSION"), accepted])?;
    insert_view(db, view)
}

/// Errors: "usage" while a joined group waits for the caller's word.
pub fn require_accepted(db: &Connection, conversation: &Conversation) -> Result<()> {
    let mut statement =
        db.prepare_cached("SELECT accepted FROM cs_group WHERE conversation = ?")?;
    match statement.query_row([conversation], |row| row.get::<_, bool>(0)).optional()? {
        Some(true) => Ok(()),
        Some(false) => Err(Error::usage(
            "this group was joined and not yet accepted: check its roster, then group_accept",
        )),
        None => Err(Error::usage("this device has no such conversation")),
    }
}

fn delete_group(
    group: &mut MlsGroup,
    session: &Session<'_>,
    conversation: &Conversation,
) -> Result<()> {
    group.delete(&session.provider.storage)?;
    session.db.execute("DELETE FROM cs_group WHERE conversation = ?", [conversation])?;
    session.db.execute("DELETE FROM cs_view WHERE conversation = ?", [conversation])?;
    Ok(())
}

/// Makes room for joining again after a removal. Errors: "mls" while the old group is alive.
fn forget_inactive(session: &Session<'_>, conversation: &Conversation) -> Result<()> {
    match MlsGroup::load(&session.provider.storage, &GroupId::from_slice(conversation))? {
        Some(group) if group.is_active() => {
            Err(Error::mls("joining", "this device is a member of the conversation already"))
        }
        Some(mut group) => delete_group(&mut group, session, conversation),
        None => Ok(()),
    }
}

fn export_group_info(group: &MlsGroup, session: &Session<'_>) -> Result<Vec<u8>> {
    let message = group
        .export_group_info(session.provider.crypto, &session.me.key, false)
        .map_err(|e| Error::mls("group info", e))?;
    mls::to_bytes("group info", &message)
}

// ---- groups: commits of this device's own

impl Device {
    /// Stages a commit: adds, removals, a new context, and every pending self-remove. Errors:
    /// "mls", "usage".
    pub fn group_commit(
        &mut self,
        conversation: &Conversation,
        add: &[Vec<u8>],
        remove: &[Member],
        context: Option<&Context>,
    ) -> Result<Commit> {
        self.with_group(conversation, |group, session| {
            require_accepted(session.db, conversation)?;
            if group.pending_commit().is_some() {
                return Err(Error::usage(
                    "a commit is pending: group_merge or group_discard it first",
                ));
            }
            let epoch = group.epoch().as_u64();
            let (message, welcome, group_info) =
                build_commit(group, session, add, remove, context)?;
            own_change(group, session)?;
            let tree = group
                .pending_commit()
                .and_then(|commit| {
                    commit
                        .export_ratchet_tree(session.provider.crypto, group.export_ratchet_tree())
                        .transpose()
                })
                .ok_or_else(|| Error::mls("commit", "no tree of the next epoch"))?
                .map_err(|e| Error::mls("commit", e))?;
            Ok(Commit {
                message,
                welcome,
                tree: mls::to_bytes("ratchet tree", &tree)?,
                group_info,
                epoch,
            })
        })
    }

    pub fn group_merge(&mut self, conversation: &Conversation) -> Result<View> {
        let old = self.newest_view(conversation)?;
        let view = self.with_group(conversation, |group, session| {
            let change = own_change(group, session)?;
            group.merge_pending_commit(&session.provider).map_err(|e| Error::mls("merging", e))?;
            next_view(group, session.db, &old, change.moves_roster)
        })?;
        self.staged.remove(conversation);
        self.remember_view(view.clone());
        Ok(view)
    }

    pub fn group_discard(&mut self, conversation: &Conversation) -> Result<()> {
        self.with_group(conversation, |group, session| {
            if group.pending_commit().is_none() {
                return Err(Error::usage("no commit is pending"));
            }
            Ok(group.clear_pending_commit(&session.provider.storage)?)
        })
    }
}

type Messages = (Vec<u8>, Option<Vec<u8>>, Vec<u8>);

fn build_commit(
    group: &mut MlsGroup,
    session: &Session<'_>,
    add: &[Vec<u8>],
    remove: &[Member],
    context: Option<&Context>,
) -> Result<Messages> {
    let refused = |e: &dyn std::fmt::Debug| Error::mls("commit", e);
    let crypto = session.provider.crypto;
    let packages =
        add.iter().map(|bytes| mls::key_package(crypto, bytes)).collect::<Result<Vec<_>>>()?;
    let leaves = remove
        .iter()
        .map(|m| mls::leaf_index(group.public_group(), m))
        .collect::<Result<Vec<_>>>()?;
    let mut builder = group.commit_builder().propose_adds(packages).propose_removals(leaves);
    if let Some(context) = context {
        builder = builder
            .propose_group_context_extensions(context.extensions()?)
            .map_err(|e| refused(&e))?;
    }
    let bundle = builder
        .load_psks(&session.provider.storage)
        .map_err(|e| refused(&e))?
        .create_group_info(true)
        .build(crypto, crypto, &session.me.key, |_| true)
        .map_err(|e| refused(&e))?
        .stage_commit(&session.provider)
        .map_err(|e| refused(&e))?;
    let welcome = bundle.to_welcome_msg().map(|w| mls::to_bytes("welcome", &w)).transpose()?;
    let message = mls::to_bytes("commit", bundle.commit())?;
    let group_info = bundle
        .into_group_info_msg()
        .ok_or_else(|| Error::mls("commit", "no group info was made"))?;
    Ok((message, welcome, mls::to_bytes("group info", &group_info)?))
}

/// Judges the pending commit as others will. Errors: "usage" when there is none, "mls".
fn own_change(group: &MlsGroup, session: &Session<'_>) -> Result<Change> {
    let commit = group.pending_commit().ok_or_else(|| Error::usage("no commit is pending"))?;
    let credential = mls::credential(&session.me.member).credential;
    let sender = Sender::Member(group.own_leaf_index());
    mls::judge_commit(session.provider.crypto, group.public_group(), &sender, &credential, commit)
}

// ---- groups: others' handshakes

impl Device {
    /// Asks MLS and this project's rules about a PublicMessage; nothing changes yet. Errors: "mls",
    /// "usage".
    pub fn group_stage(&mut self, conversation: &Conversation, message: &[u8]) -> Result<Staged> {
        let message = mls::parse_handshake(message)?;
        self.staged.remove(conversation);
        let (staged, pending) = self.with_group(conversation, |group, session| {
            require_accepted(session.db, conversation)?;
            let processed = group
                .process_message(&session.provider, message)
                .map_err(|e| Error::mls("handshake", e))?;
            let epoch = processed.epoch().as_u64();
            let (sender, credential) = (processed.sender().clone(), processed.credential().clone());
            match processed.into_content() {
                ProcessedMessageContent::StagedCommitMessage(commit) => {
                    let change = mls::judge_commit(
                        session.provider.crypto,
                        group.public_group(),
                        &sender,
                        &credential,
                        &commit,
                    )?;
                    Ok((
                        of_commit(&change, epoch, &session.me.member),
                        Pending::Commit(Box::new((*commit, change))),
                    ))
                }
                ProcessedMessageContent::ProposalMessage(proposal) => {
                    let leaver = mls::judge_standalone(group.public_group(), &proposal)?;
                    Ok((
                        of_proposal(leaver, epoch, &session.me.member),
                        Pending::Proposal(proposal),
                    ))
                }
                ProcessedMessageContent::OwnPendingCommit => {
                    Err(Error::usage("this is the device's own pending commit: group_merge it"))
                }
                _ => Err(Error::mls("handshake", "neither a commit nor a self-remove")),
            }
        })?;
        self.staged.insert(*conversation, pending);
        Ok(staged)
    }

    /// Takes what was staged, or a group that was joined. Errors: "usage" when there is neither.
    pub fn group_accept(&mut self, conversation: &Conversation) -> Result<View> {
        match self.staged.remove(conversation) {
            Some(Pending::Commit(staged)) => self.accept_commit(conversation, *staged),
            Some(Pending::Proposal(proposal)) => {
                self.with_group(conversation, |group, session| {
                    Ok(group.store_pending_proposal(&session.provider.storage, *proposal)?)
                })?;
                Ok((*self.newest_view(conversation)?).clone())
            }
            None => self.accept_join(conversation),
        }
    }

    fn accept_commit(
        &mut self,
        conversation: &Conversation,
        (commit, change): (StagedCommit, Change),
    ) -> Result<View> {
        let old = self.newest_view(conversation)?;
        let view = self.with_group(conversation, |group, session| {
            group
                .merge_staged_commit(&session.provider, commit)
                .map_err(|e| Error::mls("accepting a commit", e))?;
            next_view(group, session.db, &old, change.moves_roster)
        })?;
        self.remember_view(view.clone());
        Ok(view)
    }

    fn accept_join(&mut self, conversation: &Conversation) -> Result<View> {
        let sql = "UPDATE cs_group SET accepted = 1 WHERE conversation = ? AND NOT accepted";
        let changed =
            self.atomic(|device| Ok(device.store.connection.execute(sql, [conversation])?))?;
        if changed == 0 {
            return Err(Error::usage("nothing was staged or joined in this conversation"));
        }
        Ok((*self.newest_view(conversation)?).clone())
    }

    pub fn group_refuse(&mut self, conversation: &Conversation) -> Result<()> {
        match self.staged.remove(conversation) {
            Some(_) => Ok(()),
            None => Err(Error::usage("nothing was staged in this conversation")),
        }
    }
}

fn of_commit(change: &Change, epoch: u64, me: &Member) -> Staged {
    Staged {
        kind: "commit",
        epoch,
        committer: change.committer,
        added: change.added.clone(),
        removed: change.removed.clone(),
        context: change.context,
        removes_me: change.removed.contains(me),
    }
}

fn of_proposal(leaver: Member, epoch: u64, me: &Member) -> Staged {
    Staged {
        kind: "proposal",
        epoch,
        committer: leaver,
        added: Vec::new(),
        removed: vec![leaver],
        context: None,
        removes_me: leaver == *me,
    }
}
