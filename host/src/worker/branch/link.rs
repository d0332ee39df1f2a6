//! The addresses of a task's work item and of its branch, in somebody's tracker and forge.
//!
//! Owns the templates of a project and their escaping. Callers rely on this: whatever a name is,
//! the address stays on the host that the template names, and the name is one part of it.

use std::net::Ipv6Addr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Error, Project};

/// All but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Forges take the `/` of a branch as it is.
const ESCAPED_IN_A_BRANCH: &AsciiSet = &ESCAPED.remove(b'/');

impl Project {
    /// The address of a work item; none without a template.
    pub fn link_of_work_item(&self, work_item: &str) -> Option<String> {
        let template = self.work_item_link.as_deref()?;
        let name = utf8_percent_encode(work_item, ESCAPED).to_string();
        (!is_dots(work_item)).then(|| template.replace("{work_item}", &name))
    }

    /// The address of a branch; none without a template.
    pub fn link_of_branch(&self, branch: &str, base: &str) -> Option<String> {
        let template = self.branch_link.as_deref()?;
        // To a browser, a part of dots alone is a folder.
        if [branch, base]
            .iter()
            .any(|name| name.split('/').any(is_dots))
        {
            return None;
        }
        let escaped = |name| utf8_percent_encode(name, ESCAPED_IN_A_BRANCH).to_string();
        // No escaped name has a brace, so none looks like the other one's place.
        let address = template.replace("{branch}", &escaped(branch));
        Some(address.replace("{base}", &escaped(base)))
    }

    /// Refuses a template that gives no safe address.
    pub(super) fn check_links(&self) -> Result<(), Error> {
        let templates = [
            (
                "work_item_link",
                "{work_item}",
                ["{work_item}"].as_slice(),
                &self.work_item_link,
            ),
            (
                "branch_link",
                "{branch}",
                &["{branch}", "{base}"],
                &self.branch_link,
            ),
        ];
        for (key, place, places, template) in templates {
            let Some(template) = template else { continue };
            if !is_template(template, place, places) {
                return Err(Error::Link {
                    repo: self.repo.clone(),
                    key,
                    template: template.clone(),
                    place,
                });
            }
        }
        Ok(())
    }
}

/// Whether a part of an address is empty, or is dots alone.
fn is_dots(part: &str) -> bool {
    part.chars().all(|letter| letter == '.')
}

/// Whether it is a host, perhaps with a port.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => ("ipv6", port),
        Some(_) => return false,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    !is_dots(name)
        && name.chars().all(is_of_name)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Whether it has a fixed host, the place of the name, and no other places than these.
fn is_template(template: &str, place: &str, places: &[&str]) -> bool {
    let Some((host, rest)) = template
        .strip_prefix("https://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let others = places
        .iter()
        .fold(rest.to_owned(), |rest, place| rest.replace(place, ""));
    let is_of_address = |letter: char| letter.is_ascii_graphic() && !"{}\"<>\\".contains(letter);
    is_host(host) && rest.contains(place) && others.chars().all(is_of_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(work_item_link: Option<&str>, branch_link: Option<&str>) -> Project {
        Project {
            repo: "alpha".into(),
            work_item_link: work_item_link.map(Into::into),
            branch_link: branch_link.map(Into::into),
            ..Project::default()
        }
    }

    #[test]
    fn a_name_stays_one_part_of_the_address() {
        let project = project(
            Some("https://tracker.example/browse/{work_item}"),
            Some("https://git.example/a/compare/{base}...{branch}"),
        );
        for (work_item, address) in [
            ("A-1", Some("https://tracker.example/browse/A-1")),
            (
                "a/../b?c#d",
                Some("https://tracker.example/browse/a%2F..%2Fb%3Fc%23d"),
            ),
            (
                "ä \"'<&",
                Some("https://tracker.example/browse/%C3%A4%20%22%27%3C%26"),
            ),
            (
                "{work_item}",
                Some("https://tracker.example/browse/%7Bwork_item%7D"),
            ),
            ("..", None),
            ("", None),
        ] {
            assert_eq!(project.link_of_work_item(work_item).as_deref(), address);
        }
        assert_eq!(
            project.link_of_branch("task/{base}#1", "main").as_deref(),
            Some("https://git.example/a/compare/main...task/%7Bbase%7D%231")
        );
        assert_eq!(project.link_of_branch("../../evil", "main"), None);
    }

    #[test]
    fn a_template_has_a_fixed_host_and_the_place_of_its_name() {
        for (template, expected) in [
            ("https://tracker.example/{work_item}", true),
            ("https://[::1]:8443/browse?item={work_item}#top", true),
            ("http://tracker.example/{work_item}", false),
            ("javascript:alert(1)//{work_item}", false),
            ("https://{work_item}/", false),
            ("https://a{work_item}.example/{work_item}", false),
            ("https://kim:secret@tracker.example/{work_item}", false),
            ("https:///{work_item}", false),
            ("https://[/{work_item}", false),
            ("https://[x]/{work_item}", false),
            ("https://a:b:c/{work_item}", false),
            ("https://:80/{work_item}", false),
            ("https://a:99999/{work_item}", false),
            ("https://tracker.example/", false),
            ("https://tracker.example/{task}", false),
            ("https://tracker.example/{work_item}/{task}", false),
            ("https://tracker.example/{work_item} x", false),
            ("https://tracker.example/{work_item}\n", false),
            ("https://tracker.example/\"{work_item}", false),
            ("", false),
        ] {
            let project = project(Some(template), None);
            assert_eq!(project.check_links().is_ok(), expected, "{template}");
        }
    }
}
