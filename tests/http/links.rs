//! The links of a project, to a tracker and a forge.

use crate::support::service::Service;
use crate::support::worker::Project;

const TEMPLATES: &str = "work_item_link = \"https://tracker.example/browse/{work_item}\"
branch_link = \"https://git.example/alpha/compare/{base}...{branch}\"
";

#[test]
fn a_work_item_and_a_branch_are_links_to_the_tracker_and_the_forge() {
    let project = Project::new().followed_by(TEMPLATES);
    let add = ["task", "add", "alpha", "--work-item", "A#1/\"x\""];
    project.gate.run(&add).succeeds();
    project.work(&["--max", "1"], &["true"]).succeeds();
    let service = Service::on(project.gate);
    let branch = "href=\"https://git.example/alpha/compare/main...task/A%231/%22x%22\"";
    for path in ["/", "/repo?name=alpha", "/tasks/1"] {
        let page = service.get(path).is(200).text;
        assert!(page.contains(branch), "{path}: {page}");
    }
    let page = service.get("/tasks/1").text;
    let work_item = "href=\"https://tracker.example/browse/A%231%2F%22x%22\"";
    assert!(page.contains(work_item), "{page}");
}

#[test]
fn a_template_that_gives_no_safe_address_is_refused_at_the_start() {
    for template in ["javascript:alert({work_item})", "https://tracker.example/"] {
        let line = format!("work_item_link = \"{template}\"\n");
        let project = Project::new().followed_by(&line);
        let refused = project
            .gate
            .run(&["serve", "--listen", "127.0.0.1:0"])
            .exits(1);
        assert_eq!(
            refused.stderr,
            format!(
                "error: `work_item_link` of `alpha` is `{template}`, which gives no link: \
                 write an address with `https://`, a host, and `{{work_item}}` after it in \
                 `serial-gate.toml`\n"
            )
        );
    }
}
