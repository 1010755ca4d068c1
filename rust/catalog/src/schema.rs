//! The JSON Schema (2020-12) of catalog files, for editors and for other languages.
//!
//! It says what a schema can say: keys, types and ranges. References, exactness and overlaps are for
//! [`crate::parse`], which every file must pass.

/// The schema, as JSON text.
pub fn schema() -> &'static str {
    include_str!("schema.json")
}
