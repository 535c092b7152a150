//! How a call crosses from Python into the core and back.

use counterseal_core::error::{Error, Result};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::{create_exception, intern};
use std::panic::{AssertUnwindSafe, catch_unwind};

create_exception!(
    counterseal.core._core,
    CoreError,
    PyException,
    "Anything the compiled core refuses; see `code` and `message`."
);

/// The core's error as Python's, with its `code` and `message` beside the text.
pub fn raise(error: Error) -> PyErr {
    Python::attach(|py| {
        let raised = CoreError::new_err(error.to_string());
        let value = raised.value(py);
        let set = value
            .setattr(intern!(py, "code"), error.code)
            .and_then(|()| value.setattr(intern!(py, "message"), &error.message));
        set.err().unwrap_or(raised)
    })
}

/// Bytes of exactly `N`. `what` names them in the error. Errors: "usage".
pub fn fixed<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N]> {
    bytes
        .try_into()
        .map_err(|_| Error::usage(format!("{what} must be {N} bytes, not {}", bytes.len())))
}

/// Runs work that needs nothing of Python without the interpreter lock.
pub fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(|| caught(work)).map_err(raise)
}

/// A panic is a defect of ours, never an answer: it becomes the error "fatal".
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // The caller drops whatever the work had in its hands, so nobody sees it half changed.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new("fatal", "a defect in the core: please report it")))
}
