use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::tools::miss;

/// What the browser is called, on Debian and elsewhere.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A real browser without a window.
pub struct Browser {
    program: &'static str,
}

/// What a page came to.
pub struct Shown {
    /// What the script in [`Browser::measure`] found out.
    pub measured: Value,
    /// What the browser had to say about the page.
    pub console: Vec<String>,
}

impl Browser {
    /// The browser, if there is one.
    pub fn find() -> Option<Self> {
        let has =
            |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
        let found = NAMES.iter().find(has);
        if found.is_none() {
            miss("there is no chromium (on Debian: apt-get install chromium)");
        }
        found.map(|program| Self { program })
    }

    /// Shows a page in a frame of so many pixels, runs a script of `measure` that is given the
    /// frame's window, and takes a picture of it.
    ///
    /// The page itself allows no script: the one that measures is its neighbour's.
    pub fn measure(&self, page: &str, script: &str, width: u32, is_dark: bool, picture: &Path) -> Shown {
        let folder = tempfile::tempdir().unwrap();
        let escaped = page.replace('&', "&amp;").replace('"', "&quot;");
        let outer = format!(
            "<!DOCTYPE html><meta charset=utf-8><style>body{{margin:0}}iframe{{border:0;display:block}}</style>
            <script>
            function measured(window, document) {{ {script} }}
            function measure(frame) {{
                const found = document.createElement('pre');
                found.textContent = '@' + btoa(JSON.stringify(measured(frame.contentWindow, frame.contentDocument))) + '@';
                frame.height = frame.contentDocument.documentElement.scrollHeight;
                found.hidden = true;
                document.body.append(found);
            }}
            </script><body><iframe width={width} height=900 onload=\"measure(this)\" srcdoc=\"{escaped}\"></iframe>"
        );
        let path = folder.path().join("outer.html");
        std::fs::write(&path, outer).unwrap();
        let output = self.run(&path, width, is_dark, picture, folder.path());
        let (dom, messages) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let found = dom.rsplit("@</pre>").nth(1).and_then(|before| before.rsplit("<pre hidden=\"\">@").next());
        let found = found.unwrap_or_else(|| panic!("nothing was measured:\n{messages}"));
        let bytes = base64_bytes(found);
        Shown {
            measured: serde_json::from_slice(&bytes).unwrap(),
            console: messages.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect(),
        }
    }

    fn run(&self, path: &Path, width: u32, is_dark: bool, picture: &Path, folder: &Path) -> Output {
        let mut command = Command::new(self.program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr", "--dump-dom"]);
        // What the browser itself wants to tell its makers goes nowhere.
        command.args(["--proxy-server=127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND"]);
        command.arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!is_dark)));
        command.arg(format!("--window-size={width},4200"));
        command.arg(format!("--screenshot={}", picture.display()));
        command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
        command.env("HOME", folder).arg(format!("file://{}", path.display())).output().unwrap()
    }
}

fn base64_bytes(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.decode(text).unwrap()
}
