//! The Python module `counterseal.core._core`, whose types are in src/counterseal/core/_core.pyi.
//!
//! Nothing is decided here; each file binds one part of the core. A binding turns bytes into fixed
//! sizes, lets go of the interpreter lock, calls the core, and turns what comes back into Python's
//! values (call.rs).

mod call;
mod device;
mod group;
mod opening;
mod public;
mod seal;
mod sql;
mod window;

use pyo3::prelude::*;
use pyo3::types::PyDict;

type Digest = [u8; 32];

// The module holds no state of its own, but nobody has yet asked it to run without the lock.
#[pymodule(gil_used = true)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let suites = PyDict::new(module.py());
    for (id, name) in counterseal_core::mls::SUITES {
        suites.set_item(id, name)?;
    }
    module.add("SUITES", suites)?;
    module.add("DEFAULT_SUITE", counterseal_core::mls::DEFAULT_SUITE)?;
    module.add("SQLITE_VERSION", rusqlite::version())?;
    module.add("CoreError", module.py().get_type::<call::CoreError>())?;

    module.add_class::<device::PyDevice>()?;
    module.add_class::<group::PyView>()?;
    module.add_class::<group::PyCommit>()?;
    module.add_class::<group::PyStaged>()?;
    module.add_class::<window::PyWindow>()?;
    module.add_class::<window::PySealed>()?;
    module.add_class::<window::PyOpened>()?;

    module.add_class::<public::PyPublic>()?;
    module.add_function(wrap_pyfunction!(public::public_group, module)?)?;
    module.add_function(wrap_pyfunction!(public::public_process, module)?)?;
    module.add_function(wrap_pyfunction!(public::parse_private, module)?)?;
    module.add_function(wrap_pyfunction!(public::check_key_package, module)?)?;

    module.add_function(wrap_pyfunction!(seal::derive_prk, module)?)?;
    module.add_function(wrap_pyfunction!(seal::seal_counterseal, module)?)?;
    module.add_function(wrap_pyfunction!(seal::join_shares, module)?)?;
    module.add_function(wrap_pyfunction!(seal::split_shares, module)?)?;

    module.add_class::<opening::PyOpenedFrame>()?;
    module.add_function(wrap_pyfunction!(opening::open_windows, module)?)?;
    Ok(())
}
