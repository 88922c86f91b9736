//! axe-core in a window: what a program can see of WCAG 2.2, levels A and AA.
//!
//! Its source (MPL-2.0) is not in the tree: `.ci/run` fetches the pinned package and says where it is.

use serde_json::{Value, json};

use super::chromium::{MUST, Window};

/// Names `axe.min.js`.
const SOURCE: &str = "HOTLINE_AXE";

/// What the pages are held to; *best practice* is axe's own.
const TAGS: [&str; 7] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"];

/// Rules that have something to look at on every page, even behind an open dialog. Were they not applied, nothing else would
/// say so.
const SEEN: [&str; 2] = ["color-contrast", "meta-viewport"];

/// Runs axe and gives back what it found, in few words. What it cannot judge counts as found, but for a field that is empty
/// and for the numbers within a plot, whose ground it does not see: they are ink on paper, as the text beside them.
const RUN: &str = "
    const done = arguments[arguments.length - 1];
    const wanted = { runOnly: { type: 'tag', values: arguments[0] }, resultTypes: ['violations', 'passes', 'incomplete'] };
    const short = (all) => all.flatMap((rule) => rule.nodes.map((node) =>
      [rule.id, node.target.join(' '), node.failureSummary || '', node.html.slice(0, 200)].join(' | ')));
    const judged = (node) => !/has no value/.test(node.failureSummary) && !document.querySelector(node.target[0]).closest('svg');
    axe.run(document, wanted).then(
      (said) => done({ violations: short(said.violations), 
        unsure: short(said.incomplete.map((rule) => ({ ...rule, nodes: rule.nodes.filter(judged) }))), passed: said.passes.map((rule) => rule.id) }),
      (error) => done({ failed: String(error) }));";

/// axe-core.
pub struct Axe(String);

impl Axe {
    /// Reads it; `None`, said loudly, where nobody says where it is.
    ///
    /// # Panics
    /// Where `HOTLINE_CI` is set and it is not there, and where a name leads to nothing.
    pub fn find() -> Option<Axe> {
        let Some(path) = std::env::var_os(SOURCE) else {
            assert!(std::env::var_os(MUST).is_none(), "{MUST} is set and {SOURCE} does not name axe.min.js");
            println!(
                "\n*** SKIPPED: no axe-core here; `.ci/run axe` fetches it, or name axe.min.js in {SOURCE} ***\n"
            );
            return None;
        };
        let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{SOURCE}: {e}"));
        Some(Axe(source))
    }

    /// Everything that is wrong with the page that the window shows, a line each.
    pub fn wrong(&self, window: &Window<'_>) -> Vec<String> {
        // What fades in for a moment has other colours than it will have.
        window.until("nothing moves", || {
            window.script("return document.getAnimations().every(a => a.playState !== 'running')") == true
        });
        window.script(&format!("{}\nreturn axe.version", self.0));
        let said = window.script_later(RUN, &json!(TAGS));
        assert!(said["failed"].is_null(), "{said}");
        let lines = |of: &Value| -> Vec<String> {
            of.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
        };
        let passed = lines(&said["passed"]);
        let violations = lines(&said["violations"]);
        for rule in SEEN {
            let seen = passed.iter().chain(&violations).any(|line| line.starts_with(rule));
            assert!(seen, "{rule} was not looked at on {}: {passed:?}", window.at());
        }
        violations
            .into_iter()
            .chain(lines(&said["unsure"]).into_iter().map(|line| format!("unsure: {line}")))
            .collect()
    }
}
