//! Every link of a page to something in this repository leads there, anchors included; every page is in the table of contents.

#![expect(clippy::unwrap_used, reason = "all of this is tests, helpers included, and a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn pages_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The pages at the top, and all of docs/ and .github/.
fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    for folder in ["docs", ".github"] {
        pages_below(&root().join(folder), &mut pages);
    }
    pages
}

/// The text without what stands in fences.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap();
    text.split("```").step_by(2).collect()
}

/// What the links and pictures of a page lead to.
fn links(page: &Path) -> Vec<String> {
    let prose = prose(page);
    let marks = ["](", "src=\"", "srcset=\""];
    let after = marks.into_iter().flat_map(|mark| prose.split(mark).skip(1));
    let targets = after.map(|rest| rest.split([')', '"', '\n']).next().unwrap_or_default().to_owned());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

/// The anchors of a page: its headings, as GitHub and mdBook write them.
fn anchors(page: &Path) -> BTreeSet<String> {
    let prose = prose(page);
    let headings = prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |it: char| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_');
    headings
        .map(|heading| heading.to_lowercase().chars().filter(|it| kept(*it)).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn every_link_inside_the_repository_leads_somewhere() {
    let mut broken = Vec::new();
    let mut checked = 0;
    for page in pages() {
        for link in links(&page) {
            checked += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let leads = target.exists() && (anchor.is_empty() || anchors(&target).contains(anchor));
            if !leads {
                broken.push(format!("{}: {link}", page.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
    assert!(checked > 100, "only {checked} links were found");
}

#[test]
fn every_page_of_docs_is_in_the_table_of_contents() {
    let docs = root().join("docs");
    let summary = docs.join("SUMMARY.md");
    let listed: BTreeSet<PathBuf> = links(&summary).iter().map(|link| docs.join(link)).collect();
    let mut pages = Vec::new();
    pages_below(&docs, &mut pages);
    let is_page = |page: &PathBuf| *page != summary && !page.display().to_string().contains("commands.in");
    let pages: BTreeSet<PathBuf> = pages.into_iter().filter(is_page).collect();
    assert_eq!(listed, pages);
}

#[test]
fn every_place_that_the_glossary_names_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, glossary) = page.split_once("\n## Glossary\n").unwrap();
    let rows: Vec<&str> = glossary.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 40, "only {} words", rows.len());
    let places = rows.iter().filter_map(|row| row.trim_end_matches(" |").rsplit('|').next());
    let paths = places.flat_map(|place| place.split('`').skip(1).step_by(2));
    let gone: Vec<&str> =
        paths.filter(|path| !root().join("crates").join(path).exists() && !root().join(path).exists()).collect();
    assert_eq!(gone, [""; 0]);
}

#[test]
fn every_metric_of_an_alert_is_documented() {
    let read = |name| fs::read_to_string(root().join(name)).unwrap();
    let metrics = read("docs/reference/metrics.md");
    let alerts = read("docs/how-to/prometheus.md") + &read("config/monitoring/tickmesh.rules.yml");
    let queries = alerts + &read("config/monitoring/grafana.json");
    let words = queries.split(|it: char| !it.is_ascii_lowercase() && it != '_');
    let used: BTreeSet<&str> = words.filter(|word| word.starts_with("tickmesh_")).collect();
    assert!(used.len() >= 5, "{used:?}");
    for name in used {
        let name = name.trim_end_matches("_total").trim_end_matches("_bucket");
        assert!(metrics.contains(&format!("`{name}")), "{name}");
    }
}

#[test]
fn the_readme_fits_on_a_few_screens() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 120, "the README has {lines} lines");
}
