//! The page that says which input has which test names tests that exist, and
//! each test of this module.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

fn read(path: &str) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).with_context(|| path.to_owned())
}

/// The names of the tests in a file.
fn tests_in(path: &str) -> Result<BTreeSet<String>> {
    let text = read(path)?;
    let mut tests = BTreeSet::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if line.starts_with("#[tokio::test") || line.starts_with("#[test]") {
            let signature = lines.find(|line| line.contains("fn ")).context("a test without a name")?;
            let name = signature.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            tests.insert(name.context("a test without a name")?.to_owned());
        }
    }
    Ok(tests)
}

#[test]
fn every_hostile_test_stands_on_the_page_and_no_other() -> Result<()> {
    let page = read("docs/reference/hostile-input.md")?;
    let named: BTreeSet<&str> = page.split('`').filter(|word| word.matches("::").count() > 0).collect();
    for test in &named {
        let Some((module, name)) = test.rsplit_once("::").filter(|(module, _)| *module != "bridge") else {
            continue;
        };
        let path = match module.split_once("::") {
            Some((package @ ("oauth" | "web" | "server"), rest)) => {
                format!("crates/{package}/src/{}.rs", rest.replace("::", "/"))
            }
            _ => format!("tests/it/{}.rs", module.replace("::", "/")),
        };
        ensure!(tests_in(&path)?.contains(name), "there is no test {test}");
    }
    let modules = read("tests/it/hostile.rs")?;
    let modules = modules.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    for module in modules.filter(|module| !matches!(*module, "stage" | "coverage")) {
        for name in tests_in(&format!("tests/it/hostile/{module}.rs"))? {
            let test = format!("hostile::{module}::{name}");
            ensure!(named.contains(test.as_str()), "{test} is not on the page");
        }
    }
    Ok(())
}
