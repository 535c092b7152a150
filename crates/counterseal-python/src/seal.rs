//! The counterseal and its shares.

use crate::Digest;
use crate::call::{fixed, raise, run};
use counterseal_core::error::Result;
use counterseal_core::label::Label;
use counterseal_core::seal::{self, SealingKeys};
use counterseal_core::shares::{self, Tree};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use zeroize::Zeroizing;

#[pyfunction]
pub fn derive_prk(label: &[u8], key: &[u8]) -> PyResult<Digest> {
    let derive = || Ok(*Label::decode(label)?.derive_prk(&Zeroizing::new(fixed(key, "key")?)));
    derive().map_err(raise)
}

#[pyfunction]
pub fn seal_counterseal(
    py: Python<'_>,
    prk: &[u8],
    window_id: &[u8],
    charter_digest: &[u8],
    tree: &[u8],
    keys: Vec<Option<PyBackedBytes>>,
) -> PyResult<Vec<u8>> {
    run(py, || {
        let tree = Tree::decode(tree)?;
        let keys = SealingKeys::decode(&tree, &keys)?;
        let prk = Zeroizing::new(fixed(prk, "prk")?);
        let window_id = fixed(window_id, "window_id")?;
        let charter_digest = fixed(charter_digest, "charter_digest")?;
        seal::seal(&prk, &window_id, &charter_digest, &tree, &keys)
    })
}

#[pyfunction]
pub fn join_shares(tree: &[u8], shares: Vec<(usize, PyBackedBytes)>) -> PyResult<Digest> {
    let share =
        |(position, share): &(usize, PyBackedBytes)| Ok((*position, fixed(share, "share")?));
    let join = || {
        let shares = Zeroizing::new(shares.iter().map(share).collect::<Result<Vec<_>>>()?);
        Ok(*shares::join(&Tree::decode(tree)?, &shares)?)
    };
    join().map_err(raise)
}

#[pyfunction]
pub fn split_shares(tree: &[u8], prk: &[u8]) -> PyResult<Vec<Digest>> {
    let split = || {
        let shares = shares::split(&Tree::decode(tree)?, &Zeroizing::new(fixed(prk, "prk")?))?;
        Ok(shares.iter().map(|share| **share).collect())
    };
    split().map_err(raise)
}
