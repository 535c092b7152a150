//! The compiled core of Counterseal: docs/protocol.md is what it implements, byte for byte.
//!
//! Upwards: `cbor`, `error` and `label` are what records are made of; `shares` and `seal` are the
//! counterseal; `frame` is one message; `mls` is what this project asks of MLS; `store`, `storage`
//! and `device` are a device's one database, on which `groups`, `views`, `window` and `received`
//! work. `public` is the service's side and `opening` the opener's: neither has a database. Python
//! sees it through the crate beside this one.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod cbor;
pub mod device;
pub mod error;
pub mod frame;
pub mod groups;
pub mod label;
pub mod mls;
pub mod opening;
pub mod public;
pub mod received;
pub mod seal;
pub mod shares;
pub mod storage;
pub mod store;
pub mod views;
pub mod window;
