//! Names: Python strings as borrowed UTF-8.

use pyo3::ffi;
use pyo3::prelude::*;

use crate::errors::{Class, raise};

/// The bytes of an ASCII `str`, borrowed from it; `None` for all else.
///
/// # Safety
/// As for [`utf8`].
#[inline(always)]
pub unsafe fn ascii<'a>(object: *mut ffi::PyObject) -> Option<&'a [u8]> {
    #[cfg(not(Py_GIL_DISABLED))]
    // SAFETY: the type is checked before the object is read as a string; a compact ASCII string keeps its bytes right
    // behind its header, `length` of them.
    unsafe {
        if ffi::PyUnicode_Check(object) != 0 && ffi::PyUnicode_IS_COMPACT_ASCII(object) != 0 {
            let header = object.cast::<ffi::PyASCIIObject>();
            return Some(std::slice::from_raw_parts(
                header.add(1).cast::<u8>(),
                (*header).length as usize,
            ));
        }
    }
    let _ = object;
    None
}

/// The UTF-8 bytes of a `str`, borrowed from it. For ASCII strings, nearly all names, that is the string's own storage.
///
/// # Safety
/// `object` is a live object, and the caller keeps it alive while it uses the bytes.
#[inline(always)]
pub unsafe fn utf8<'a>(py: Python<'_>, object: *mut ffi::PyObject) -> PyResult<&'a [u8]> {
    // SAFETY: the caller's promise.
    if let Some(bytes) = unsafe { ascii(object) } {
        return Ok(bytes);
    }
    // SAFETY: the caller's promise.
    unsafe { utf8_slow(py, object) }
}

/// # Safety
/// As for [`utf8`].
#[cold]
unsafe fn utf8_slow<'a>(py: Python<'_>, object: *mut ffi::PyObject) -> PyResult<&'a [u8]> {
    // SAFETY: `object` is live; the buffer belongs to the string and lives as long.
    unsafe {
        if ffi::PyUnicode_Check(object) == 0 {
            let kind = (*ffi::Py_TYPE(object)).tp_name;
            let kind = std::ffi::CStr::from_ptr(kind).to_string_lossy();
            return Err(raise(
                py,
                Class::WrongType,
                format!("a name must be a str, not {kind}"),
            ));
        }
        let mut length = 0;
        let bytes = ffi::PyUnicode_AsUTF8AndSize(object, &mut length);
        if bytes.is_null() {
            drop(PyErr::take(py));
            return Err(raise(
                py,
                Class::NameInvalid,
                "a name holds a lone surrogate, which is no character: decode it with errors=\"strict\" first",
            ));
        }
        Ok(std::slice::from_raw_parts(
            bytes.cast::<u8>(),
            length as usize,
        ))
    }
}
