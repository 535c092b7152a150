//! The device: one class whose methods are the core's operations on one database.

use crate::Digest;
use crate::call::{caught, fixed, raise, run};
use crate::group::{PyCommit, PyStaged, PyView, context, member};
use crate::sql;
use crate::window::{PyOpened, PySealed, PyWindow};
use counterseal_core::device::Device;
use counterseal_core::error::{Error, Result};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyTuple;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// `None` once it is closed.
#[pyclass(frozen, name = "Device", module = "counterseal.core._core")]
pub struct PyDevice(Mutex<Option<Device>>);

impl PyDevice {
    fn opened(device: Device) -> Self {
        Self(Mutex::new(Some(device)))
    }

    /// Runs `work` on the open device without the interpreter lock.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Device) -> Result<T> + Send,
    ) -> PyResult<T> {
        py.detach(|| {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let device = slot.as_mut().ok_or_else(|| Error::usage("this device is closed"))?;
            let done = caught(|| work(device));
            // After a panic nobody knows what the device's memory holds: it is closed, and the
            // database rolls back what was not committed.
            if done.as_ref().is_err_and(|error| error.code == "fatal") {
                *slot = None;
            }
            done
        })
        .map_err(raise)
    }

    /// As `with`, on one conversation.
    fn within<T: Send>(
        &self,
        py: Python<'_>,
        conversation: &[u8],
        work: impl FnOnce(&mut Device, &[u8; 16]) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.with(py, |device| work(device, &fixed(conversation, "conversation")?))
    }
}

#[pymethods]
impl PyDevice {
    #[staticmethod]
    fn create(py: Python<'_>, path: &str, key: &[u8]) -> PyResult<Self> {
        let create = || Device::create(Path::new(path), &Zeroizing::new(fixed(key, "key")?));
        run(py, create).map(Self::opened)
    }

    #[staticmethod]
    fn open(py: Python<'_>, path: &str, key: &[u8]) -> PyResult<Self> {
        let open = || Device::open(Path::new(path), &Zeroizing::new(fixed(key, "key")?));
        run(py, open).map(Self::opened)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None);
    }

    // ---- SQL, for the client's own tables

    fn begin(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, Device::begin)
    }

    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, Device::commit)
    }

    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, Device::rollback)
    }

    #[pyo3(signature = (sql, params = Vec::new()))]
    fn execute<'py>(
        &self,
        py: Python<'py>,
        sql: &str,
        params: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let params = params.iter().map(sql::parameter).collect::<PyResult<Vec<_>>>()?;
        let rows = self.with(py, |device| device.execute(sql, params))?;
        rows.into_iter().map(|values| sql::row(py, values)).collect()
    }

    // ---- identity, keysets

    fn set_identity(&self, py: Python<'_>, account_id: &[u8], device_seed: &[u8]) -> PyResult<()> {
        self.with(py, |device| {
            let account_id = fixed(account_id, "account_id")?;
            let seed = Zeroizing::new(fixed(device_seed, "device_seed")?);
            device.set_identity(&account_id, &seed)
        })
    }

    fn identity(&self, py: Python<'_>) -> PyResult<Option<(Digest, Digest)>> {
        self.with(py, |device| Ok(device.identity()))
    }

    fn sign(&self, py: Python<'_>, message: &[u8]) -> PyResult<[u8; 64]> {
        self.with(py, |device| device.sign(message))
    }

    // One argument for each of the stub's.
    #[allow(clippy::too_many_arguments)]
    fn register_keyset(
        &self,
        py: Python<'_>,
        domain: &str,
        charter_digest: &[u8],
        keyset_digest: &[u8],
        tree: &[u8],
        keys: Vec<Option<Vec<u8>>>,
        period_length: u64,
    ) -> PyResult<()> {
        self.with(py, |device| {
            let charter = fixed(charter_digest, "charter_digest")?;
            let keyset = fixed(keyset_digest, "keyset_digest")?;
            device.register_keyset(domain, (&charter, &keyset), tree, &keys, period_length)
        })
    }

    // ---- groups

    fn key_packages(
        &self,
        py: Python<'_>,
        count: usize,
        last_resort: bool,
        suite: u16,
    ) -> PyResult<Vec<Vec<u8>>> {
        self.with(py, |device| device.key_packages(count, last_resort, suite))
    }

    fn group_create(
        &self,
        py: Python<'_>,
        conversation: &[u8],
        suite: u16,
        charter_digest: &[u8],
        quarter: u64,
        keyset_digest: &[u8],
    ) -> PyResult<Vec<u8>> {
        self.with(py, |device| {
            let context = context(charter_digest, quarter, keyset_digest)?;
            device.group_create(&fixed(conversation, "conversation")?, suite, &context)
        })
    }

    fn group_tree(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<Vec<u8>> {
        self.within(py, conversation, Device::group_tree)
    }

    fn group_commit(
        &self,
        py: Python<'_>,
        conversation: &[u8],
        add: Vec<Vec<u8>>,
        remove: Vec<(PyBackedBytes, PyBackedBytes)>,
        context: Option<(PyBackedBytes, u64, PyBackedBytes)>,
    ) -> PyResult<PyCommit> {
        self.with(py, |device| {
            let remove = remove.iter().map(|(account, key)| member(account, key));
            let remove = remove.collect::<Result<Vec<_>>>()?;
            let context = context
                .as_ref()
                .map(|(charter, quarter, keyset)| self::context(charter, *quarter, keyset))
                .transpose()?;
            let conversation = fixed(conversation, "conversation")?;
            device.group_commit(&conversation, &add, &remove, context.as_ref())
        })
        .map(PyCommit::from)
    }

    fn group_merge(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<PyView> {
        self.within(py, conversation, Device::group_merge).map(|view| PyView::from(&view))
    }

    fn group_discard(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<()> {
        self.within(py, conversation, Device::group_discard)
    }

    fn group_leave(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<Vec<u8>> {
        self.within(py, conversation, Device::group_leave)
    }

    fn group_stage(
        &self,
        py: Python<'_>,
        conversation: &[u8],
        message: &[u8],
    ) -> PyResult<PyStaged> {
        self.within(py, conversation, |device, conversation| {
            device.group_stage(conversation, message)
        })
        .map(PyStaged::from)
    }

    fn group_accept(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<PyView> {
        self.within(py, conversation, Device::group_accept).map(|view| PyView::from(&view))
    }

    fn group_refuse(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<()> {
        self.within(py, conversation, Device::group_refuse)
    }

    fn group_join(&self, py: Python<'_>, welcome: &[u8], tree: &[u8]) -> PyResult<PyView> {
        self.with(py, |device| device.group_join(welcome, tree)).map(|view| PyView::from(&view))
    }

    fn group_forget(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<()> {
        self.within(py, conversation, Device::group_forget)
    }

    #[pyo3(signature = (conversation, epoch = None))]
    fn group_view(
        &self,
        py: Python<'_>,
        conversation: &[u8],
        epoch: Option<u64>,
    ) -> PyResult<PyView> {
        self.within(py, conversation, |device, conversation| device.group_view(conversation, epoch))
            .map(|view| PyView::from(&*view))
    }

    fn groups(&self, py: Python<'_>) -> PyResult<Vec<[u8; 16]>> {
        self.with(py, |device| device.groups())
    }

    // ---- windows and frames

    fn window_open(
        &self,
        py: Python<'_>,
        conversation: &[u8],
        opens: u64,
        serial: u64,
    ) -> PyResult<PyWindow> {
        self.within(py, conversation, |device, conversation| {
            device.window_open(conversation, opens, serial)
        })
        .map(PyWindow::from)
    }

    fn window(&self, py: Python<'_>, window_id: &[u8]) -> PyResult<Option<PyWindow>> {
        self.with(py, |device| device.window(&fixed(window_id, "window_id")?))
            .map(|found| found.map(PyWindow::from))
    }

    fn window_current(
        &self,
        py: Python<'_>,
        conversation: &[u8],
        opens: u64,
    ) -> PyResult<Option<PyWindow>> {
        self.within(py, conversation, |device, conversation| {
            device.window_current(conversation, opens)
        })
        .map(|found| found.map(PyWindow::from))
    }

    fn window_drop_keys(&self, py: Python<'_>, closed_before: u64) -> PyResult<usize> {
        self.with(py, |device| device.window_drop_keys(closed_before))
    }

    fn window_remake(&self, py: Python<'_>, window_id: &[u8]) -> PyResult<PyWindow> {
        self.with(py, |device| device.window_remake(&fixed(window_id, "window_id")?))
            .map(PyWindow::from)
    }

    fn frame_seal(&self, py: Python<'_>, window_id: &[u8], content: &[u8]) -> PyResult<PySealed> {
        self.with(py, |device| device.frame_seal(&fixed(window_id, "window_id")?, content))
            .map(PySealed::from)
    }

    fn frame_unseal(&self, py: Python<'_>, window_id: &[u8], seq: u64) -> PyResult<()> {
        self.with(py, |device| device.frame_unseal(&fixed(window_id, "window_id")?, seq))
    }

    fn frame_open(
        &self,
        py: Python<'_>,
        conversation: &[u8],
        message: &[u8],
        now: u64,
    ) -> PyResult<PyOpened> {
        self.within(py, conversation, |device, conversation| {
            device.frame_open(conversation, message, now)
        })
        .map(PyOpened::from)
    }
}
