//! A device's windows, and the frames it seals in them.

use crate::device::{Conversation, Device, Keyset, Session, sql_int};
use crate::error::{Error, Result};
use crate::frame::{self, KeyContent, Place};
use crate::groups::require_accepted;
use crate::label::{Label, Member};
use crate::mls::{self, View};
use crate::seal;
use openmls::prelude::MlsGroup;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use zeroize::Zeroizing;

type Key = Zeroizing<[u8; 32]>;

pub struct Window {
    pub window_id: [u8; 32],
    pub label: Vec<u8>,
    pub roster: Vec<u8>,
    pub counterseal: Vec<u8>,
    pub seal_digest: [u8; 32],
    pub opens: u64,
    pub closes: u64,
    pub serial: u64,
    pub next_seq: u64,
}

pub struct Sealed {
    pub message: Vec<u8>,
    pub window_id: [u8; 32],
    pub seq: u64,
}

// ---- windows

impl Device {
    /// Opens a window of this device's in the period that begins at `opens`. Errors: L2, L5,
    /// "usage".
    pub fn window_open(
        &mut self,
        conversation: &Conversation,
        opens: u64,
        serial: u64,
    ) -> Result<Window> {
        let (view, me) = (self.newest_view(conversation)?, self.me()?);
        let keyset = self.keyset_of(&view)?;
        if !opens.is_multiple_of(keyset.period_length) {
            return Err(Error::new(
                "L2",
                format!("{opens} does not begin a period of {} s", keyset.period_length),
            ));
        }
        if !view.members.contains(&me.member) {
            return Err(Error::usage("this device is not in the conversation any more"));
        }
        let mut key: Key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice())
            .map_err(|e| Error::new("fatal", format!("no randomness: {e}")))?;
        let mut label = draft_label(
            &view,
            &keyset,
            &me.member,
            (opens, opens.saturating_add(keyset.period_length)),
            serial,
        );
        let prk = label.commit(&key)?;
        let window_id = label.window_id();
        let counterseal =
            seal::seal(&prk, &window_id, &label.charter_digest, &keyset.tree, &keyset.keys)?;
        let window = Window {
            window_id,
            label: label.encode(),
            roster: view.roster.clone(),
            seal_digest: seal::digest(&counterseal),
            counterseal,
            opens,
            closes: label.closes,
            serial,
            next_seq: 0,
        };
        self.atomic(|device| {
            let db = &device.store.connection;
            require_accepted(db, conversation)?;
            if newest_serial(db, conversation, &me.member.1)?
                .is_some_and(|(last, _)| last >= serial)
            {
                return Err(Error::new("L5", "the serial does not rise"));
            }
            insert_window(db, &label, &window, &key, true)
        })?;
        Ok(window)
    }

    /// A window of this device's own, while its key is kept.
    pub fn window(&self, window_id: &[u8; 32]) -> Result<Option<Window>> {
        load_window(&self.store.connection, window_id)
    }

    /// This device's newest window of the period, if its label still fits the group's present view.
    pub fn window_current(
        &mut self,
        conversation: &Conversation,
        opens: u64,
    ) -> Result<Option<Window>> {
        let (view, me) = (self.newest_view(conversation)?, self.me()?);
        let sql = "SELECT window_id FROM cs_window
                   WHERE conversation = ? AND device_key = ? AND opens = ?
                       AND own AND key IS NOT NULL
                   ORDER BY serial DESC LIMIT 1";
        let id = {
            let mut statement = self.store.connection.prepare_cached(sql)?;
            let place = params![conversation, me.member.1, sql_int(opens)?];
            statement.query_row(place, |row| row.get::<_, [u8; 32]>(0)).optional()?
        };
        let Some(window) = id.map(|id| self.window(&id)).transpose()?.flatten() else {
            return Ok(None);
        };
        let keyset = self.keyset_of(&view)?;
        let label = Label::decode(&window.label)?;
        Ok(fits(&label, &view, &keyset, &me.member).then_some(window))
    }

    /// Erases the keys of all windows, own and others', that had closed by `closed_before`. Gives
    /// their number.
    pub fn window_drop_keys(&mut self, closed_before: u64) -> Result<usize> {
        let sql = "UPDATE cs_window SET key = NULL, counterseal = NULL
                   WHERE closes <= ? AND key IS NOT NULL";
        let until = sql_int(closed_before)?;
        let count = self.atomic(|device| Ok(device.store.connection.execute(sql, [until])?))?;
        self.store.flush_log()?;
        Ok(count)
    }

    /// Makes label, roster and counterseal of any window again whose key is kept. Errors: "usage".
    pub fn window_remake(&mut self, window_id: &[u8; 32]) -> Result<Window> {
        let sql =
            "SELECT key, label, roster FROM cs_window WHERE window_id = ? AND key IS NOT NULL";
        let row = self.store.connection.query_row(sql, [window_id], |row| {
            Ok((
                Zeroizing::new(row.get::<_, [u8; 32]>(0)?),
                row.get::<_, Vec<u8>>(1)?,
                row.get::<_, Vec<u8>>(2)?,
            ))
        });
        let (key, encoded, roster) = row
            .optional()?
            .ok_or_else(|| Error::usage("this device has no key of this window any more"))?;
        let label = Label::decode(&encoded)?;
        let keyset = self.keyset(&label.charter_digest, &label.keyset_digest)?;
        let prk = label.derive_prk(&key);
        let counterseal =
            seal::seal(&prk, window_id, &label.charter_digest, &keyset.tree, &keyset.keys)?;
        Ok(Window {
            window_id: *window_id,
            label: encoded,
            roster,
            seal_digest: seal::digest(&counterseal),
            counterseal,
            opens: label.opens,
            closes: label.closes,
            serial: label.serial,
            next_seq: next_place(&self.store.connection, window_id)?.0,
        })
    }

    pub(crate) fn keyset_of(&mut self, view: &View) -> Result<Arc<Keyset>> {
        self.keyset(&view.context.charter_digest, &view.context.keyset_digest)
    }
}

/// A label whose key commitment is still to be filled in.
pub(crate) fn draft_label(
    view: &View,
    keyset: &Keyset,
    member: &Member,
    (opens, closes): (u64, u64),
    serial: u64,
) -> Label {
    Label {
        domain: keyset.domain.clone(),
        charter_digest: view.context.charter_digest,
        keyset_digest: view.context.keyset_digest,
        conversation: view.conversation,
        account_id: member.0,
        device_key: member.1,
        roster_epoch: view.roster_epoch,
        opens,
        closes,
        serial,
        roster_digest: view.roster_digest,
        key_commitment: [0; 32],
    }
}

fn fits(label: &Label, view: &View, keyset: &Keyset, member: &Member) -> bool {
    let mut expected = draft_label(view, keyset, member, (label.opens, label.closes), label.serial);
    expected.key_commitment = label.key_commitment;
    expected == *label
}

pub(crate) fn insert_window(
    db: &Connection,
    label: &Label,
    window: &Window,
    key: &Key,
    own: bool,
) -> Result<()> {
    let sql =
        "INSERT INTO cs_window (window_id, own, conversation, device_key, opens, closes, serial,
                                      key, seal_digest, label, roster, counterseal)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        window.window_id,
        own,
        label.conversation,
        label.device_key,
        sql_int(window.opens)?,
        sql_int(window.closes)?,
        sql_int(window.serial)?,
        **key,
        window.seal_digest,
        window.label,
        window.roster,
        own.then_some(&window.counterseal),
    ])?;
    Ok(())
}

fn load_window(db: &Connection, window_id: &[u8; 32]) -> Result<Option<Window>> {
    let sql = "SELECT label, roster, counterseal, seal_digest, opens, closes, serial FROM cs_window
               WHERE window_id = ? AND own AND counterseal IS NOT NULL";
    let mut statement = db.prepare_cached(sql)?;
    let window = statement.query_row([window_id], |row| {
        Ok(Window {
            window_id: *window_id,
            label: row.get(0)?,
            roster: row.get(1)?,
            counterseal: row.get(2)?,
            seal_digest: row.get(3)?,
            opens: row.get(4)?,
            closes: row.get(5)?,
            serial: row.get(6)?,
            next_seq: 0,
        })
    });
    let Some(mut window) = window.optional()? else {
        return Ok(None);
    };
    window.next_seq = next_place(db, window_id)?.0;
    Ok(Some(window))
}

/// The highest serial seen from a device in a conversation, and its window.
pub(crate) fn newest_serial(
    db: &Connection,
    conversation: &Conversation,
    device_key: &[u8; 32],
) -> Result<Option<(u64, [u8; 32])>> {
    let sql = "SELECT serial, window_id FROM cs_window WHERE conversation = ? AND device_key = ?
               ORDER BY serial DESC LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    let row = statement
        .query_row(params![conversation, device_key], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(row.optional()?)
}

/// `seq` and `prev` of the next frame of a window.
fn next_place(db: &Connection, window_id: &[u8; 32]) -> Result<(u64, Option<[u8; 32]>)> {
    let sql = "SELECT seq, ct FROM cs_frame WHERE window_id = ? ORDER BY seq DESC LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    let row = statement.query_row([window_id], |row| Ok((row.get::<_, u64>(0)?, row.get(1)?)));
    Ok(row.optional()?.map_or((0, None), |(seq, ct)| (seq + 1, Some(ct))))
}

pub(crate) fn insert_frame(
    db: &Connection,
    place: &Place,
    message: &[u8; 32],
    ct: &[u8],
) -> Result<()> {
    let sql = "INSERT INTO cs_frame (window_id, seq, message, ct, prev) VALUES (?, ?, ?, ?, ?)";
    let row =
        params![place.window_id, sql_int(place.seq)?, message, frame::ct_hash(ct), place.prev];
    db.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

// ---- sealing

struct OwnWindow {
    conversation: Conversation,
    label: Label,
    key: Key,
    seal_digest: [u8; 32],
}

impl Device {
    /// Seals an encoded content array as the window's next frame. Errors: "usage", F10.
    pub fn frame_seal(&mut self, window_id: &[u8; 32], content: &[u8]) -> Result<Sealed> {
        let window = self.own_window(window_id)?;
        let view = self.newest_view(&window.conversation)?;
        let (keyset, me) = (self.keyset_of(&view)?, self.me()?);
        if !fits(&window.label, &view, &keyset, &me.member) {
            return Err(Error::usage(
                "the window no longer fits the conversation's roster, charter or keyset: \
                 open a new one",
            ));
        }
        let sent_at_ms =
            frame::check_content(content).map_err(|e| e.under("usage", "content to be sent"))?;
        frame::check_sent_at(sent_at_ms, window.label.opens, window.label.closes)?;
        self.with_group(&window.conversation, |group, session| {
            seal_frame(group, session, &window, window_id, content)
        })
    }

    /// Takes back the window's newest frame, whose `seq` the next one uses again with a fresh `r`.
    /// Errors: "usage".
    pub fn frame_unseal(&mut self, window_id: &[u8; 32], seq: u64) -> Result<()> {
        let sql = "DELETE FROM cs_frame WHERE window_id = ?1 AND seq = ?2
                   AND seq = (SELECT max(seq) FROM cs_frame WHERE window_id = ?1)
                   AND window_id IN (SELECT window_id FROM cs_window WHERE own)";
        let place = params![window_id, sql_int(seq)?];
        match self.atomic(|device| Ok(device.store.connection.execute(sql, place)?))? {
            1 => Ok(()),
            _ => Err(Error::usage(format!(
                "frame {seq} is not the newest of a window of this device's own"
            ))),
        }
    }

    fn own_window(&self, window_id: &[u8; 32]) -> Result<OwnWindow> {
        let sql = "SELECT label, key, seal_digest FROM cs_window
                   WHERE window_id = ? AND own AND key IS NOT NULL";
        let mut statement = self.store.connection.prepare_cached(sql)?;
        let row = statement.query_row([window_id], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, Zeroizing::new(row.get::<_, [u8; 32]>(1)?), row.get(2)?))
        });
        let (label, key, seal_digest) = row.optional()?.ok_or_else(|| {
            Error::usage("this device has no such window, or no key of it any more")
        })?;
        let label = Label::decode(&label)?;
        Ok(OwnWindow { conversation: label.conversation, label, key, seal_digest })
    }
}

fn seal_frame(
    group: &mut MlsGroup,
    session: &Session<'_>,
    window: &OwnWindow,
    window_id: &[u8; 32],
    content: &[u8],
) -> Result<Sealed> {
    require_accepted(session.db, &window.conversation)?;
    let (seq, prev) = next_place(session.db, window_id)?;
    let mut place =
        Place { window_id: *window_id, seal_digest: window.seal_digest, seq, r: [0; 16], prev };
    getrandom::fill(&mut place.r)
        .map_err(|e| Error::new("fatal", format!("no randomness: {e}")))?;
    let prk = window.label.derive_prk(&window.key);
    let ct = frame::seal_content(&prk, &session.me.key.0, &place, content)?;
    let key = KeyContent {
        key: window.key.clone(),
        opens: window.label.opens,
        closes: window.label.closes,
        serial: window.label.serial,
    };
    // Set right before its use: OpenMLS clears it only when the next call succeeds, and after an
    // error this copy of the group is dropped.
    group.set_aad(place.authenticated(&ct));
    let message = group
        .create_message(&session.provider, &session.me.key, &key.encode())
        .map_err(|e| Error::mls("sending", e))?;
    let message = mls::to_bytes("sending", &message)?;
    if message.len() > frame::MAX_MESSAGE {
        return Err(Error::usage(format!("a frame of {} bytes is over 64 KiB", message.len())));
    }
    insert_frame(session.db, &place, &frame::message_digest(&message), &ct)?;
    Ok(Sealed { message, window_id: *window_id, seq })
}
