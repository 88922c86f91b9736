//! A real browser: Chromium without a window, told by WebDriver (W3C) what an agent's hands would do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Set where the browser has to be there: a test that is skipped is a failure then.
pub const MUST: &str = "HOTLINE_CI";

/// Names a directory, from the root of the tree, in which pictures of the main pages are kept.
const PICTURES: &str = "HOTLINE_PICTURES";

/// The largest picture that is kept: manuals are read over slow lines.
const MAX_PICTURE: usize = 200_000;

/// A small screen, as many halls have them.
const SCREEN: (u32, u32) = (1366, 768);

/// Higher than any page of the tests.
const TALL: u32 = 6_000;

/// A small telephone. At 320 pixels across nothing may have to be scrolled sideways (WCAG 1.4.10).
const TELEPHONE: (u32, u32) = (320, 640);

/// Keys that are no letter, as WebDriver writes them.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";

/// How WebDriver names an element in an answer.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// chromedriver.
pub struct Chromium {
    driver: Child,
    port: u16,
}

impl Chromium {
    /// Starts the driver; `None`, said loudly, where there is no Chromium.
    ///
    /// # Panics
    /// Where `HOTLINE_CI` is set and it is not there.
    pub fn start() -> Option<Chromium> {
        // It takes a port of one family of addresses that is free and ends when another program has it in the other.
        for _ in 0..5 {
            let started = Command::new("chromedriver")
                .args(["--port=0", "--log-level=WARNING"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            let mut driver = match started {
                Ok(driver) => driver,
                Err(e) => {
                    assert!(
                        std::env::var_os(MUST).is_none(),
                        "{MUST} is set and there is no chromedriver: {e}"
                    );
                    println!(
                        "\n*** SKIPPED: no chromedriver here ({e}); install chromium and chromium-driver ***\n"
                    );
                    return None;
                }
            };
            let said = BufReader::new(driver.stdout.take().unwrap());
            let port = said.lines().map_while(Result::ok).find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            });
            match port {
                Some(port) => return Some(Chromium { driver, port }),
                None => drop(driver.wait()),
            }
        }
        panic!("chromedriver says on which port it is, in one of five times");
    }

    /// One command; its value.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (head, mut said) = self.exchange(method, path, body).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {said}");
        said["value"].take()
    }

    /// One command; the answer's head and body.
    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(String, Value)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let body = body.to_string();
        let body = if method == "GET" { "" } else { &body };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        // It keeps the connection, whatever it was asked.
        let mut stream = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        while stream.read_line(&mut head)? > 2 {
            let last = head.lines().last().unwrap_or_default().to_ascii_lowercase();
            length =
                last.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap_or(length));
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok((head, serde_json::from_slice(&body)?))
    }

    /// A window of its own, with cookies of its own, at a desk.
    pub fn window(&self, desk: &str) -> Window<'_> {
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--lang=zh-CN",
        ];
        let options = json!({ "args": args });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let session = self.ask("POST", "/session", &wanted)["sessionId"].as_str().unwrap().to_owned();
        let window = Window { chromium: self, session, desk: desk.to_owned() };
        window.post("/window/rect", &json!({ "width": SCREEN.0, "height": SCREEN.1 }));
        window
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// One window.
pub struct Window<'a> {
    chromium: &'a Chromium,
    session: String,
    desk: String,
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        // Of a test that failed the driver may be gone already; a browser must not outlive it.
        let _ = self.chromium.exchange("DELETE", &format!("/session/{}", self.session), &json!({}));
    }
}

impl Window<'_> {
    fn get(&self, what: &str) -> Value {
        self.chromium.ask("GET", &format!("/session/{}{what}", self.session), &Value::Null)
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.chromium.ask("POST", &format!("/session/{}{what}", self.session), body)
    }

    fn keys(&self, element: &Value, keys: &str) {
        let element = element[ELEMENT].as_str().unwrap();
        self.post(&format!("/element/{element}/value"), &json!({ "text": keys }));
    }

    /// Types an address.
    pub fn go(&self, path: &str) {
        self.post("/url", &json!({ "url": format!("http://{}{path}", self.desk) }));
    }

    /// Where it is, from the first `/` on.
    pub fn at(&self) -> String {
        let url = self.get("/url");
        url.as_str().unwrap().splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default()
    }

    /// Presses keys: they go where the focus is, whatever the page made of it meanwhile.
    pub fn press(&self, keys: &str) {
        let pressed: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|what| json!({ "type": what, "value": key })))
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": pressed });
        self.post("/actions", &json!({ "actions": [keyboard] }));
    }

    /// Waits until the field with this id has the focus, as a page gives it a moment after it is there.
    pub fn focused(&self, id: &str) {
        self.until(&format!("the focus is in {id}"), || {
            self.script("return document.activeElement.id") == id
        });
    }

    /// Waits until a page whose address begins so is there, with its script.
    pub fn arrives(&self, path: &str) {
        self.until(path, || {
            self.at().starts_with(path) && self.script("return document.readyState") == "complete"
        });
    }

    /// Types into the field with this id.
    pub fn fill(&self, id: &str, text: &str) {
        let found = self.post("/element", &json!({ "using": "css selector", "value": format!("#{id}") }));
        self.keys(&found, text);
    }

    /// Goes on through the fields until the one with this id has the focus.
    pub fn tab_to(&self, id: &str) {
        for _ in 0..60 {
            if self.script("return document.activeElement.id") == id {
                return;
            }
            self.press(TAB);
        }
        panic!("no Tab leads to {id}");
    }

    /// What a script returns.
    pub fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What the page says.
    pub fn text(&self) -> String {
        self.script("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page says this, by itself.
    pub fn says(&self, words: &str) {
        self.until(words, || self.text().contains(words));
    }

    /// Waits until it is so.
    pub fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let began = Instant::now();
        while !done() {
            assert!(
                began.elapsed() < Duration::from_secs(90),
                "not within a minute and a half: {what}\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Signs in by keyboard alone.
    pub fn sign_in(&self, name: &str, password: &str) {
        self.go("/sign-in");
        self.focused("name");
        self.press(name);
        self.press(TAB);
        self.press(password);
        self.press(ENTER);
        self.arrives("/queue");
    }

    /// Takes a picture of what is on the screen, no larger than a manual may have, and keeps it where pictures are wanted.
    pub fn picture(&self, name: &str) {
        let png = self.get("/screenshot");
        let png = BASE64_STANDARD.decode(png.as_str().unwrap()).unwrap();
        assert!(png.len() <= MAX_PICTURE, "{name} has {} bytes", png.len());
        if let Some(dir) = std::env::var_os(PICTURES) {
            // The tests of a package run in its own folder, and whoever names a directory stands at the root.
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(dir);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(name), png).unwrap();
        }
    }

    /// Clicks what this selector finds.
    pub fn click(&self, selector: &str) {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        let element = found[ELEMENT].as_str().unwrap();
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// What a script gives to its last argument, some time later.
    pub fn script_later(&self, script: &str, argument: &Value) -> Value {
        self.post("/execute/async", &json!({ "script": script, "args": [argument] }))
    }

    /// A screen from now on on which whole pages are seen: nothing that stays in sight lies over what would be scrolled.
    pub fn tall(&self) {
        self.post("/window/rect", &json!({ "width": SCREEN.0, "height": TALL }));
    }

    /// A telephone's screen from now on.
    pub fn telephone(&self) {
        self.screen(TELEPHONE, true);
    }

    /// A screen of this size from now on.
    pub fn screen(&self, (width, height): (u32, u32), mobile: bool) {
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        let order = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": screen });
        self.post("/goog/cdp/execute", &order);
    }

    /// What the page asked of anybody but the desk.
    pub fn asked_elsewhere(&self) -> Vec<Value> {
        let asked = "return performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith(location.origin))";
        self.script(asked).as_array().cloned().unwrap_or_default()
    }
}
