//! The compiled floor of Counterseal: docs/protocol.md is what it implements, byte for byte.
//!
//! The modules are plain Rust; below them stand their Python faces, whose types are in src/counterseal/core/_core.pyi. A face turns
//! bytes into fixed sizes, lets go of the interpreter lock, and turns errors, panics included, into `CoreError`.

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
pub mod store;
pub mod views;
pub mod window;

#[cfg(feature = "python")]
mod faces {
    use crate::error::{Error, Result};
    use crate::label::{Label, Member};
    use crate::shares::Tree;
    use crate::{device, mls, opening, public, seal, shares, window};
    use pyo3::exceptions::PyException;
    use pyo3::prelude::*;
    use pyo3::pybacked::PyBackedBytes;
    use pyo3::types::{PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyString, PyTuple};
    use pyo3::{create_exception, intern};
    use rusqlite::types::Value as Sql;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::Path;
    use std::sync::{Mutex, PoisonError};
    use zeroize::Zeroizing;

    create_exception!(
        counterseal.core._core,
        CoreError,
        PyException,
        "Anything the compiled floor refuses; see `code` and `message`."
    );

    type Digest = [u8; 32];
    type Pair = (Digest, Digest);
    type PyContext = (Digest, u64, Digest);

    fn raise(error: Error) -> PyErr {
        Python::attach(|py| {
            let raised = CoreError::new_err(error.to_string());
            let value = raised.value(py);
            let set = value
                .setattr(intern!(py, "code"), error.code)
                .and_then(|()| value.setattr(intern!(py, "message"), &error.message));
            set.err().unwrap_or(raised)
        })
    }

    fn fixed<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N]> {
        bytes.try_into().map_err(|_| Error::usage(format!("{what} must be {N} bytes, not {}", bytes.len())))
    }

    /// Runs pure work without the interpreter lock.
    fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
        py.detach(|| caught(work)).map_err(raise)
    }

    fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(Error::new("fatal", "a defect in the core: please report it")))
    }

    fn context(of: (&[u8], u64, &[u8])) -> Result<mls::Context> {
        Ok(mls::Context {
            charter_digest: fixed(of.0, "charter_digest")?,
            quarter: of.1,
            keyset_digest: fixed(of.2, "keyset_digest")?,
        })
    }

    fn py_context(of: mls::Context) -> PyContext {
        (of.charter_digest, of.quarter, of.keyset_digest)
    }

    // ---- values

    #[pyclass(frozen, get_all, module = "counterseal.core._core")]
    struct View {
        conversation: [u8; 16],
        epoch: u64,
        roster_epoch: u64,
        roster: Vec<Pair>,
        roster_digest: Digest,
        charter_digest: Digest,
        quarter: u64,
        keyset_digest: Digest,
        suite: u16,
    }

    impl From<&mls::View> for View {
        fn from(view: &mls::View) -> Self {
            Self {
                conversation: view.conversation,
                epoch: view.epoch,
                roster_epoch: view.roster_epoch,
                roster: view.members.clone(),
                roster_digest: view.roster_digest,
                charter_digest: view.context.charter_digest,
                quarter: view.context.quarter,
                keyset_digest: view.context.keyset_digest,
                suite: view.suite,
            }
        }
    }

    #[pyclass(frozen, get_all, module = "counterseal.core._core")]
    struct Commit {
        message: Vec<u8>,
        welcome: Option<Vec<u8>>,
        tree: Vec<u8>,
        group_info: Vec<u8>,
        epoch: u64,
    }

    #[pyclass(frozen, get_all, module = "counterseal.core._core")]
    struct Staged {
        kind: &'static str,
        epoch: u64,
        committer: Pair,
        added: Vec<Pair>,
        removed: Vec<Pair>,
        context: Option<PyContext>,
        removes_me: bool,
    }

    #[pyclass(frozen, get_all, module = "counterseal.core._core")]
    struct Window {
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

    impl From<window::Window> for Window {
        fn from(of: window::Window) -> Self {
            Self {
                window_id: of.window_id,
                label: of.label,
                roster: of.roster,
                counterseal: of.counterseal,
                seal_digest: of.seal_digest,
                opens: of.opens,
                closes: of.closes,
                serial: of.serial,
                next_seq: of.next_seq,
            }
        }
    }

    #[pyclass(frozen, get_all, module = "counterseal.core._core")]
    struct Sealed {
        message: Vec<u8>,
        window_id: Digest,
        seq: u64,
    }

    #[pyclass(frozen, get_all, module = "counterseal.core._core")]
    struct Opened {
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

    #[pyclass(frozen, get_all, module = "counterseal.core._core")]
    struct OpenedFrame {
        seq: u64,
        content: Option<Vec<u8>>,
        error: Option<&'static str>,
        message_digest: Digest,
    }

    #[pyclass(frozen, get_all, module = "counterseal.core._core")]
    struct Public {
        state: Vec<u8>,
        kind: &'static str,
        view: Py<View>,
        sender: Pair,
        added: Vec<Pair>,
        removed: Vec<Pair>,
        added_refs: Vec<Vec<u8>>,
    }

    fn py_public(py: Python<'_>, of: public::Public) -> PyResult<Public> {
        Ok(Public {
            view: Py::new(py, View::from(&of.view))?,
            state: of.state,
            kind: of.kind,
            sender: of.sender,
            added: of.added,
            removed: of.removed,
            added_refs: of.added_refs,
        })
    }

    // ---- SQL values

    fn sql_in(value: &Bound<'_, PyAny>) -> PyResult<Sql> {
        if value.is_none() {
            Ok(Sql::Null)
        } else if let Ok(number) = value.cast::<PyInt>() {
            number.extract().map(Sql::Integer)
        } else if let Ok(text) = value.cast::<PyString>() {
            text.extract().map(Sql::Text)
        } else if let Ok(bytes) = value.cast::<PyBytes>() {
            Ok(Sql::Blob(bytes.as_bytes().to_vec()))
        } else if let Ok(bytes) = value.cast::<PyByteArray>() {
            Ok(Sql::Blob(bytes.to_vec()))
        } else if let Ok(number) = value.cast::<PyFloat>() {
            Ok(Sql::Real(number.value()))
        } else {
            let kind = value.get_type().name()?;
            Err(raise(Error::usage(format!(
                "a parameter of type {kind} has no SQL form: use int, float, str, bytes or None"
            ))))
        }
    }

    fn sql_out<'py>(py: Python<'py>, value: Sql) -> PyResult<Bound<'py, PyAny>> {
        Ok(match value {
            Sql::Null => py.None().into_bound(py),
            Sql::Integer(number) => number.into_pyobject(py)?.into_any(),
            Sql::Real(number) => number.into_pyobject(py)?.into_any(),
            Sql::Text(text) => text.into_pyobject(py)?.into_any(),
            Sql::Blob(bytes) => PyBytes::new(py, &bytes).into_any(),
        })
    }

    // ---- the device

    #[pyclass(frozen, module = "counterseal.core._core")]
    struct Device(Mutex<Option<device::Device>>);

    impl Device {
        /// Runs `work` on the open device without the interpreter lock. A panic closes the device: its state is not to be trusted.
        fn with<T: Send>(
            &self,
            py: Python<'_>,
            work: impl FnOnce(&mut device::Device) -> Result<T> + Send,
        ) -> PyResult<T> {
            py.detach(|| {
                let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let device = slot.as_mut().ok_or_else(|| Error::usage("this device is closed"))?;
                let done = caught(|| work(device));
                if done.as_ref().is_err_and(|e| e.code == "fatal") {
                    *slot = None;
                }
                done
            })
            .map_err(raise)
        }
    }

    #[pymethods]
    impl Device {
        #[staticmethod]
        fn create(py: Python<'_>, path: &str, key: &[u8]) -> PyResult<Self> {
            run(py, || device::Device::create(Path::new(path), &Zeroizing::new(fixed(key, "key")?)))
                .map(|d| Self(Mutex::new(Some(d))))
        }

        #[staticmethod]
        fn open(py: Python<'_>, path: &str, key: &[u8]) -> PyResult<Self> {
            run(py, || device::Device::open(Path::new(path), &Zeroizing::new(fixed(key, "key")?)))
                .map(|d| Self(Mutex::new(Some(d))))
        }

        fn close(&self, py: Python<'_>) {
            py.detach(|| *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None);
        }

        fn begin(&self, py: Python<'_>) -> PyResult<()> {
            self.with(py, device::Device::begin)
        }

        fn commit(&self, py: Python<'_>) -> PyResult<()> {
            self.with(py, device::Device::commit)
        }

        fn rollback(&self, py: Python<'_>) -> PyResult<()> {
            self.with(py, device::Device::rollback)
        }

        #[pyo3(signature = (sql, params = Vec::new()))]
        fn execute<'py>(
            &self,
            py: Python<'py>,
            sql: &str,
            params: Vec<Bound<'py, PyAny>>,
        ) -> PyResult<Vec<Bound<'py, PyTuple>>> {
            let params = params.iter().map(sql_in).collect::<PyResult<Vec<_>>>()?;
            let rows = self.with(py, |device| device.execute(sql, params))?;
            rows.into_iter()
                .map(|row| PyTuple::new(py, row.into_iter().map(|v| sql_out(py, v)).collect::<PyResult<Vec<_>>>()?))
                .collect()
        }

        fn set_identity(&self, py: Python<'_>, account_id: &[u8], device_seed: &[u8]) -> PyResult<()> {
            self.with(py, |device| {
                device.set_identity(
                    &fixed(account_id, "account_id")?,
                    &Zeroizing::new(fixed(device_seed, "device_seed")?),
                )
            })
        }

        fn identity(&self, py: Python<'_>) -> PyResult<Option<Pair>> {
            self.with(py, |device| Ok(device.identity()))
        }

        fn sign(&self, py: Python<'_>, message: &[u8]) -> PyResult<[u8; 64]> {
            self.with(py, |device| device.sign(message))
        }

        #[allow(clippy::too_many_arguments)] // The face is the type stub's.
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
                let digests = (&fixed(charter_digest, "charter_digest")?, &fixed(keyset_digest, "keyset_digest")?);
                device.register_keyset(domain, digests, tree, &keys, period_length)
            })
        }

        fn key_packages(&self, py: Python<'_>, count: usize, last_resort: bool, suite: u16) -> PyResult<Vec<Vec<u8>>> {
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
                let context = context((charter_digest, quarter, keyset_digest))?;
                device.group_create(&fixed(conversation, "conversation")?, suite, &context)
            })
        }

        fn group_tree(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<Vec<u8>> {
            self.with(py, |device| device.group_tree(&fixed(conversation, "conversation")?))
        }

        fn group_commit(
            &self,
            py: Python<'_>,
            conversation: &[u8],
            add: Vec<Vec<u8>>,
            remove: Vec<(PyBackedBytes, PyBackedBytes)>,
            context: Option<(PyBackedBytes, u64, PyBackedBytes)>,
        ) -> PyResult<Commit> {
            let made = self.with(py, |device| {
                let member = |(account, key): &(PyBackedBytes, PyBackedBytes)| -> Result<Member> {
                    Ok((fixed(account, "account_id")?, fixed(key, "device_key")?))
                };
                let remove = remove.iter().map(member).collect::<Result<Vec<_>>>()?;
                let context = context.as_ref().map(|(c, q, k)| self::context((c, *q, k))).transpose()?;
                device.group_commit(&fixed(conversation, "conversation")?, &add, &remove, context.as_ref())
            })?;
            Ok(Commit {
                message: made.message,
                welcome: made.welcome,
                tree: made.tree,
                group_info: made.group_info,
                epoch: made.epoch,
            })
        }

        fn group_merge(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<View> {
            let view = self.with(py, |device| device.group_merge(&fixed(conversation, "conversation")?))?;
            Ok(View::from(&view))
        }

        fn group_discard(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<()> {
            self.with(py, |device| device.group_discard(&fixed(conversation, "conversation")?))
        }

        fn group_leave(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<Vec<u8>> {
            self.with(py, |device| device.group_leave(&fixed(conversation, "conversation")?))
        }

        fn group_stage(&self, py: Python<'_>, conversation: &[u8], message: &[u8]) -> PyResult<Staged> {
            let staged = self.with(py, |device| device.group_stage(&fixed(conversation, "conversation")?, message))?;
            Ok(Staged {
                kind: staged.kind,
                epoch: staged.epoch,
                committer: staged.committer,
                added: staged.added,
                removed: staged.removed,
                context: staged.context.map(py_context),
                removes_me: staged.removes_me,
            })
        }

        fn group_accept(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<View> {
            let view = self.with(py, |device| device.group_accept(&fixed(conversation, "conversation")?))?;
            Ok(View::from(&view))
        }

        fn group_refuse(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<()> {
            self.with(py, |device| device.group_refuse(&fixed(conversation, "conversation")?))
        }

        fn group_join(&self, py: Python<'_>, welcome: &[u8], tree: &[u8]) -> PyResult<View> {
            let view = self.with(py, |device| device.group_join(welcome, tree))?;
            Ok(View::from(&view))
        }

        fn group_forget(&self, py: Python<'_>, conversation: &[u8]) -> PyResult<()> {
            self.with(py, |device| device.group_forget(&fixed(conversation, "conversation")?))
        }

        #[pyo3(signature = (conversation, epoch = None))]
        fn group_view(&self, py: Python<'_>, conversation: &[u8], epoch: Option<u64>) -> PyResult<View> {
            let view = self.with(py, |device| device.group_view(&fixed(conversation, "conversation")?, epoch))?;
            Ok(View::from(&*view))
        }

        fn groups(&self, py: Python<'_>) -> PyResult<Vec<[u8; 16]>> {
            self.with(py, |device| device.groups())
        }

        fn window_open(&self, py: Python<'_>, conversation: &[u8], opens: u64, serial: u64) -> PyResult<Window> {
            self.with(py, |device| device.window_open(&fixed(conversation, "conversation")?, opens, serial))
                .map(Window::from)
        }

        fn window(&self, py: Python<'_>, window_id: &[u8]) -> PyResult<Option<Window>> {
            let found = self.with(py, |device| device.window(&fixed(window_id, "window_id")?))?;
            Ok(found.map(Window::from))
        }

        fn window_current(&self, py: Python<'_>, conversation: &[u8], opens: u64) -> PyResult<Option<Window>> {
            let found = self.with(py, |device| device.window_current(&fixed(conversation, "conversation")?, opens))?;
            Ok(found.map(Window::from))
        }

        fn window_drop_keys(&self, py: Python<'_>, closed_before: u64) -> PyResult<usize> {
            self.with(py, |device| device.window_drop_keys(closed_before))
        }

        fn window_remake(&self, py: Python<'_>, window_id: &[u8]) -> PyResult<Window> {
            self.with(py, |device| device.window_remake(&fixed(window_id, "window_id")?)).map(Window::from)
        }

        fn frame_seal(&self, py: Python<'_>, window_id: &[u8], content: &[u8]) -> PyResult<Sealed> {
            let sealed = self.with(py, |device| device.frame_seal(&fixed(window_id, "window_id")?, content))?;
            Ok(Sealed { message: sealed.message, window_id: sealed.window_id, seq: sealed.seq })
        }

        fn frame_unseal(&self, py: Python<'_>, window_id: &[u8], seq: u64) -> PyResult<()> {
            self.with(py, |device| device.frame_unseal(&fixed(window_id, "window_id")?, seq))
        }

        fn frame_open(&self, py: Python<'_>, conversation: &[u8], message: &[u8], now: u64) -> PyResult<Opened> {
            let opened =
                self.with(py, |device| device.frame_open(&fixed(conversation, "conversation")?, message, now))?;
            Ok(Opened {
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
            })
        }
    }

    // ---- the service's side

    #[pyfunction]
    fn public_group(py: Python<'_>, group_info: &[u8], tree: &[u8]) -> PyResult<Public> {
        run(py, || public::group(group_info, tree)).and_then(|of| py_public(py, of))
    }

    #[pyfunction]
    fn public_process(py: Python<'_>, state: &[u8], message: &[u8]) -> PyResult<Public> {
        run(py, || public::process(state, message)).and_then(|of| py_public(py, of))
    }

    #[pyfunction]
    fn parse_private<'py>(py: Python<'py>, message: &[u8]) -> PyResult<([u8; 16], u64, Bound<'py, PyBytes>)> {
        let (conversation, epoch, authenticated) = public::parse_private(message).map_err(raise)?;
        Ok((conversation, epoch, PyBytes::new(py, authenticated)))
    }

    #[pyfunction]
    fn check_key_package(py: Python<'_>, key_package: &[u8]) -> PyResult<(Digest, Digest, u16, Vec<u8>, bool)> {
        let facts = run(py, || public::check_key_package(key_package))?;
        Ok((facts.member.0, facts.member.1, facts.suite, facts.reference, facts.last_resort))
    }

    // ---- counterseal and opening

    #[pyfunction]
    fn derive_prk(label: &[u8], key: &[u8]) -> PyResult<Digest> {
        let derive = || Ok(*Label::decode(label)?.derive_prk(&Zeroizing::new(fixed(key, "key")?)));
        derive().map_err(raise)
    }

    #[pyfunction]
    fn seal_counterseal(
        py: Python<'_>,
        prk: &[u8],
        window_id: &[u8],
        charter_digest: &[u8],
        tree: &[u8],
        keys: Vec<Option<PyBackedBytes>>,
    ) -> PyResult<Vec<u8>> {
        run(py, || {
            let tree = Tree::decode(tree)?;
            let keys = seal::SealingKeys::decode(&tree, &keys)?;
            let prk = Zeroizing::new(fixed(prk, "prk")?);
            seal::seal(&prk, &fixed(window_id, "window_id")?, &fixed(charter_digest, "charter_digest")?, &tree, &keys)
        })
    }

    #[pyfunction]
    fn join_shares(tree: &[u8], shares: Vec<(usize, PyBackedBytes)>) -> PyResult<Digest> {
        let join = || {
            let fixed_share = |(position, share): &(usize, PyBackedBytes)| Ok((*position, fixed(share, "share")?));
            let shares = Zeroizing::new(shares.iter().map(fixed_share).collect::<Result<Vec<_>>>()?);
            Ok(*shares::join(&Tree::decode(tree)?, &shares)?)
        };
        join().map_err(raise)
    }

    #[pyfunction]
    fn split_shares(tree: &[u8], prk: &[u8]) -> PyResult<Vec<Digest>> {
        let split = || {
            let shares = shares::split(&Tree::decode(tree)?, &Zeroizing::new(fixed(prk, "prk")?))?;
            Ok(shares.iter().map(|share| **share).collect())
        };
        split().map_err(raise)
    }

    type PyTask = (Vec<u8>, PyBackedBytes, PyBackedBytes, Vec<PyBackedBytes>);

    #[pyfunction]
    fn open_windows(py: Python<'_>, windows: Vec<PyTask>, threads: usize) -> PyResult<Vec<Vec<OpenedFrame>>> {
        let opened = run(py, || {
            let task = |(label, seal_digest, prk, messages): PyTask| {
                Ok(opening::Task {
                    label,
                    seal_digest: fixed(&seal_digest, "seal_digest")?,
                    prk: Zeroizing::new(fixed(&prk, "prk")?),
                    messages,
                })
            };
            let tasks = windows.into_iter().map(task).collect::<Result<Vec<_>>>()?;
            opening::open_windows(&tasks, threads)
        })?;
        let face = |frame: opening::OpenedFrame| OpenedFrame {
            seq: frame.seq,
            error: frame.content.as_ref().err().copied(),
            content: frame.content.ok(),
            message_digest: frame.message_digest,
        };
        Ok(opened.into_iter().map(|frames| frames.into_iter().map(face).collect()).collect())
    }

    #[pymodule(gil_used = true)]
    fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        let suites = PyDict::new(py);
        for (id, name) in mls::SUITES {
            suites.set_item(id, name)?;
        }
        module.add("CoreError", py.get_type::<CoreError>())?;
        module.add("SUITES", suites)?;
        module.add("DEFAULT_SUITE", mls::DEFAULT_SUITE)?;
        module.add("SQLITE_VERSION", rusqlite::version())?;
        module.add_class::<View>()?;
        module.add_class::<Commit>()?;
        module.add_class::<Staged>()?;
        module.add_class::<Window>()?;
        module.add_class::<Sealed>()?;
        module.add_class::<Opened>()?;
        module.add_class::<OpenedFrame>()?;
        module.add_class::<Public>()?;
        module.add_class::<Device>()?;
        module.add_function(wrap_pyfunction!(public_group, module)?)?;
        module.add_function(wrap_pyfunction!(public_process, module)?)?;
        module.add_function(wrap_pyfunction!(parse_private, module)?)?;
        module.add_function(wrap_pyfunction!(check_key_package, module)?)?;
        module.add_function(wrap_pyfunction!(derive_prk, module)?)?;
        module.add_function(wrap_pyfunction!(seal_counterseal, module)?)?;
        module.add_function(wrap_pyfunction!(join_shares, module)?)?;
        module.add_function(wrap_pyfunction!(split_shares, module)?)?;
        module.add_function(wrap_pyfunction!(open_windows, module)?)?;
        Ok(())
    }
}
