use std::path::{Path, PathBuf};

/// A document of the project: its path below the top folder, and its text.
pub struct Document {
    pub path: String,
    pub text: String,
}

/// A fenced block.
pub struct Block {
    pub language: String,
    pub text: String,
}

/// A path below the project's top folder.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The README and everything in `docs`.
pub fn all() -> Vec<Document> {
    let mut paths = vec!["README.md".to_owned()];
    for entry in std::fs::read_dir(project("docs")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        paths.extend(name.ends_with(".md").then(|| format!("docs/{name}")));
    }
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

pub fn read(path: &str) -> Document {
    let text = std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Document { path: path.to_owned(), text }
}

/// The text of every Rust source below a folder.
pub fn sources(folder: &str) -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&project(folder), &mut text);
    text
}

impl Document {
    /// The fenced blocks in their order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some(language) = line.strip_prefix("```") else { continue };
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block { language: language.to_owned(), text: body.join("\n") });
        }
        blocks
    }

    /// The lines from a heading to the next one.
    pub fn section(&self, heading: &str) -> Vec<&str> {
        let mut lines = self.text.lines().skip_while(|line| *line != heading);
        assert!(lines.next().is_some(), "{} has no heading `{heading}`", self.path);
        lines.take_while(|line| !line.starts_with('#')).collect()
    }

    /// The headings that begin with this text.
    pub fn headings(&self, beginning: &str) -> Vec<&str> {
        self.text.lines().filter(|line| line.starts_with(beginning)).collect()
    }

    /// The body rows of the first table below a heading, each as its cells.
    pub fn table(&self, heading: &str) -> Vec<Vec<String>> {
        let rows = self.section(heading).into_iter().skip_while(|line| !line.starts_with('|'));
        rows.take_while(|line| line.starts_with('|'))
            .skip(2)
            .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
            .collect()
    }

    /// What stands between single backticks, outside of blocks.
    pub fn code_spans(&self) -> Vec<&str> {
        let outside: Vec<&str> = self.text.split("```").step_by(2).collect();
        outside.into_iter().flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
    }
}
