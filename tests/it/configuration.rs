use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Set to write what the program says instead of comparing it, for review with `git diff`.
const REWRITE: &str = "REWRITE_MESSAGES";

fn check_config(folder: &Path, path: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_health-exporter"))
        .args(["check-config", path])
        .current_dir(folder)
        .output()
        .unwrap()
}

fn bad_files() -> (PathBuf, Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/bad");
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = entries.filter(|path| path.extension().is_some_and(|ending| ending == "yml"));
    let mut names: Vec<_> =
        yaml.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    (folder, names)
}

/// Each file in `data/bad` breaks a rule; beside it stands what the program says about it.
#[test]
fn every_mistake_has_its_message_and_exit_code_2() {
    let (folder, names) = bad_files();
    assert!(names.len() > 40);
    for name in names {
        let output = check_config(&folder, &format!("{name}.yml"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(output.stdout.is_empty(), "{name}");
        let expected = folder.join(format!("{name}.txt"));
        if std::env::var_os(REWRITE).is_some() {
            fs::write(&expected, said).unwrap();
        } else {
            assert_eq!(said, fs::read_to_string(&expected).unwrap_or_default(), "{name}");
        }
    }
}

#[test]
fn serving_a_bad_file_says_the_same_and_binds_nothing() {
    let (folder, _) = bad_files();
    let output = Command::new(env!("CARGO_BIN_EXE_health-exporter"))
        .args(["--config", "many.yml", "--listen", "127.0.0.1:0"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let expected = fs::read_to_string(folder.join("many.txt")).unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
}

#[test]
fn a_folder_is_read_as_one_configuration_and_only_checks_may_be_spread() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("10-base.yml", "defaults: {interval: 5s}\nchecks: [{name: a, runtime: {}}]\n");
    write("20-team.yaml", "checks: [{name: b, runtime: {}}]\n");
    write("notes.txt", "this is: not: yaml");
    write(".hidden.yml", "nonsense: [");
    let output = check_config(folder.path(), ".");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("2 checks, no problems\n"), "{said}");

    write("30-more.yml", "defaults: {interval: 6s}\nchecks: [{name: a, runtime: {}}]\n");
    let output = check_config(folder.path(), ".");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "./30-more.yml:1:1: defaults: stands at ./10-base.yml:1:1 too; only `checks` may stand in \
         several files\n\
         ./30-more.yml:2:17: check `a`: name: there is another check `a` at ./10-base.yml:2:17\n"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (path, message) in [
        ("missing.yml", "missing.yml: cannot be read: No such file or directory (os error 2)\n"),
        (".", ".: expected files that end in .yml or .yaml\n"),
    ] {
        let output = check_config(folder.path(), path);
        assert_eq!(String::from_utf8_lossy(&output.stderr), message);
        assert_eq!(output.status.code(), Some(2));
    }
    fs::write(folder.path().join("latin1.yml"), b"checks: # \xe4\n").unwrap();
    let output = check_config(folder.path(), "latin1.yml");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "latin1.yml: cannot be read: stream did not contain valid UTF-8\n");
}

#[test]
fn the_load_of_a_configuration_is_shown_and_compared_with_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let config = "
engine: {max_concurrency: 2, max_concurrency_per_host: 1}
checks:
  - {name: a, interval: 5s, timeout: 5s, http: {url: 'http://one.example/'}}
  - {name: b, interval: 5s, timeout: 5s, http: {url: 'http://one.example/b'}}
  - {name: c, interval: 10s, timeout: 5s, http: {url: 'http://two.example:8080/'}}
";
    fs::write(folder.path().join("health.yml"), config).unwrap();
    let output = check_config(folder.path(), "health.yml");
    let cannot = "cannot carry this: runs would wait for each other and be skipped; raise it, or \
                  choose longer intervals or shorter timeouts";
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!(
            "3 checks, no problems\n\
             runs at once if every target hangs (sum of timeout/interval): 2.5 of 2\n\
             warning: engine.max_concurrency {cannot}\n  one.example:80: 2.0 of 1\n\
             warning: engine.max_concurrency_per_host {cannot}\n  two.example:8080: 0.5 of 1\n"
        )
    );
}
