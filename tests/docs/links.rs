//! The links of the documents lead to files and headings that exist.

use regex_lite::Regex;

use super::page::{Part, documents, parts};

/// A heading as the forges link to it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ => letter.is_alphanumeric().then_some(letter),
    });
    kept.collect()
}

/// The anchors of a document. A heading that is there twice has a number the second time.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for part in parts(text).unwrap() {
        let Part::Prose(line) = part else { continue };
        let level = line.len() - line.trim_start_matches('#').len();
        if !(1..=6).contains(&level) || !line[level..].starts_with(' ') {
            continue;
        }
        let own = anchor(line);
        let earlier = anchors.iter().filter(|known| **known == own).count();
        anchors.push(own.clone());
        if earlier > 0 {
            anchors.push(format!("{own}-{earlier}"));
        }
    }
    anchors
}

#[test]
fn a_line_inside_a_block_is_no_heading() {
    let text = "# A b\n```sh\n# c\n```\n  ```toml\n  # d\n# e\n  ```\n#f\n## A b\n";
    assert_eq!(anchors(text), ["a-b", "a-b", "a-b-1"]);
}

#[test]
fn every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    for document in [".", "docs", "bench/results"]
        .into_iter()
        .flat_map(documents)
    {
        let text = std::fs::read_to_string(&document).unwrap();
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.starts_with("http://") || target.starts_with("https://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            let has_heading = || {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                anchors(&text).iter().any(|anchor| anchor == heading)
            };
            if !path.exists() || (!heading.is_empty() && !has_heading()) {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
