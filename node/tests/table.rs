//! `hotline ticket import` of tables of other systems: their numbers kept, every row told.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::path::Path;

use harness::{Town, WAYS, failed, fails, json, run, says, text};
use serde_json::Value;

/// A workbook as a 12345 hall's program writes it: a cover sheet, numbers as numbers, dates as dates, an empty row.
fn workbook() -> String {
    format!("{}/tests/tables/hall.xlsx", env!("CARGO_MANIFEST_DIR"))
}

fn tickets(dir: &str) -> Vec<Value> {
    json(&["ticket", "list", "--limit", "9999", "--dir", dir]).as_array().unwrap().clone()
}

/// The rows of a report, without its header.
fn report(file: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.strip_prefix('\u{feff}').expect("a mark").lines().skip(1);
    lines.map(|l| l.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn a_workbook_is_imported_and_every_row_is_told() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let _node = town.way(way, "370100");
        let (city, told) = (town.at("370100"), town.path("report.csv"));
        let import =
            ["ticket", "import", &workbook(), "--sheet", "工单", "--report", text(&told), "--dir", &city];
        // First a look, which imports nothing.
        let look = [&import[..], &["--check"]].concat();
        failed(&run(&look), &look, 1, "2 rows of");
        assert!(report(&told).iter().any(|row| row[2] == "可导入 fits") && tickets(&city).is_empty());

        let output = run(&import);
        failed(&output, &import, 1, "2 are in, 1 were here already");
        failed(&output, &import, 1, "row 3: `text` is empty; write what the caller said");
        failed(&output, &import, 1, "row 6: `priority` is none of 一般, 紧急 and 特急");
        let rows = report(&told);
        let shown: Vec<(&str, &str)> =
            rows.iter().map(|r| (&*r[0], r[2].split(' ').next().unwrap())).collect();
        let expected = [("2", "已导入"), ("3", "未导入"), ("5", "已导入"), ("6", "未导入"), ("7", "重复")];
        assert_eq!(shown, expected);
        let there = tickets(&city);
        assert_eq!(there.len(), 2);
        let first = there.iter().find(|t| t["number"] == *rows[0][3]).expect("the report names its number");
        let shown = json(&[
            "ticket",
            "show",
            first["id"].as_str().unwrap(),
            "--reveal",
            "核对",
            "--user",
            "li",
            "--dir",
            &city,
        ]);
        assert_eq!(shown["facts"]["external_numbers"], "DT20261101-001");
        assert_eq!(shown["facts"]["happened_at"], "2026-11-01 08:30:00");
        assert_eq!(shown["facts"]["x.承办单位"], "运管处", "a column that we have no name for");
        assert_eq!(
            (&shown["person"]["name"], &shown["person"]["phone"]),
            (&"张三".into(), &"13800000001".into())
        );
        assert!(there.iter().any(|t| t["subject"] == "(举报人保密)"), "是 was a truth in the workbook");
        let said = std::fs::read_to_string(&told).unwrap();
        assert!(!said.contains("拒载") && !said.contains("13800000001"), "{said}");

        // Once more: nothing is made twice, and the ticket is named.
        failed(&run(&import), &import, 1, "0 are in, 3 were here already");
        assert_eq!(report(&told)[0][2..4], ["已存在 here already".to_owned(), rows[0][3].clone()]);
        assert_eq!(tickets(&city).len(), 2);
    }
}

#[test]
fn a_table_of_text_is_imported_with_names_of_a_centres_own() {
    let town = Town::new(&["370100"]);
    let (city, file) = (town.at("370100"), town.path("old.csv"));
    // GB18030, as a Chinese spreadsheet saves CSV; one column is called as nobody else calls it.
    let (bytes, _, _) =
        encoding_rs::GB18030.encode("流水,说了啥\nZ-1,\"公交晚点,等了一小时\"\nZ-2,出租车拒载\n");
    std::fs::write(&file, bytes).unwrap();
    let import = ["ticket", "import", text(&file), "--dir", &city];
    fails(&import, 1, "none of its columns holds what the caller said; its columns are: 流水, 说了啥");
    std::fs::create_dir(format!("{city}/reference")).unwrap();
    let own = "column,field\n流水,id\n说了啥,text\n";
    std::fs::write(format!("{city}/reference/import_columns.csv"), own).unwrap();
    assert_eq!(json(&import)["imported"], 2);
    let found = json(&["ticket", "search", "晚点", "--dir", &city]);
    assert_eq!(found[0]["subject"], "公交晚点,等了一小时");
    // The table grew by a row: only that one is new.
    let mut more = std::fs::read(&file).unwrap();
    more.extend_from_slice(b"=1+1,help\n");
    std::fs::write(&file, more).unwrap();
    let told = town.path("report.csv");
    let said = json(&[&import[..], &["--report", text(&told)]].concat());
    assert_eq!(report(&told)[2][1], "'=1+1", "no program for tables takes it for a formula");
    assert_eq!((&said["imported"], &said["here_already"]), (&1.into(), &2.into()));
    assert!(says(&["ticket", "import", "--help"]).contains("--report"));
    fails(
        &["ticket", "import", &workbook(), "--sheet", "x", "--dir", &city],
        1,
        "it has no sheet `x`; it has: 说明, 工单",
    );
    fails(&["ticket", "import", &workbook(), "--dir", &city], 1, "its columns are: 本表由 12345 大厅导出");
    fails(&[&import[..], &["--from-line", "2"]].concat(), 2, "a table needs no --from-line");
    fails(&["ticket", "import", "-", "--check", "--dir", &city], 2, "are for tables");
}
