//! Any bytes as a catalog file and as a Pricing2Yaml file: an answer or problems, never a panic or a hang.
#![no_main]

use fastcheck_catalog::{digest, document, import, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes, "fuzz.yaml") {
        Ok(catalog) => {
            assert_eq!(digest(&catalog).len(), 64);
            // The document is JSON and so YAML: it must at least read back as some file.
            let _ = parse(document(&catalog).to_json().as_bytes(), "document.json");
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.to_string().contains('\n'));
            }
        }
    }
    if let Ok(imported) = import(bytes, "fuzz.yml") {
        // The importer promises a valid catalog.
        assert!(parse(imported.yaml.as_bytes(), "imported.yaml").is_ok());
    }
});
