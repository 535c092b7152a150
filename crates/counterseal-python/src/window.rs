//! What a device's windows and frames give.

use crate::Digest;
use counterseal_core::received::Opened;
use counterseal_core::window::{Sealed, Window};
use pyo3::prelude::*;

#[pyclass(frozen, get_all, name = "Window", module = "counterseal.core._core")]
pub struct PyWindow {
    window_id: Digest,
    label: Vec<u8>,
    roster: Vec<u8>,
    counterseal: Vec<u8>,
    seal_digest: Digest,
    opens: u64,
    closes: u64,
    serial: u64,
    next_seq: u64,
}

impl From<Window> for PyWindow {
    fn from(window: Window) -> Self {
        Self {
            window_id: window.window_id,
            label: window.label,
            roster: window.roster,
            counterseal: window.counterseal,
            seal_digest: window.seal_digest,
            opens: window.opens,
            closes: window.closes,
            serial: window.serial,
            next_seq: window.next_seq,
        }
    }
}

#[pyclass(frozen, get_all, name = "Sealed", module = "counterseal.core._core")]
pub struct PySealed {
    message: Vec<u8>,
    window_id: Digest,
    seq: u64,
}

impl From<Sealed> for PySealed {
    fn from(sealed: Sealed) -> Self {
        Self { message: sealed.message, window_id: sealed.window_id, seq: sealed.seq }
    }
}

#[pyclass(frozen, get_all, name = "Opened", module = "counterseal.core._core")]
pub struct PyOpened {
    window_id: Digest,
    seq: u64,
    account_id: Digest,
    device_key: Digest,
    label: Vec<u8>,
    content: Vec<u8>,
    sent_at_ms: u64,
    gap: u64,
    current: bool,
    epoch: u64,
    duplicate: bool,
}

impl From<Opened> for PyOpened {
    fn from(opened: Opened) -> Self {
        Self {
            window_id: opened.window_id,
            seq: opened.seq,
            account_id: opened.sender.0,
            device_key: opened.sender.1,
            label: opened.label,
            content: opened.content,
            sent_at_ms: opened.sent_at_ms,
            gap: opened.gap,
            current: opened.current,
            epoch: opened.epoch,
            duplicate: opened.duplicate,
        }
    }
}
