//! A real browser that looks at the page: headless Chromium, where the environment names one.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use headless_chrome::protocol::cdp::{DOM, Emulation, Page};
use headless_chrome::{Browser, LaunchOptions, Tab};
use serde_json::Value;

use super::programs::required;

/// A window with one tab.
pub struct Window {
    tab: Arc<Tab>,
    browser: Arc<Browser>,
}

/// Starts a browser, if the environment names one.
pub fn window() -> Option<Window> {
    let program = required(
        "SERIAL_GATE_TEST_CHROMIUM",
        "the page is not looked at in a browser",
    )?;
    // It looks for nothing outside this machine.
    let more = [
        "--disable-quic",
        "--disable-component-update",
        "--no-default-browser-check",
    ];
    let options = LaunchOptions::default_builder()
        .path(Some(PathBuf::from(program)))
        .sandbox(false)
        .window_size(Some((1_000, 900)))
        .idle_browser_timeout(Duration::from_secs(120))
        .args(more.map(OsStr::new).to_vec())
        .build()
        .unwrap();
    let browser = Browser::new(options).unwrap();
    let tab = browser.new_tab().unwrap();
    tab.set_default_timeout(Duration::from_secs(30));
    Some(Window {
        tab,
        browser: Arc::new(browser),
    })
}

impl Window {
    /// Another tab of the same browser.
    pub fn another(&self) -> Window {
        let tab = self.browser.new_tab().unwrap();
        tab.set_default_timeout(Duration::from_secs(30));
        Window {
            tab,
            browser: Arc::clone(&self.browser),
        }
    }

    /// Brings the tab to the front, where somebody sees it.
    pub fn show(&self) {
        self.tab.bring_to_front().unwrap();
    }

    pub fn open(&self, address: &str, path: &str) {
        self.tab
            .navigate_to(&format!("http://{address}{path}"))
            .and_then(|tab| tab.wait_until_navigated())
            .unwrap();
    }

    /// What somebody reads.
    pub fn text(&self) -> String {
        let text = self.value("document.body.innerText");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until somebody reads this, and takes a picture of it.
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

    /// Types into the field that the keyboard is at.
    pub fn type_text(&self, text: &str) {
        self.tab.type_str(text).unwrap();
    }

    pub fn press(&self, key: &str) {
        self.tab.press_key(key).unwrap();
    }

    /// Clicks on something, which may be drawn anew meanwhile.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.until(selector, || self.try_to_click(selector).is_some());
    }

    /// The library's own `click` asks a script of the page where it is.
    fn try_to_click(&self, selector: &str) -> Option<()> {
        let element = self.tab.find_element(selector).ok()?;
        self.tab
            .call_method(DOM::ScrollIntoViewIfNeeded {
                node_id: Some(element.node_id),
                backend_node_id: None,
                object_id: None,
                rect: None,
            })
            .ok()?;
        let middle = element.get_midpoint().ok()?;
        self.tab.click_point(middle).ok().map(drop)
    }

    /// The value of an expression.
    pub fn value(&self, expression: &str) -> Value {
        // While it goes to another page there is nothing that has one.
        let evaluated = self.tab.evaluate(expression, false);
        evaluated
            .ok()
            .and_then(|found| found.value)
            .unwrap_or_default()
    }

    /// Goes on as a telephone, or as a window of another size.
    pub fn resize(&self, width: u32, height: u32, mobile: bool) {
        self.tab
            .call_method(Emulation::SetDeviceMetricsOverride {
                width,
                height,
                device_scale_factor: 1.0,
                mobile,
                scale: None,
                screen_width: None,
                screen_height: None,
                position_x: None,
                position_y: None,
                dont_set_visible_size: None,
                screen_orientation: None,
                viewport: None,
                display_feature: None,
                device_posture: None,
            })
            .unwrap();
    }

    /// Goes on in light or dark colours.
    pub fn prefer(&self, colours: &str) {
        let feature = Emulation::MediaFeature {
            name: "prefers-color-scheme".into(),
            value: colours.into(),
        };
        self.tab
            .call_method(Emulation::SetEmulatedMedia {
                media: None,
                features: Some(vec![feature]),
            })
            .unwrap();
    }

    pub fn run_no_scripts(&self) {
        self.tab
            .call_method(Emulation::SetScriptExecutionDisabled { value: true })
            .unwrap();
    }

    /// Keeps a picture of the window, if the environment names a folder for them.
    pub fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("SERIAL_GATE_TEST_PICTURES") else {
            return;
        };
        let format = Page::CaptureScreenshotFormatOption::Png;
        let png = self
            .tab
            .capture_screenshot(format, None, None, true)
            .unwrap();
        let path = PathBuf::from(folder).join(name).with_extension("png");
        std::fs::write(path, png).unwrap();
    }
}
