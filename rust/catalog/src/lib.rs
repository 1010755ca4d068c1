//! Catalog files: YAML or JSON text in, a validated `fastcheck_core::catalog::Catalog` or every mistake out.
//!
//! text → [`tree`] (nodes with positions) → [`load`] (the catalog) → [`canonical`] (document, digest).

mod addons;
pub mod canonical;
mod cost;
mod decimal;
mod features;
mod fields;
mod grants;
mod hint;
mod length;
mod load;
mod order;
mod plans;
mod pools;
pub mod pricing2yaml;
mod problem;
mod scalar;
mod schema;
mod settings;
mod surrogates;
mod tree;

pub use canonical::{Value, digest, document};
pub use fastcheck_core::catalog;
pub use load::parse;
pub use pricing2yaml::{Imported, import};
pub use problem::Problem;
pub use schema::schema;

#[cfg(test)]
mod testing;
