//! The catalog as a Python class.

use fastcheck_catalog::Value;
use fastcheck_core::catalog::{Catalog, Setting};
use fastcheck_core::{Considered, Source, Sources, decode_record};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::{Class, from_core, made, raise};

/// A validated catalog.
#[pyclass(frozen, name = "Catalog", module = "fastcheck._fastcheck")]
pub struct PyCatalog {
    pub catalog: Catalog,
    digest: String,
}

impl PyCatalog {
    /// The digest as a word, for the header of generation files.
    pub fn hash(&self) -> u64 {
        fastcheck_core::hash_bytes(self.digest.as_bytes())
    }
}

fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(b) => b.into_pyobject(py)?.to_owned().into_any(),
        Value::Int(n) => n.into_pyobject(py)?.into_any(),
        Value::Text(t) => t.into_pyobject(py)?.into_any(),
        Value::List(items) => {
            let items = items
                .iter()
                .map(|v| to_python(py, v))
                .collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Map(map) => {
            let dict = PyDict::new(py);
            for (key, value) in map {
                dict.set_item(key, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// A setting as Python says it: None = unlimited.
fn setting<'py>(py: Python<'py>, setting: &Setting) -> PyResult<Bound<'py, PyAny>> {
    Ok(match setting {
        Setting::Off => false.into_pyobject(py)?.to_owned().into_any(),
        Setting::On => true.into_pyobject(py)?.to_owned().into_any(),
        Setting::Unlimited => py.None().into_bound(py),
        Setting::Number(n) => n.into_pyobject(py)?.into_any(),
        Setting::Text(t) => t.into_pyobject(py)?.into_any(),
        Setting::Bool(b) => b.into_pyobject(py)?.to_owned().into_any(),
    })
}

fn problems(py: Python<'_>, problems: Vec<fastcheck_catalog::Problem>) -> PyErr {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    made(py, Class::CatalogError, (lines,))
}

/// Why a source counts or does not.
fn why(c: &Considered, at_ms: i64) -> &'static str {
    match (c.active, c.won) {
        (false, _) if c.starts_ms.is_some_and(|t| at_ms < t) => "not started yet",
        (false, _) => "ended",
        (true, true) if c.adds => "adds to the number",
        (true, true) if c.source == Source::Override => "an override decides alone",
        (true, true) if c.source == Source::Default => "nobody else says anything",
        (true, true) => "the strongest or most generous source",
        (true, false) if c.source == Source::Default => {
            "only counts where nobody else says anything"
        }
        (true, false) => "a stronger or more generous source decides",
    }
}

impl PyCatalog {
    /// Decodes a record and looks its names up.
    fn sources(&self, py: Python<'_>, record: &[u8]) -> PyResult<Sources> {
        let (customer, _, _) = decode_record(record).map_err(|e| from_core(py, e))?;
        Sources::of(&self.catalog, &customer).map_err(|e| from_core(py, e))
    }
}

#[pymethods]
impl PyCatalog {
    /// Reads YAML or JSON. Raises `CatalogError` whose `problems` lists every mistake.
    #[staticmethod]
    fn parse(py: Python<'_>, text: &[u8], filename: &str) -> PyResult<PyCatalog> {
        let catalog = py
            .detach(|| fastcheck_catalog::parse(text, filename))
            .map_err(|found| problems(py, found))?;
        let digest = fastcheck_catalog::digest(&catalog);
        Ok(PyCatalog { catalog, digest })
    }

    /// The JSON Schema of catalog files.
    #[staticmethod]
    fn schema() -> &'static str {
        fastcheck_catalog::schema()
    }

    /// A Pricing2Yaml file as (catalog text, notes).
    #[staticmethod]
    fn import_pricing2yaml(
        py: Python<'_>,
        text: &[u8],
        filename: &str,
    ) -> PyResult<(String, Vec<String>)> {
        let imported =
            fastcheck_catalog::import(text, filename).map_err(|found| problems(py, found))?;
        Ok((
            imported.yaml,
            imported.notes.iter().map(ToString::to_string).collect(),
        ))
    }

    #[getter]
    fn digest(&self) -> &str {
        &self.digest
    }

    /// The canonical content, every default filled in.
    fn document<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &fastcheck_catalog::document(&self.catalog))
    }

    /// feature -> (setting, source), at an instant.
    fn resolve<'py>(
        &self,
        py: Python<'py>,
        record: &[u8],
        at_ms: i64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let sources = self.sources(py, record)?;
        let all = PyDict::new(py);
        for (i, feature) in self.catalog.features.iter().enumerate() {
            let resolved = sources.resolve(&self.catalog, i, at_ms);
            all.set_item(
                &feature.name,
                (setting(py, &resolved.setting)?, resolved.source.as_str()),
            )?;
        }
        Ok(all)
    }

    /// The instants at which `resolve` may change.
    fn boundaries(&self, py: Python<'_>, record: &[u8]) -> PyResult<Vec<i64>> {
        Ok(self.sources(py, record)?.boundaries())
    }

    /// Every source considered, strongest first.
    fn explain<'py>(
        &self,
        py: Python<'py>,
        record: &[u8],
        feature: &str,
        at_ms: i64,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let sources = self.sources(py, record)?;
        let index = self.catalog.feature(feature).ok_or_else(|| {
            raise(
                py,
                Class::UnknownFeature,
                format!("the catalog has no feature {feature:?}; check the spelling"),
            )
        })?;
        let mut all = Vec::new();
        for c in sources.consider(&self.catalog, index, at_ms) {
            let one = PyDict::new(py);
            one.set_item("source", c.source.as_str())?;
            one.set_item("name", &c.name)?;
            one.set_item("setting", setting(py, &c.setting)?)?;
            one.set_item("adds", c.adds)?;
            one.set_item("active", c.active)?;
            one.set_item("starts_at_ms", c.starts_ms)?;
            one.set_item("ends_at_ms", c.ends_ms)?;
            one.set_item("won", c.won)?;
            one.set_item("why", why(&c, at_ms))?;
            all.push(one);
        }
        Ok(all)
    }

    /// What is wrong with a customer record under this catalog, or None.
    fn customer_error(&self, record: &[u8]) -> Option<String> {
        let checked = decode_record(record)
            .and_then(|(customer, _, _)| Sources::of(&self.catalog, &customer).map(drop));
        checked.err().map(|e| e.to_string())
    }

    fn __repr__(&self) -> String {
        let c = &self.catalog;
        format!(
            "Catalog({} features, {} plans, {} pools, digest={:?})",
            c.features.len(),
            c.plans.len(),
            c.pools.len(),
            &self.digest[..self.digest.len().min(12)]
        )
    }
}
