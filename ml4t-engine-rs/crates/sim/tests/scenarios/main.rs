//! Runs the scenario files of the repository on the simulator: worked examples that Python runs as well.
//!
//! The format is described in `tests/scenarios/README.md` at the root of the repository.

#[path = "../common/mod.rs"]
mod common;

mod expect;
mod margin;
mod models;
mod script;
mod table;
mod world;

use std::path::{Path, PathBuf};

use common::ledger;
use ml4t_sim::error::SimError;

use table::{Faults, Scenario};

/// The files of the repository's scenario folder, sorted.
fn files() -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/scenarios");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// What is wrong with one scenario; empty when it holds.
fn faults_of(scenario: &Scenario) -> Result<Faults, SimError> {
    let world = world::World::of(scenario)?;
    let (first, second) = (world.run()?, world.run()?);
    let mut faults = Faults::default();
    if first.tables() != second.tables() {
        faults.add("two runs differ".to_owned());
    }
    if let Some(left) = first.unsent() {
        faults.add(format!("no such call of the strategy: {left}"));
    }
    if let Err(error) = ledger::check(&first.rows) {
        faults.add(format!("the ledger does not add up: {}", error.message));
    }
    expect::compare(scenario, &first, &mut faults)?;
    Ok(faults)
}

#[test]
fn every_scenario_holds() -> Result<(), Box<dyn std::error::Error>> {
    let (mut count, mut failed) = (0, Vec::new());
    for path in files()? {
        for scenario in table::read(&path)? {
            count += 1;
            let faults = faults_of(&scenario).unwrap_or_else(|e| Faults::one(e.message));
            if !faults.is_empty() {
                let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                failed.push(format!("{file}: {}\n{}\n{faults}", scenario.name, scenario.why));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {count} scenarios do not hold:\n\n{}", failed.len(), failed.join("\n"));
    assert!(count >= 120, "only {count} scenarios were found");
    Ok(())
}
