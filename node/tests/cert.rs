//! `hotline cert`: authorities, enrolment by files, revocation, and what a check finds.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness::{Town, both, fails, json, run, says, text};

fn str_of(value: &serde_json::Value) -> &str {
    value.as_str().unwrap()
}

/// Every file below.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn keys_are_their_owners_alone_and_are_never_printed() {
    let town = Town::new(&["370100"]);
    let (root, ca, id) = (town.at("root"), town.at("ca"), town.at("id-370100"));
    let mut said = String::new();
    said += &both(&run(&["cert", "node", "370200", "--ca", &ca, "--out", &town.at("id-370200")]));
    said += &both(&run(&["cert", "request", "370300", "--out", &town.at("id-370300"), "--json"]));
    for shown in [&root, &ca, &id] {
        said += &both(&run(&["cert", "show", shown]));
        said += &both(&run(&["cert", "check", shown, "--json"]));
    }
    said += &both(&run(&["cert", "list", "--ca", &ca]));
    let mut keys = 0;
    for path in files(&town.path("")).iter().filter(|p| p.extension().is_some_and(|e| e == "key")) {
        keys += 1;
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
        let pem = std::fs::read_to_string(path).unwrap();
        for line in pem.lines().filter(|l| !l.starts_with("-----")) {
            assert!(!said.contains(line), "{} was printed", path.display());
        }
    }
    assert_eq!(keys, 2 + 4 * 4, "two authorities, three identities and the one in the data directory");
    assert!(said.contains("370100"), "{said}");
}

#[test]
fn a_node_is_enrolled_from_afar_by_two_files_and_two_telephone_calls() {
    let town = Town::new(&[]);
    let (id, ca) = (town.at("afar"), town.at("ca"));
    let request = json(&["cert", "request", "370300", "--out", &id]);
    let (file, digits) = (str_of(&request["file"]).to_owned(), str_of(&request["fingerprint"]).to_owned());
    assert_eq!(json(&["cert", "show", &file])["fingerprint"], digits.as_str());
    fails(&["cert", "check", &id], 6, "370300 has no certificate yet");
    fails(&["cert", "request", "370300", "--out", &id], 1, "exists and is not replaced");
    let answer = town.at("answer");
    let sign = ["cert", "sign", &file, "--ca", &ca, "--out", &answer];
    fails(&sign, 6, "nobody has compared the fingerprint");
    fails(&[&sign[..], &["--fingerprint", "00000 11111"]].concat(), 6, "has another fingerprint");
    assert!(!Path::new(&answer).exists(), "nothing is signed before the fingerprints are equal");
    // The authority of this province has revoked somebody: the new node learns of it with its certificate.
    town.enrol("370200");
    let list = town.at("list.crl");
    json(&["cert", "revoke", "370200", "--ca", &ca, "--out", &list]);
    let signed = json(&[&sign[..], &["--fingerprint", &digits]].concat());
    let admit = ["cert", "admit", &answer, "--identity", &id];
    fails(&admit, 6, "nobody has compared the fingerprint of the root");
    let root = str_of(&signed["root"]);
    let admitted = json(&[&admit[..], &["--fingerprint", root]].concat());
    assert_eq!((admitted["node"].as_str(), admitted["lists"].as_u64()), (Some("370300"), Some(1)));
    assert_eq!(json(&["cert", "check", &id, "--node", "370300"])["node"], "370300");
    json(&["init", "--dir", &town.at("370300"), "--identity", &id]);
    assert_eq!(json(&["replica", "status", "--dir", &town.at("370300")])["revoked"][0], "370200");
    // A year later: the same keys, a new certificate, no new comparison of the root.
    let again = town.at("again");
    let renewal = json(&["cert", "request", "--renew", &town.at("370300/identity"), "--out", &again]);
    let digits = str_of(&renewal["fingerprint"]);
    json(&["cert", "sign", &again, "--ca", &ca, "--out", &answer, "--days", "800", "--fingerprint", digits]);
    let renewed = json(&["cert", "admit", &answer, "--dir", &town.at("370300")]);
    assert_eq!(renewed["days"], 800);
    assert_eq!(json(&["cert", "show", &town.at("370300")])["record"], 2);
    assert_eq!(json(&["replica", "status", "--dir", &town.at("370300")])["node"], "370300");
}

#[test]
fn what_must_not_be_signed_is_refused_with_the_reason() {
    let town = Town::new(&[]);
    let out = town.at("x");
    let ca = town.at("ca");
    fails(&["cert", "node", "510100", "--ca", &ca, "--out", &out], 1, "has no say over node 510100");
    fails(&["cert", "node", "37010", "--ca", &ca, "--out", &out], 2, "37010");
    fails(&["cert", "node", "370100", "--ca", &ca, "--out", &out, "--days", "4000"], 1, "choose 1 to 825");
    fails(&["cert", "province", "370100", "--ca", &town.at("root"), "--out", &out], 1, "gets no authority");
    fails(&["cert", "province", "510000", "--ca", &ca, "--out", &out], 1, "gets no authority");
    fails(&["cert", "root", "--out", &ca], 1, "exists and is not replaced");
    fails(
        &["cert", "revoke", "370900", "--ca", &ca, "--out", &out],
        1,
        "has issued no certificate to node 370900",
    );
    fails(&["cert", "list", "--ca", "/nowhere"], 1, "/nowhere/ca.crt");
    // A request of another province's node, and one that was changed on its way.
    let request = json(&["cert", "request", "510100", "--out", &town.at("foreign")]);
    let (file, digits) = (str_of(&request["file"]), str_of(&request["fingerprint"]));
    fails(&["cert", "sign", file, "--ca", &ca, "--out", &out, "--fingerprint", digits], 1, "has no say over");
    let pem = std::fs::read_to_string(file).unwrap();
    let middle = pem.len() / 2;
    let swapped = if pem.as_bytes()[middle] == b'A' { "B" } else { "A" };
    std::fs::write(file, format!("{}{swapped}{}", &pem[..middle], &pem[middle + 1..])).unwrap();
    fails(&["cert", "sign", file, "--ca", &ca, "--out", &out, "--fingerprint", digits], 1, "cannot be read");
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_check_says_what_is_wrong_by_its_exit_code() {
    let town = Town::new(&["370100"]);
    let id = town.at("id-370100");
    let fine = json(&["cert", "check", &id]);
    assert!(fine["days_left"].as_i64().unwrap() > 390, "{fine}");
    assert_eq!(json(&["cert", "check", &town.at("370100")])["node"], "370100");
    assert_eq!(json(&["cert", "check", &town.at("ca")])["issued"], 1);
    fails(&["cert", "check", &id, "--node", "370200"], 4, "this identity is 370100's and not 370200's");
    fails(&["cert", "check", &id, "--within", "500"], 6, "the certificate of 370100 ends in");
    fails(&["cert", "check", "/nowhere"], 4, "cannot be used");
    let key = town.path("id-370100").join("sign.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    fails(&["cert", "check", &id], 4, "can be read by others (mode 644)");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    town.enrol("370200");
    std::fs::copy(town.path("id-370200").join("node.key"), town.path("id-370100").join("node.key")).unwrap();
    fails(&["cert", "check", &id], 4, "its key is not the one that the record names");
    std::fs::copy(town.path("id-370200").join("record"), town.path("id-370100").join("record")).unwrap();
    fails(&["cert", "check", &id], 4, "its key is not the one that the record names");
    std::fs::write(town.path("ca").join("ca.state"), b"x").unwrap();
    fails(&["cert", "check", &town.at("ca")], 4, "ca.state");
}

#[test]
fn a_revocation_names_the_seals_that_count_and_is_listed() {
    let town = Town::new(&["370000", "370100"]);
    let city = town.at("370100");
    json(&["ticket", "new", "--dir", &city, "--text", "公交晚点"]);
    let seal = json(&["replica", "status", "--dir", &city])["last_seal"]["hash"].as_str().unwrap().to_owned();
    let (ca, list) = (town.at("ca"), town.at("list.crl"));
    let revoked = json(&[
        "cert", "revoke", "370100", "--ca", &ca, "--out", &list, "--counts", &seal, "--reason", "closed",
    ]);
    assert_eq!((revoked["revoked"].as_str(), revoked["number"].as_u64()), (Some("370100"), Some(1)));
    let listed = json(&["cert", "list", "--ca", &ca]);
    let row = listed["issued"].as_array().unwrap().iter().find(|r| r["name"] == "370100").unwrap();
    assert_eq!(
        (row["standing"].as_str(), row["reason"].as_str(), row["counts"].as_u64()),
        (Some("revoked"), Some("Closed"), Some(1))
    );
    assert!(says(&["cert", "list", "--ca", &ca]).contains("370000"), "a table names every node");
    fails(&["cert", "revoke", "370100", "--ca", &ca, "--out", &list, "--counts", "xyz"], 2, "xyz");
    let province = town.at("370000");
    assert_eq!(json(&["cert", "admit", &list, "--dir", &province])["revoked"][0], "370100");
    assert_eq!(json(&["cert", "admit", &list, "--dir", &province])["admitted"], false);
    let mut bytes = std::fs::read(&list).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&list, bytes).unwrap();
    fails(&["cert", "admit", &list, "--dir", &province], 1, "does not verify");
    // A whole province: by the root alone.
    let all = town.at("province.crl");
    json(&["cert", "revoke", "370000", "--authority", "--ca", &town.at("root"), "--out", &all]);
    let listed = json(&["cert", "list", "--ca", &town.at("root")]);
    assert_eq!(listed["issued"][0]["standing"], "revoked");
    assert!(!text(Path::new(&all)).is_empty() && Path::new(&all).exists());
}
