//! Opening windows from their joined `prk`.

use crate::Digest;
use crate::call::{fixed, run};
use counterseal_core::error::Result;
use counterseal_core::opening::{self, OpenedFrame, Task};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use zeroize::Zeroizing;

#[pyclass(frozen, get_all, name = "OpenedFrame", module = "counterseal.core._core")]
pub struct PyOpenedFrame {
    seq: u64,
    content: Option<Vec<u8>>,
    error: Option<&'static str>,
    message_digest: Digest,
}

impl From<OpenedFrame> for PyOpenedFrame {
    fn from(frame: OpenedFrame) -> Self {
        Self {
            seq: frame.seq,
            error: frame.content.as_ref().err().copied(),
            content: frame.content.ok(),
            message_digest: frame.message_digest,
        }
    }
}

/// (label, seal_digest, prk, messages)
type PyTask = (Vec<u8>, PyBackedBytes, PyBackedBytes, Vec<PyBackedBytes>);

fn task((label, seal_digest, prk, messages): PyTask) -> Result<Task<PyBackedBytes>> {
    Ok(Task {
        label,
        seal_digest: fixed(&seal_digest, "seal_digest")?,
        prk: Zeroizing::new(fixed(&prk, "prk")?),
        messages,
    })
}

#[pyfunction]
pub fn open_windows(
    py: Python<'_>,
    windows: Vec<PyTask>,
    threads: usize,
) -> PyResult<Vec<Vec<PyOpenedFrame>>> {
    let opened = run(py, || {
        let tasks = windows.into_iter().map(task).collect::<Result<Vec<_>>>()?;
        opening::open_windows(&tasks, threads)
    })?;
    let frames = |window: Vec<OpenedFrame>| window.into_iter().map(PyOpenedFrame::from).collect();
    Ok(opened.into_iter().map(frames).collect())
}
