//! `wit/` is one package, and a version of it that was published stays as it is.
//!
//! `wit/published` has the digests. Another version of `wit-component` may encode the same texts
//! otherwise: after such an upgrade compare the texts with those of the release, and write the new
//! digest.

use std::fs;
use std::path::Path;

use serial_gate::policy::digest;
use wit_component::encode;
use wit_parser::Resolve;

use crate::support::checkout;

/// The name of the package in a folder, with its version, and the digest of the package.
fn encoded(folder: &Path) -> (String, String) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder).unwrap();
    let name = resolve.packages[package].name.to_string();
    let bytes = encode(&resolve, package).unwrap();
    // The last section names the encoder and its version: its id, its length, and this name.
    let name_of_last = b"\x09producers";
    let mut places = bytes.windows(name_of_last.len());
    let last = places.rposition(|bytes| bytes == name_of_last).unwrap() - 2;
    (name, format!("sha256:{}", digest(&bytes[..last])))
}

/// The published version that a folder has otherwise, if there is one.
fn changed(published: &str, folder: &Path) -> Option<String> {
    let (name, digest) = encoded(folder);
    let mut lines = published.lines().filter(|line| !line.starts_with('#'));
    lines.find_map(|line| {
        let (version, of_version) = line.split_once(' ').unwrap();
        assert!(version.starts_with("serial-gate:policy@"), "{line}");
        assert!(of_version.starts_with("sha256:"), "{line}");
        (version == name && of_version != digest).then(|| format!("{name} has now {digest}"))
    })
}

#[test]
fn the_texts_are_one_package_of_the_contract_that_the_host_runs() {
    let (name, _) = encoded(&checkout().join("wit"));
    let interface = serial_gate::model::INTERFACE;
    assert_eq!(name.replace('@', "/serial-gate@"), interface);
}

#[test]
fn a_published_version_is_as_it_was() {
    let folder = checkout().join("wit");
    let published = fs::read_to_string(folder.join("published")).unwrap();
    assert_eq!(changed(&published, &folder), None);
}

#[test]
fn a_comment_that_changes_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let contract = checkout().join("wit/serial-gate.wit");
    let contract = fs::read_to_string(contract).unwrap();
    let put = |text: &str| fs::write(folder.path().join("serial-gate.wit"), text).unwrap();
    put(&contract);
    let (name, digest) = encoded(folder.path());
    let published = format!("# a comment\nserial-gate:policy@0.0.1 sha256:00\n{name} {digest}\n");
    assert_eq!(changed(&published, folder.path()), None);
    put(&contract.replace("The kill switch.", "A switch."));
    assert!(changed(&published, folder.path()).is_some());
}

#[test]
fn its_metadata_name_the_licence_of_the_project() {
    let read = |path: &str| -> toml::Table {
        let text = fs::read_to_string(checkout().join(path)).unwrap();
        text.parse().unwrap()
    };
    let (package, project) = (read("wit/wkg.toml"), read("Cargo.toml"));
    let metadata = &package["metadata"];
    assert_eq!(
        metadata["licenses"],
        project["workspace"]["package"]["license"]
    );
    assert!(metadata["description"].as_str().is_some());
}
