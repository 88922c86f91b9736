//! Completions and manual pages.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::process::Command;

use harness::{fails, says, text};

#[test]
fn every_shell_gets_completions_and_bash_takes_them() {
    let dir = tempfile::tempdir().unwrap();
    for (shell, words) in [
        ("bash", "complete -F _hotline"),
        ("zsh", "#compdef hotline"),
        ("fish", "complete -c hotline"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = says(&["completions", shell]);
        assert!(
            script.contains(words) && script.contains("follow-up") && script.contains("conflicts"),
            "{shell}"
        );
        if shell == "bash" {
            let file = dir.path().join("hotline.bash");
            std::fs::write(&file, script).unwrap();
            let asked = format!(
                "source {}; COMP_WORDS=(hotline ticket rep); COMP_CWORD=2; _hotline hotline rep ticket; echo ${{COMPREPLY[@]}}",
                text(&file)
            );
            let offered = Command::new("bash").args(["-c", &asked]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&offered.stdout).trim(), "reply", "{offered:?}");
        }
    }
    fails(&["completions", "tcsh"], 2, "tcsh");
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    says(&["man", "--out", text(dir.path())]);
    let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(page("hotline.1").contains("hotline\\-ticket(1)"));
    assert!(page("hotline-ticket-offer.1").contains("NODE"));
    assert!(page("hotline-config-check.1").contains("HOTLINE_LISTEN"));
    let pages = std::fs::read_dir(dir.path()).unwrap().count();
    assert!(pages > 50, "{pages} pages");
    assert!(says(&["man"]).starts_with(".ie"), "one page on stdout, in roff");
    fails(&["man", "--out", "/proc/nowhere"], 1, "/proc/nowhere");
}
