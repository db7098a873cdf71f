//! A headless Chromium that a test drives: it looks, clicks and types as people do, and says of what its console complained.
//!
//! Spoken is its DevTools protocol over a pipe: JSON, each message ended by a NUL. There are crates for it, but they bring the types of
//! the whole protocol, which take longer to build than the page and its server; a test needs a dozen calls. And with a pipe nobody
//! listens on a port, and the browser ends with the test.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{Instant, sleep, timeout},
};

/// Names another browser than that of the `PATH`.
const BINARY_VARIABLE: &str = "TICKMESH_CHROMIUM";
/// What distributions call it.
const BINARY_NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Long enough for anything that a page does, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two looks at a page.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Sends the pipes of its stdin and stdout to where the browser wants them.
const LAUNCH: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"#;
const FLAGS: [&str; 10] = [
    "--headless",
    "--remote-debugging-pipe",
    // Tests run as root in containers, where its sandbox cannot be made; it sees nothing but our own page.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "about:blank",
];
/// Makes a broken policy a complaint of the console, whatever the browser itself says of it.
const WATCH_POLICY: &str = "document.addEventListener('securitypolicyviolation', (it) => \
                            console.error(`policy: ${it.violatedDirective} ${it.blockedURI}`))";

/// What a page's question (`confirm`) is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Yes.
    Accept,
    /// No.
    Dismiss,
}

/// Which colours somebody prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// A browser with one tab. Dropped, it ends.
pub struct Browser {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    last_id: u64,
    reply: Reply,
    questions: Vec<String>,
    complaints: Vec<String>,
    /// Removed when the browser has ended.
    _profile: TempDir,
}

impl Browser {
    /// Starts one; `None`: there is none on this machine, and the test is to be left out.
    ///
    /// # Panics
    ///
    /// If it does not start, or is missing where `CI` is set: a test that is left out there would hide that.
    pub async fn start() -> Option<Self> {
        let Some(binary) = binary() else {
            assert!(std::env::var_os("CI").is_none(), "there is no chromium: run `scripts/setup-browser`");
            skipped();
            return None;
        };
        let profile = tempfile::Builder::new().prefix("tickmesh-browser-").tempdir().expect("make a folder");
        let mut process = Command::new("sh")
            .args(["-c", LAUNCH])
            .arg(binary)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(FLAGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("start chromium");
        let input = process.stdin.take().expect("a pipe");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut browser = Self {
            process,
            input,
            output,
            session: None,
            last_id: 0,
            reply: Reply::Dismiss,
            questions: Vec::new(),
            complaints: Vec::new(),
            _profile: profile,
        };
        browser.open_tab().await;
        Some(browser)
    }

    async fn open_tab(&mut self) {
        let tab = self.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let attached = self.call("Target.attachToTarget", json!({"targetId": tab["targetId"], "flatten": true})).await;
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), json!({})).await;
        }
        // Else a tab that no window shows would never have the focus.
        self.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true})).await;
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": WATCH_POLICY})).await;
    }

    /// Ends it, and waits for its end: what it has on its disk is removed then.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub async fn stop(mut self) {
        self.session = None;
        self.send("Browser.close", json!({})).await;
        let ended = timeout(PATIENCE, self.process.wait()).await;
        ended.unwrap_or_else(|_| panic!("chromium did not end within {PATIENCE:?}")).expect("wait for chromium");
    }

    /// Goes to an address, and waits until it is there.
    ///
    /// # Panics
    ///
    /// If it does not get there.
    pub async fn visit(&mut self, address: &str) {
        // What was there before must not be taken for what is asked for.
        let _ = self.try_evaluate("window.isLeft = true").await;
        let answer = self.call("Page.navigate", json!({"url": address})).await;
        assert!(answer["errorText"].is_null(), "cannot visit {address}: {answer}");
        self.until(&format!("{address} to be there"), "!window.isLeft && document.readyState === 'complete'").await;
    }

    /// What an expression gives, as JSON.
    ///
    /// # Panics
    ///
    /// If it throws.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        self.try_evaluate(expression).await.unwrap_or_else(|problem| panic!("{expression}: {problem}"))
    }

    /// The text of what is seen.
    pub async fn text(&mut self) -> String {
        self.evaluate("document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Looks until an expression, or what it promises, is true.
    ///
    /// # Panics
    ///
    /// If it is not in time.
    pub async fn until(&mut self, what: &str, expression: &str) {
        let begun = Instant::now();
        let wanted = format!("Promise.resolve({expression}).then(Boolean)");
        // While a page is left there is nothing that could be asked.
        while self.try_evaluate(&wanted).await != Ok(Value::Bool(true)) {
            if begun.elapsed() > PATIENCE {
                let shown = self.try_evaluate("document.body.innerText").await;
                panic!("waited {PATIENCE:?} in vain for {what}; complaints: {:?}; shown: {shown:?}", self.complaints);
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Presses a key: `Tab`, `Enter`, or a letter.
    pub async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            letter => (0, letter),
        };
        let stroke = |kind: &str| json!({"type": kind, "key": key, "windowsVirtualKeyCode": code, "text": text});
        self.call("Input.dispatchKeyEvent", stroke(if text.is_empty() { "rawKeyDown" } else { "keyDown" })).await;
        self.call("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code})).await;
    }

    /// Clicks on the middle of the first element that a selector finds.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn click(&mut self, selector: &str) {
        let selector = Value::from(selector);
        let place = format!(
            "(() => {{ const it = document.querySelector({selector}); it.scrollIntoView({{block: 'center'}}); \
             const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.evaluate(&place).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let stroke = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", stroke).await;
        }
    }

    /// How questions are answered from now on.
    pub fn reply_with(&mut self, reply: Reply) {
        self.reply = reply;
    }

    /// What was asked since the last look.
    pub fn questions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.questions)
    }

    /// What the console complained of since the last look: errors, exceptions that nobody caught, and what the policy forbade.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// Makes the window as wide as that, in CSS pixels.
    pub async fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// What sticks out, if the document can be scrolled to the side. A scroll bar takes its own place from it.
    pub async fn sticking_out(&mut self) -> Vec<String> {
        let found = "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth ? [] : \
                     [`${scrollWidth} of ${clientWidth}`, ...[...document.querySelectorAll('*')]\
                     .filter((it) => it.getBoundingClientRect().right > clientWidth)\
                     .map((it) => it.outerHTML.slice(0, 200))])(document.documentElement)";
        let found = self.evaluate(found).await;
        found.as_array().into_iter().flatten().map(Value::to_string).collect()
    }

    /// Prefers these colours from now on.
    pub async fn prefer(&mut self, scheme: Scheme) {
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.call("Emulation.setEmulatedMedia", media).await;
    }

    /// Writes a picture (PNG) of what is seen.
    ///
    /// # Panics
    ///
    /// If there is none, or it cannot be written.
    pub async fn picture(&mut self, file: &Path) {
        self.call("Emulation.setScrollbarsHidden", json!({"hidden": true})).await;
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        self.call("Emulation.setScrollbarsHidden", json!({"hidden": false})).await;
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap_or_default()).expect("base64");
        std::fs::write(file, bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
    }

    async fn try_evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let wanted =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true});
        let answer = self.try_call("Runtime.evaluate", wanted).await?;
        match &answer["exceptionDetails"] {
            Value::Null => Ok(answer["result"]["value"].clone()),
            problem => Err(problem.to_string()),
        }
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        let answer = self.try_call(method, parameters).await;
        answer.unwrap_or_else(|problem| panic!("chromium refused {method}: {problem}"))
    }

    /// Calls, and takes in what happens until the answer comes.
    async fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, String> {
        let id = self.send(method, parameters).await;
        loop {
            let received = timeout(PATIENCE, self.receive()).await;
            let message = received.unwrap_or_else(|_| panic!("no answer to {method} within {PATIENCE:?}"));
            if message["id"] != id {
                self.take(&message).await;
            } else if message["error"].is_null() {
                return Ok(message["result"].clone());
            } else {
                return Err(message["error"].to_string());
            }
        }
    }

    async fn send(&mut self, method: &str, parameters: Value) -> u64 {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).await.unwrap_or_else(|error| panic!("chromium is gone: {method}: {error}"));
        self.last_id
    }

    async fn receive(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.output.read_until(0, &mut bytes).await.expect("read from chromium");
        assert_eq!(bytes.pop(), Some(0), "chromium has ended");
        serde_json::from_slice(&bytes).expect("chromium speaks JSON")
    }

    /// Something happened.
    async fn take(&mut self, message: &Value) {
        let said = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Page.javascriptDialogOpening" => {
                self.questions.push(said["message"].as_str().unwrap_or_default().to_owned());
                let accept = self.reply == Reply::Accept;
                self.send("Page.handleJavaScriptDialog", json!({"accept": accept})).await;
            }
            "Runtime.exceptionThrown" => self.complaints.push(said["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if said["type"] == "error" || said["type"] == "warning" => {
                self.complaints.push(said["args"].to_string());
            }
            "Log.entryAdded" if said["entry"]["level"] == "error" || said["entry"]["level"] == "warning" => {
                self.complaints.push(format!("{} {}", said["entry"]["text"], said["entry"]["url"]));
            }
            _ => {}
        }
    }
}

#[expect(clippy::print_stderr, reason = "who runs the tests is to see it")]
fn skipped() {
    eprintln!("SKIPPED, for there is no chromium: run `scripts/setup-browser`, or name one with {BINARY_VARIABLE}");
}

fn binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        return Some(PathBuf::from(path));
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let mut places = BINARY_NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.find(|place| place.is_file())
}
