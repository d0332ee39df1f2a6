//! A real browser that looks at the page: headless Chromium, where the environment names one.
//!
//! Owns the mouse, the keyboard and what can be read of the page. `devtools` passes the commands.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ct_codecs::{Base64, Decoder};
use serde_json::{Value, json};

use super::devtools::Browser;
use super::programs::required;

/// One tab of a browser.
pub struct Window {
    browser: Arc<Browser>,
    /// The protocol's name for the tab.
    session: String,
}

/// Starts a browser, if the environment names one.
pub fn window() -> Option<Window> {
    let program = required(
        "SERIAL_GATE_TEST_CHROMIUM",
        "the page is not looked at in a browser",
    )?;
    Some(Window::of(Arc::new(Browser::start(&program))))
}

impl Window {
    fn of(browser: Arc<Browser>) -> Window {
        let tab = browser.call(None, "Target.createTarget", json!({"url": "about:blank"}));
        let id = tab.unwrap()["targetId"].clone();
        let attach = json!({"targetId": id, "flatten": true});
        let attached = browser.call(None, "Target.attachToTarget", attach);
        let session = attached.unwrap()["sessionId"].as_str().unwrap().to_owned();
        Window { browser, session }
    }

    /// Another tab of the same browser.
    pub fn another(&self) -> Window {
        Window::of(Arc::clone(&self.browser))
    }

    #[track_caller]
    fn call(&self, method: &str, parameters: Value) -> Value {
        let answer = self.browser.call(Some(&self.session), method, parameters);
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Brings the tab to the front. A browser lets hidden tabs rest.
    pub fn show(&self) {
        self.call("Page.bringToFront", json!({}));
    }

    #[track_caller]
    pub fn open(&self, address: &str, path: &str) {
        let url = format!("http://{address}{path}");
        let opened = self.call("Page.navigate", json!({"url": url}));
        assert_eq!(opened["errorText"], Value::Null, "{url}");
        self.until(&url, || self.value("document.readyState") == "complete");
    }

    /// The text that the page shows.
    pub fn text(&self) -> String {
        let text = self.value("document.body.innerText");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows this text, and takes a picture of it.
    #[track_caller]
    pub fn until_it_says(&self, text: &str, picture: &str) {
        self.until(text, || self.text().contains(text));
        self.picture(picture);
    }

    #[track_caller]
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "never: {what}\n{}",
                self.text()
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// Types into the field that has the focus. A new page shows its text before its field has it.
    #[track_caller]
    pub fn type_text(&self, text: &str) {
        let is_ready = "document.readyState === 'complete'
            && document.activeElement.matches('input, textarea')";
        self.until("a field has the focus", || self.value(is_ready) == true);
        for letter in text.chars() {
            for kind in ["keyDown", "keyUp"] {
                let mut event = json!({"type": kind, "key": letter});
                if kind == "keyDown" {
                    event["text"] = json!(letter);
                }
                self.call("Input.dispatchKeyEvent", event);
            }
        }
    }

    /// Presses `Tab`, `Enter` or `Escape`.
    pub fn press(&self, key: &str) {
        let (number, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            _ => panic!("{key}"),
        };
        let down = json!({
            "type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": number,
            "text": text,
        });
        self.call("Input.dispatchKeyEvent", down);
        let up = json!({
            "type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": number,
        });
        self.call("Input.dispatchKeyEvent", up);
    }

    /// Clicks on an element, once it is there. The page may replace it at any time.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let middle = format!(
            "(() => {{
                const element = document.querySelector({});
                element.scrollIntoView({{behavior: 'instant', block: 'nearest'}});
                const box = element.getBoundingClientRect();
                return JSON.stringify([box.x + box.width / 2, box.y + box.height / 2]);
            }})()",
            json!(selector)
        );
        let mut at = Value::Null;
        self.until(selector, || {
            at = self.value(&middle);
            at.is_string()
        });
        let at: [f64; 2] = serde_json::from_str(at.as_str().unwrap()).unwrap();
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({
                "type": kind, "x": at[0], "y": at[1], "button": button, "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// The value of an expression; null while the browser is between two pages.
    pub fn value(&self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let session = Some(self.session.as_str());
        let evaluated = self.browser.call(session, "Runtime.evaluate", parameters);
        evaluated.map_or(Value::Null, |evaluated| {
            evaluated["result"]["value"].clone()
        })
    }

    /// What axe-core finds wrong with the page for people who use it otherwise than by looking and
    /// pointing; nothing where the environment does not name its file.
    #[track_caller]
    pub fn assert_accessible(&self) {
        let Some(axe) = required("SERIAL_GATE_TEST_AXE", "axe-core does not look at the page")
        else {
            return;
        };
        let script = std::fs::read_to_string(axe).unwrap();
        self.value(&format!("{script}; null"));
        let run = "axe.run().then(({ violations }) => JSON.stringify(violations.map(
            ({ id, nodes }) => [id, nodes.map(({ html }) => html)])))";
        let found = self.call(
            "Runtime.evaluate",
            json!({"expression": run, "awaitPromise": true, "returnByValue": true}),
        );
        assert_eq!(found["result"]["value"], "[]");
    }

    /// Continues as a telephone, or as a window of another size.
    pub fn resize(&self, width: u32, height: u32, mobile: bool) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile,
        });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Continues in light or dark colours.
    pub fn prefer(&self, colours: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": colours});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Continues as on paper.
    pub fn print(&self) {
        self.call("Emulation.setEmulatedMedia", json!({"media": "print"}));
    }

    /// Continues in another place.
    pub fn move_to(&self, zone: &str) {
        let zone = json!({"timezoneId": zone});
        self.call("Emulation.setTimezoneOverride", zone);
    }

    pub fn run_no_scripts(&self) {
        let disabled = json!({"value": true});
        self.call("Emulation.setScriptExecutionDisabled", disabled);
    }

    /// Keeps a picture of the window, if the environment names a folder for them.
    pub fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("SERIAL_GATE_TEST_PICTURES") else {
            return;
        };
        let taken = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let png = Base64::decode_to_vec(taken["data"].as_str().unwrap(), None).unwrap();
        let path = PathBuf::from(folder).join(name).with_extension("png");
        std::fs::write(path, png).unwrap();
    }
}
