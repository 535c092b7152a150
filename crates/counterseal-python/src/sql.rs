//! Values of the client's own SQL.

use crate::call::raise;
use counterseal_core::error::Error;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyFloat, PyInt, PyString, PyTuple};
use rusqlite::types::Value;

/// Errors: "usage" for a type that SQLite has no form for.
pub fn parameter(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    if value.is_none() {
        Ok(Value::Null)
    } else if let Ok(number) = value.cast::<PyInt>() {
        number.extract().map(Value::Integer)
    } else if let Ok(text) = value.cast::<PyString>() {
        text.extract().map(Value::Text)
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        Ok(Value::Blob(bytes.as_bytes().to_vec()))
    } else if let Ok(bytes) = value.cast::<PyByteArray>() {
        Ok(Value::Blob(bytes.to_vec()))
    } else if let Ok(number) = value.cast::<PyFloat>() {
        Ok(Value::Real(number.value()))
    } else {
        let kind = value.get_type().name()?;
        Err(raise(Error::usage(format!(
            "a parameter of type {kind} has no SQL form: use int, float, str, bytes or None"
        ))))
    }
}

pub fn row<'py>(py: Python<'py>, values: Vec<Value>) -> PyResult<Bound<'py, PyTuple>> {
    let values = values.into_iter().map(|value| cell(py, value));
    PyTuple::new(py, values.collect::<PyResult<Vec<_>>>()?)
}

fn cell<'py>(py: Python<'py>, value: Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Integer(number) => number.into_pyobject(py)?.into_any(),
        Value::Real(number) => number.into_pyobject(py)?.into_any(),
        Value::Text(text) => text.into_pyobject(py)?.into_any(),
        Value::Blob(bytes) => PyBytes::new(py, &bytes).into_any(),
    })
}
