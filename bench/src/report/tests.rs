//! What the report says of given figures.

use std::path::Path;

use super::*;
use crate::link;
use crate::names::BASELINE_LINK;

fn sample(per_second: f64, cpu_us: f64) -> Sample {
    Sample { per_second, p50_us: 1_000.0, p99_us: 2_000.0, cpu_us, errors: 0 }
}

fn run(name: &str, samples: Vec<Sample>) -> Run {
    Run { name: name.to_owned(), samples }
}

fn report(builds: &[&str], runs: Vec<Run>) -> Report {
    let levels = vec![Level { connections: 64, runs }];
    let floors = vec![BASELINE_LINK];
    let comparison = Comparison { name: link::NAME, title: "links", floors, levels, memory: Vec::new() };
    let mut report = Report {
        machine: Machine::describe(Path::new("/")),
        builds: builds.iter().map(|&name| name.to_owned()).collect(),
        seconds: 1,
        rounds: 2,
        comparisons: vec![comparison],
        at_rate: Vec::new(),
        counts: Vec::new(),
        scale: None,
        starts: Vec::new(),
        goals: Vec::new(),
    };
    report.judge();
    report
}

#[test]
fn each_build_is_judged_against_the_baseline_of_its_round() {
    let runs = vec![
        run(BASELINE_LINK, vec![sample(1_000.0, 50.0), sample(2_000.0, 100.0)]),
        run("old", vec![sample(500.0, 100.0), sample(1_000.0, 200.0)]),
        run("new", vec![sample(950.0, 55.0), sample(1_900.0, 110.0)]),
    ];
    let text = report(&["old", "new"], runs).to_string();
    for row in [
        "| link: CPU per request at 64 connections | x baseline_link | ≤ 1.5 | ≤ 1.2 | 2.00: **missed** | 1.10: goal met |",
        "| link: requests per second at 64 connections | x baseline_link | ≥ 0.7 | ≥ 0.9 | 0.50: **missed** | 0.95: goal met |",
        "| 64 | new | 1425 | 1.00 | 2.00 | 82 | 0 | 0.95 | 1.10 | 1.90 | 0.55 |",
        "| 64 | old | 750 | 1.00 | 2.00 | 150 | 0 | 0.50 | 2.00 |  |  |",
    ] {
        assert!(text.contains(row), "{row}\n{text}");
    }
    assert!(!text.contains("16 connections"), "what was not measured is not judged: {text}");
}

#[test]
fn every_row_of_a_table_has_as_many_cells_as_its_head() {
    let text = report(&["one"], vec![run(BASELINE_LINK, vec![sample(2.0, 1.0)]), run("one", vec![sample(1.0, 2.0)])]);
    let text = text.to_string();
    let mut cells = None;
    for line in text.lines() {
        if !line.starts_with('|') {
            cells = None;
            continue;
        }
        let count = line.matches('|').count();
        assert_eq!(*cells.get_or_insert(count), count, "{line}\n{text}");
    }
}
