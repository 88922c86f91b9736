//! A program that asks `/api/v1` with a token.

use serde_json::Value;

use super::browser::{Browser, Page};
use super::{Town, json};

/// Every scope but those that are checked elsewhere.
pub const SCOPES: &str = "tickets:read,tickets:write,files:read,files:write,persons:read,knowledge:read,knowledge:write,status:read,\
                      figures:read,cti:read,cti:write";

/// A program with a token.
pub struct Program {
    pub browser: Browser,
    pub token: String,
}

impl Program {
    pub fn new(town: &Town, desk: &str, name: &str, role: &str, scopes: &str) -> Program {
        Program { browser: Browser::new(desk), token: token(town, "370100", name, role, scopes) }
    }

    pub fn asks(&self, method: &str, path: &str, lines: &[&str], body: &[u8]) -> Page {
        let mut request = self.browser.head(method, &format!("/api/v1{path}"));
        request += &format!("Authorization: Bearer {}\r\nContent-Length: {}\r\n", self.token, body.len());
        lines.iter().for_each(|line| request += &format!("{line}\r\n"));
        self.browser.raw(&[request.as_bytes(), b"\r\n", body].concat()).unwrap()
    }

    pub fn get(&self, path: &str) -> Page {
        self.asks("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value, lines: &[&str]) -> Page {
        let lines = [&["Content-Type: application/json"], lines].concat();
        self.asks("POST", path, &lines, body.to_string().as_bytes())
    }

    pub fn made(&self, body: &Value) -> String {
        value(&self.post("/tickets", body, &[]).is(201))["id"].as_str().unwrap().to_owned()
    }
}

/// A token of a node's desk.
pub fn token(town: &Town, node: &str, name: &str, role: &str, scopes: &str) -> String {
    let args = ["token", "add", name, "--role", role, "--scope", scopes, "--dir", &town.at(node)];
    json(&args)["token"].as_str().unwrap().to_owned()
}

/// The JSON of an answer.
pub fn value(page: &Page) -> Value {
    serde_json::from_str(&page.body).unwrap_or_else(|e| panic!("{e}: {}\n{}", page.head, page.body))
}
