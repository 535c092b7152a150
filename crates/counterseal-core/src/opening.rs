//! Opening windows from their joined `prk`, without any MLS state: docs/protocol.md sections 4 and
//! 5.
//!
//! The frames of all windows are opened side by side; the chain of each window is checked
//! afterwards, in order.

use crate::error::{Error, Result};
use crate::frame::{self, Place};
use crate::label::{Label, Prk, key_commitment};
use ed25519_dalek::VerifyingKey;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use subtle::ConstantTimeEq;

/// Frames that one thread takes at a time: some milliseconds of work.
const BATCH: usize = 128;

/// A window to be opened; messages in order of `seq`, as the service stored them.
pub struct Task<M> {
    pub label: Vec<u8>,
    pub seal_digest: [u8; 32],
    pub prk: Prk,
    pub messages: Vec<M>,
}

pub struct OpenedFrame {
    /// 0 when the message is too malformed to name one.
    pub seq: u64,
    /// The content, or the rule that refuses the frame.
    pub content: std::result::Result<Vec<u8>, &'static str>,
    pub message_digest: [u8; 32],
}

/// A window whose `prk` was proved to be the label's.
struct Proved<'a, M> {
    label: Label,
    window_id: [u8; 32],
    device: VerifyingKey,
    task: &'a Task<M>,
}

struct Link {
    frame: OpenedFrame,
    prev: Option<[u8; 32]>,
    ct_hash: [u8; 32],
}

/// Opens every frame of every window on at most `threads` threads.
///
/// Errors: S5 for a `prk` that does not give the label's key commitment; E1 to E7 for a label that
/// does not decode.
pub fn open_windows<M: AsRef<[u8]> + Sync>(
    tasks: &[Task<M>],
    threads: usize,
) -> Result<Vec<Vec<OpenedFrame>>> {
    let windows = tasks.iter().map(prove).collect::<Result<Vec<_>>>()?;
    let batches: Vec<(usize, usize)> = windows
        .iter()
        .enumerate()
        .flat_map(|(w, window)| {
            (0..window.task.messages.len()).step_by(BATCH).map(move |from| (w, from))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(HashMap::with_capacity(batches.len()));
    let work = || {
        while let Some(&(w, from)) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let window = &windows[w];
            let to = window.task.messages.len().min(from + BATCH);
            let links: Vec<Link> = window.task.messages[from..to]
                .iter()
                .map(|m| open_one(window, m.as_ref()))
                .collect();
            if let Ok(mut done) = done.lock() {
                done.insert((w, from), links);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, batches.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let mut done =
        done.into_inner().map_err(|_| Error::new("fatal", "a thread failed while opening"))?;
    let mut opened: Vec<Vec<Link>> =
        windows.iter().map(|w| Vec::with_capacity(w.task.messages.len())).collect();
    for batch in &batches {
        let links =
            done.remove(batch).ok_or_else(|| Error::new("fatal", "a batch was not opened"))?;
        opened[batch.0].extend(links);
    }
    Ok(opened.into_iter().map(check_chain).collect())
}

fn prove<M>(task: &Task<M>) -> Result<Proved<'_, M>> {
    let label = Label::decode(&task.label)?;
    let commitment = key_commitment(&task.prk)?;
    if !bool::from(commitment.ct_eq(&label.key_commitment)) {
        return Err(Error::new("S5", "the joined prk does not give the label's key commitment"));
    }
    let device = VerifyingKey::from_bytes(&label.device_key)
        .map_err(|_| Error::new("E6", "the label's device key is no Ed25519 key"))?;
    Ok(Proved { window_id: label.window_id(), label, device, task })
}

fn open_one<M>(window: &Proved<'_, M>, message: &[u8]) -> Link {
    let mut link = Link {
        frame: OpenedFrame {
            seq: 0,
            content: Err("F1"),
            message_digest: frame::message_digest(message),
        },
        prev: None,
        ct_hash: [0; 32],
    };
    link.frame.content = try_open(window, message, &mut link).map_err(|e| e.code);
    link
}

fn try_open<M>(window: &Proved<'_, M>, message: &[u8], link: &mut Link) -> Result<Vec<u8>> {
    let outside = frame::parse_private(message)?;
    let (place, ct) = Place::parse(outside.authenticated)?;
    link.frame.seq = place.seq;
    link.prev = place.prev;
    link.ct_hash = frame::ct_hash(ct);
    if place.window_id != window.window_id || outside.conversation != window.label.conversation {
        return Err(Error::new("F4", "a frame of another window"));
    }
    if place.seal_digest != window.task.seal_digest {
        return Err(Error::new("F5", "a frame that names another counterseal"));
    }
    let (content, sent_at_ms) = frame::open_content(&window.task.prk, &window.device, &place, ct)?;
    frame::check_sent_at(sent_at_ms, window.label.opens, window.label.closes)?;
    Ok(content)
}

/// F8 for a `seq` that stands twice, F9 for a `prev` that is not the frame before. A missing frame
/// is no error: `seq` shows it.
fn check_chain(links: Vec<Link>) -> Vec<OpenedFrame> {
    let mut seen: HashMap<u64, [u8; 32]> = HashMap::with_capacity(links.len());
    let mut frames = Vec::with_capacity(links.len());
    for Link { mut frame, prev, ct_hash } in links {
        if frame.content.is_ok() {
            let before = frame.seq.checked_sub(1).and_then(|seq| seen.get(&seq));
            let unchained = before.is_some_and(|before| Some(*before) != prev);
            match seen.entry(frame.seq) {
                Entry::Occupied(_) => frame.content = Err("F8"),
                Entry::Vacant(_) if unchained => frame.content = Err("F9"),
                Entry::Vacant(place) => {
                    place.insert(ct_hash);
                }
            }
        }
        frames.push(frame);
    }
    frames
}
