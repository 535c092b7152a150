//! What a member asks of a frame before it shows it: rules F1 to F12 of docs/protocol.md section 5,
//! in that order.

use crate::device::{Conversation, Device, Keyset, sql_int};
use crate::error::{Error, Result};
use crate::frame::{self, KeyContent, Outside, Place};
use crate::groups::require_accepted;
use crate::label::{Label, Member, Prk};
use crate::mls::{self, View};
use crate::seal;
use crate::window::{Window, draft_label, insert_frame, insert_window, newest_serial};
use ed25519_dalek::VerifyingKey;
use openmls::prelude::ProcessedMessageContent;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A frame that was read. Of a `duplicate` only the place is set.
pub struct Opened {
    pub window_id: [u8; 32],
    pub seq: u64,
    pub sender: Member,
    pub label: Vec<u8>,
    pub content: Vec<u8>,
    pub sent_at_ms: u64,
    pub gap: u64,
    pub current: bool,
    pub epoch: u64,
    pub duplicate: bool,
}

/// A frame on its way through the rules.
struct ReceivedFrame<'a> {
    place: Place,
    ct: &'a [u8],
    digest: [u8; 32],
    epoch: u64,
    now: u64,
}

impl<'a> ReceivedFrame<'a> {
    /// Errors: F2.
    fn parse(outside: &Outside<'a>, message: &[u8], now: u64) -> Result<Self> {
        let (place, ct) = Place::parse(outside.authenticated)?;
        let digest = frame::message_digest(message);
        Ok(Self { place, ct, digest, epoch: outside.epoch, now })
    }
}

/// A window that this device knows already.
struct KnownWindow {
    device_key: [u8; 32],
    seal_digest: [u8; 32],
}

impl Device {
    /// Asks F1 to F12 of a frame, in that order, in one transaction.
    ///
    /// A refusal after MLS has decrypted keeps the ratchet where it is, so that the conversation
    /// goes on; "usage" and "store" errors leave everything as it was, and the frame can be given
    /// again.
    pub fn frame_open(
        &mut self,
        conversation: &Conversation,
        message: &[u8],
        now: u64,
    ) -> Result<Opened> {
        let outside = frame::parse_private(message)?;
        if outside.conversation != *conversation {
            return Err(Error::new("F1", "a message of another conversation"));
        }
        let received = ReceivedFrame::parse(&outside, message, now)?;
        // F8, the harmless half: the same bytes again. Asked first, because their ratchet secret is
        // gone.
        if seen_before(&self.store.connection, &received)? {
            return Ok(duplicate(&received));
        }
        let view = self.view_of_frame(conversation, outside.epoch)?;
        let keyset = self.keyset_of(&view)?;
        let message = mls::parse(message)
            .and_then(|m| m.try_into_protocol_message().map_err(|e| Error::mls("frame", e)))
            .map_err(|e| e.under("F1", "frame"))?;
        self.with_group(conversation, |group, session| {
            require_accepted(session.db, conversation)?;
            let processed = group
                .process_message(&session.provider, message)
                .map_err(|e| Error::new("F1", format!("MLS refuses the message: {e:?}")))?;
            let sender = mls::named_by(processed.credential());
            let content = match processed.into_content() {
                ProcessedMessageContent::ApplicationMessage(content) => {
                    Zeroizing::new(content.into_bytes())
                }
                _ => {
                    return Err(Error::new("F1", "not an application message of another device"));
                }
            };
            let outcome = sender.map_err(|e| e.under("F3", "sender")).and_then(|sender| {
                judge_frame(session.db, &view, &keyset, &received, sender, &content)
            });
            match outcome {
                // Our own failures undo the whole operation; a rule's refusal is kept, with the
                // ratchet as MLS left it.
                Err(error) if !error.code.starts_with('F') => Err(error),
                outcome => Ok(outcome),
            }
        })?
    }
    /// The view that a frame of this epoch is judged by. Errors: F1.
    fn view_of_frame(&mut self, conversation: &Conversation, epoch: u64) -> Result<Arc<View>> {
        if epoch > self.newest_view(conversation)?.epoch {
            return Err(Error::new(
                "F1",
                format!("epoch {epoch} has not begun here: its commit comes first"),
            ));
        }
        self.view(conversation, epoch)
            .map_err(|e| e.under("F1", "an epoch before this device joined"))
    }
}

fn duplicate(received: &ReceivedFrame<'_>) -> Opened {
    Opened {
        window_id: received.place.window_id,
        seq: received.place.seq,
        sender: ([0; 32], [0; 32]),
        label: Vec::new(),
        content: Vec::new(),
        sent_at_ms: 0,
        gap: 0,
        current: false,
        epoch: received.epoch,
        duplicate: true,
    }
}

fn seen_before(db: &Connection, received: &ReceivedFrame<'_>) -> Result<bool> {
    let sql = "SELECT message FROM cs_frame WHERE window_id = ? AND seq = ?";
    let mut statement = db.prepare_cached(sql)?;
    let known = statement
        .query_row(params![received.place.window_id, sql_int(received.place.seq)?], |row| {
            row.get::<_, [u8; 32]>(0)
        });
    Ok(known.optional()? == Some(received.digest))
}

/// F2 to F12, after MLS has given the sender and the content. Writes what the next frame is judged
/// by.
fn judge_frame(
    db: &Connection,
    view: &View,
    keyset: &Keyset,
    received: &ReceivedFrame<'_>,
    sender: Member,
    content: &[u8],
) -> Result<Opened> {
    let place = &received.place;
    let key = KeyContent::parse(content)?;
    let known = known_window(db, &place.window_id)?;
    check_sender(view, known.as_ref(), &sender)?;
    let (label, prk) = check_label(view, keyset, place, &sender, &key)?;
    check_seal(known.as_ref(), keyset, &label, &prk, place)?;
    let device = VerifyingKey::from_bytes(&sender.1)
        .map_err(|_| Error::new("F7", "the device key is no Ed25519 key"))?;
    let (content, sent_at_ms) = frame::open_content(&prk, &device, place, received.ct)?;
    let gap = check_chain(db, place, received.ct)?;
    frame::check_sent_at(sent_at_ms, label.opens, label.closes)?;
    check_serial(db, &label, &place.window_id)?;
    let encoded = label.encode();
    if known.is_none() {
        let window = Window {
            window_id: place.window_id,
            label: encoded.clone(),
            roster: view.roster.clone(),
            counterseal: Vec::new(),
            seal_digest: place.seal_digest,
            opens: label.opens,
            closes: label.closes,
            serial: label.serial,
            next_seq: 0,
        };
        insert_window(db, &label, &window, &key.key, false)?;
    }
    insert_frame(db, place, &received.digest, received.ct)?;
    Ok(Opened {
        window_id: place.window_id,
        seq: place.seq,
        sender,
        label: encoded,
        content,
        sent_at_ms,
        gap,
        current: received.now < label.closes,
        epoch: received.epoch,
        duplicate: false,
    })
}

fn known_window(db: &Connection, window_id: &[u8; 32]) -> Result<Option<KnownWindow>> {
    let mut statement =
        db.prepare_cached("SELECT device_key, seal_digest FROM cs_window WHERE window_id = ?")?;
    let row = statement.query_row([window_id], |row| {
        Ok(KnownWindow { device_key: row.get(0)?, seal_digest: row.get(1)? })
    });
    Ok(row.optional()?)
}

/// F3.
fn check_sender(view: &View, known: Option<&KnownWindow>, sender: &Member) -> Result<()> {
    if !view.members.contains(sender) {
        return Err(Error::new("F3", "the sender is not in the roster of the message's epoch"));
    }
    if known.is_some_and(|window| window.device_key != sender.1) {
        return Err(Error::new("F3", "the window belongs to another device than the sender"));
    }
    Ok(())
}

/// F4: the label from this member's own view and this frame's key.
fn check_label(
    view: &View,
    keyset: &Keyset,
    place: &Place,
    sender: &Member,
    key: &KeyContent,
) -> Result<(Label, Prk)> {
    let whole_period = key.opens.is_multiple_of(keyset.period_length)
        && key.opens.checked_add(keyset.period_length) == Some(key.closes);
    if !whole_period || sql_int(key.closes).is_err() || sql_int(key.serial).is_err() {
        return Err(Error::new("F4", "opens and closes are not a period of the charter (L2)"));
    }
    let mut label = draft_label(view, keyset, sender, (key.opens, key.closes), key.serial);
    let prk = label.commit(&key.key)?;
    if label.window_id() != place.window_id {
        return Err(Error::new(
            "F4",
            "the label of this view and key does not give the frame's window id",
        ));
    }
    Ok((label, prk))
}

/// F5: remade once for a window, then the digest that was found good is what counts.
fn check_seal(
    known: Option<&KnownWindow>,
    keyset: &Keyset,
    label: &Label,
    prk: &Prk,
    place: &Place,
) -> Result<()> {
    let digest = match known {
        Some(window) => window.seal_digest,
        None => {
            let charter = &label.charter_digest;
            seal::digest(&seal::seal(prk, &place.window_id, charter, &keyset.tree, &keyset.keys)?)
        }
    };
    if digest != place.seal_digest {
        return Err(Error::new("F5", "the counterseal is not sealed as the charter says (S2)"));
    }
    Ok(())
}

/// F8 and F9. Gives the number of frames missing right before this one.
fn check_chain(db: &Connection, place: &Place, ct: &[u8]) -> Result<u64> {
    let sql = "SELECT seq, ct, prev FROM cs_frame WHERE window_id = ? AND seq <= ?
               ORDER BY seq DESC LIMIT 3";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows =
        statement.query(params![place.window_id, sql_int(place.seq.saturating_add(1))?])?;
    let mut gap = place.seq;
    while let Some(row) = rows.next()? {
        let (seq, before, prev): (u64, [u8; 32], Option<[u8; 32]>) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        if seq == place.seq {
            return Err(Error::new("F8", "another frame of this window has the same seq"));
        }
        if seq > place.seq {
            // A frame that came late must be the one that its successor, which came first, has
            // named.
            if prev != Some(frame::ct_hash(ct)) {
                return Err(Error::new("F9", "the frame after this one names another before it"));
            }
            continue;
        }
        gap = place.seq - seq - 1;
        if gap == 0 && place.prev != Some(before) {
            return Err(Error::new("F9", "prev does not fit the frame before"));
        }
        break;
    }
    Ok(gap)
}

/// F12.
fn check_serial(db: &Connection, label: &Label, window_id: &[u8; 32]) -> Result<()> {
    match newest_serial(db, &label.conversation, &label.device_key)? {
        Some((newest, id))
            if newest > label.serial || (newest == label.serial && id != *window_id) =>
        {
            Err(Error::new("F12", format!("serial {} after {newest} was seen", label.serial)))
        }
        _ => Ok(()),
    }
}
