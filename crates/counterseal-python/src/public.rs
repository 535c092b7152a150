//! The service's side: handshakes checked without any secret.

use crate::Digest;
use crate::call::{raise, run};
use crate::group::PyView;
use counterseal_core::label::Member;
use counterseal_core::public::{self, Public};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

#[pyclass(frozen, get_all, name = "Public", module = "counterseal.core._core")]
pub struct PyPublic {
    state: Vec<u8>,
    kind: &'static str,
    view: Py<PyView>,
    sender: Member,
    added: Vec<Member>,
    removed: Vec<Member>,
    added_refs: Vec<Vec<u8>>,
}

impl PyPublic {
    fn new(py: Python<'_>, of: Public) -> PyResult<Self> {
        Ok(Self {
            view: Py::new(py, PyView::from(&of.view))?,
            state: of.state,
            kind: of.kind,
            sender: of.sender,
            added: of.added,
            removed: of.removed,
            added_refs: of.added_refs,
        })
    }
}

#[pyfunction]
pub fn public_group(py: Python<'_>, group_info: &[u8], tree: &[u8]) -> PyResult<PyPublic> {
    run(py, || public::group(group_info, tree)).and_then(|of| PyPublic::new(py, of))
}

#[pyfunction]
pub fn public_process(py: Python<'_>, state: &[u8], message: &[u8]) -> PyResult<PyPublic> {
    run(py, || public::process(state, message)).and_then(|of| PyPublic::new(py, of))
}

#[pyfunction]
pub fn parse_private<'py>(
    py: Python<'py>,
    message: &[u8],
) -> PyResult<([u8; 16], u64, Bound<'py, PyBytes>)> {
    // It takes less than letting go of the lock would.
    let (conversation, epoch, authenticated) = public::parse_private(message).map_err(raise)?;
    Ok((conversation, epoch, PyBytes::new(py, authenticated)))
}

#[pyfunction]
pub fn check_key_package(
    py: Python<'_>,
    key_package: &[u8],
) -> PyResult<(Digest, Digest, u16, Vec<u8>, bool)> {
    let facts = run(py, || public::check_key_package(key_package))?;
    Ok((facts.member.0, facts.member.1, facts.suite, facts.reference, facts.last_resort))
}
