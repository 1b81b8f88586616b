//! The layers of docs/ARCHITECTURE.md are those of the source, and no files import each other in circles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::text::read;

/// The places of the list, lowest first, each with its layer.
fn layers() -> Vec<(String, usize)> {
    let document = read("docs/ARCHITECTURE.md");
    let (_, table) = document.text.split_once("| where | what it holds |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let places = rows.enumerate().flat_map(|(layer, row)| {
        let cell = row.split('|').nth(1).unwrap().to_owned();
        let spans: Vec<_> = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        spans.into_iter().map(move |span| (span, layer))
    });
    places.collect()
}

/// The layer of a file or module: that of the longest place that it belongs to.
fn layer_of(layers: &[(String, usize)], path: &str) -> Option<usize> {
    let belongs = |place: &str| {
        place == path
            || place.strip_suffix(".rs").is_some_and(|module| path.starts_with(&format!("{module}/")))
            || (place.ends_with('/') && format!("{path}/").starts_with(place))
    };
    layers.iter().filter(|(place, _)| belongs(place)).max_by_key(|(place, _)| place.len()).map(|(_, layer)| *layer)
}

/// A source file as a module: what it hands on, and what it uses, as whole paths.
struct Module {
    exports: BTreeMap<String, String>,
    uses: Vec<String>,
}

impl Module {
    fn parse(path: &str, source: &str) -> Self {
        let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n");
        // Tests may look at everything, and stand at the end.
        let end = ["#[cfg(test)]\nmod tests", "#[cfg(all(test"].iter().filter_map(|start| code.find(start)).min();
        let mut code = code[..end.unwrap_or(code.len())].to_owned();
        let mut module = Self { exports: BTreeMap::new(), uses: Vec::new() };
        while let Some((start, statement)) = next_use(&code) {
            let before = code[..start].rsplit(['\n', ';', '}']).next().unwrap().trim_start();
            let is_of_tests = code[..start - before.len()].trim_end().ends_with("#[cfg(test)]");
            for (name, used) in expanded(statement).filter(|_| !is_of_tests) {
                let Some(used) = absolute(path, &used) else { continue };
                if before.starts_with("pub") {
                    module.exports.insert(name, used.clone());
                }
                // A folder's file that hands a name of its own on does not use it.
                if !before.starts_with("pub") || !used.starts_with(&format!("{path}::")) {
                    module.uses.push(used);
                }
            }
            let end = start + "use ".len() + statement.len();
            code.replace_range(start - before.len()..end, "");
        }
        let code = code.split("pub(in ").enumerate().map(|(number, part)| match number {
            0 => part,
            _ => part.split_once(')').map_or(part, |(_, rest)| rest),
        });
        for code in code {
            for start in ["crate::", "super::", "self::"] {
                for rest in code.split(start).skip(1) {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
                    module.uses.extend(absolute(path, &format!("{start}{}", &rest[..end])));
                }
            }
        }
        module
    }
}

/// Where the next `use` statement stands, and what it says.
fn next_use(code: &str) -> Option<(usize, &str)> {
    let is_start = |at: &usize| code[..*at].ends_with([' ', '\n']) || *at == 0;
    let start = code.match_indices("use ").map(|(at, _)| at).find(is_start)?;
    Some((start, code[start + "use ".len()..].split(';').next().unwrap()))
}

/// The paths of a `use` statement, each with the name that it gives.
fn expanded(tree: &str) -> impl Iterator<Item = (String, String)> {
    fn expand(prefix: &str, tree: &str, found: &mut Vec<(String, String)>) {
        let (mut depth, mut start) = (0, 0);
        for (at, letter) in tree.char_indices().chain([(tree.len(), ',')]) {
            depth += i32::from(letter == '{') - i32::from(letter == '}');
            if depth > 0 || letter != ',' {
                continue;
            }
            let part = tree[start..at].trim();
            start = at + 1;
            match part.split_once('{') {
                Some((more, inner)) => expand(&format!("{prefix}{more}"), inner.trim_end_matches('}'), found),
                None if part.is_empty() => {}
                None => {
                    let (used, name) = part.split_once(" as ").unwrap_or((part, part.rsplit("::").next().unwrap()));
                    let used = format!("{prefix}{used}");
                    found.push((name.to_owned(), used.strip_suffix("::self").unwrap_or(&used).to_owned()));
                }
            }
        }
    }
    let mut found = Vec::new();
    expand("", tree, &mut found);
    found.into_iter()
}

/// A path of this crate from its root; `None` for one of another crate.
fn absolute(module: &str, used: &str) -> Option<String> {
    let mut own: Vec<&str> = module.split("::").filter(|name| !name.is_empty()).collect();
    let mut names = used.split("::").peekable();
    match *names.peek()? {
        "crate" => own.clear(),
        "self" => {}
        "super" => {
            own.pop();
        }
        _ => return None,
    }
    names.next();
    while names.next_if_eq(&"super").is_some() {
        own.pop();
    }
    own.extend(names);
    Some(own.join("::"))
}

/// The file of a module.
fn file_of(module: &str) -> String {
    let path = format!("src/{}", module.replace("::", "/"));
    let alone = format!("{path}.rs");
    if Path::new(env!("CARGO_MANIFEST_DIR")).join(&alone).exists() { alone } else { format!("{path}/mod.rs") }
}

/// The modules of the product by their paths.
struct Modules(BTreeMap<String, Module>);

impl Modules {
    fn read() -> Self {
        let files = crate::harness::files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let is_product = |path: &String| {
            let is_tests = path.split(['/', '.']).any(|name| name == "tests" || name == "memory");
            path.ends_with(".rs") && !is_tests && !path.starts_with("simulator/") && path != "main.rs"
        };
        let modules = files.into_keys().filter(is_product).map(|file| {
            let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
            let path = if path == "lib" { String::new() } else { path.replace('/', "::") };
            let module = Module::parse(&path, &read(&format!("src/{file}")).text);
            (path, module)
        });
        Self(modules.collect())
    }

    /// The module in which a path ends, through whatever hands it on.
    fn holder(&self, used: &str) -> Option<&str> {
        let mut used = used.to_owned();
        for _ in 0..8 {
            let is_holder =
                |path: &&String| path.is_empty() || used == **path || used.starts_with(&format!("{path}::"));
            let (path, module) =
                self.0.get_key_value(self.0.keys().filter(is_holder).max_by_key(|path| path.len())?)?;
            let rest = used[path.len()..].trim_start_matches("::");
            let (name, behind) = rest.split_once("::").unwrap_or((rest, ""));
            match module.exports.get(name) {
                Some(further) => used = format!("{further}::{behind}").trim_end_matches("::").to_owned(),
                None => return Some(path),
            }
        }
        None
    }

    fn used_by(&self, path: &str, module: &Module) -> BTreeSet<&str> {
        module.uses.iter().filter_map(|used| self.holder(used)).filter(|used| *used != path).collect()
    }
}

/// The sets of modules that reach each other.
fn circles<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let reach = |from: &'a str| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(next) = left.pop() {
            left.extend(edges.get(next).into_iter().flatten().filter(|used| seen.insert(**used)));
        }
        seen
    };
    let reached: BTreeMap<_, _> = edges.keys().map(|path| (*path, reach(path))).collect();
    let in_circle = |path: &&&str| reached[**path].contains(**path);
    let circles: BTreeSet<Vec<_>> = (reached.keys().filter(in_circle))
        .map(|path| reached[path].iter().copied().filter(|other| reached[other].contains(path)).collect())
        .collect();
    circles.into_iter().collect()
}

#[test]
fn a_file_uses_only_what_stands_above_it_in_the_list() {
    let layers = layers();
    assert!(layers.len() > 20, "{layers:?}");
    let modules = Modules::read();
    let layer = |module: &str| match layer_of(&layers, &file_of(module)) {
        Some(layer) => layer,
        None => panic!("{module} has no place in docs/ARCHITECTURE.md"),
    };
    let mut compared = 0;
    for (path, module) in modules.0.iter().filter(|(path, _)| !path.is_empty()) {
        for used in modules.used_by(path, module).into_iter().filter(|used| !used.is_empty()) {
            assert!(layer(used) <= layer(path), "{path} uses {used}, which stands below it in docs/ARCHITECTURE.md");
            compared += 1;
        }
    }
    assert!(compared > 1000, "{compared} imports");
}

#[test]
fn no_files_import_each_other_in_circles() {
    let modules = Modules::read();
    let edges: BTreeMap<&str, BTreeSet<&str>> =
        modules.0.iter().map(|(path, module)| (path.as_str(), modules.used_by(path, module))).collect();
    let count: usize = edges.values().map(BTreeSet::len).sum();
    assert!(count > 1000, "{count} imports");
    let circles = circles(&edges);
    assert!(circles.is_empty(), "files that import each other: {circles:#?}");
}

#[test]
fn a_circle_is_found_through_a_name_that_is_handed_on() {
    let read = |path: &str, source: &str| (path.to_owned(), Module::parse(path, source));
    let modules = Modules(BTreeMap::from([
        read("", "mod a;\nmod b;"),
        read("a", "mod inner;\npub use self::inner::{Thing, other};"),
        read("a::inner", "pub fn make() { crate::b::build() }\n#[cfg(test)]\nmod tests { use crate::c::Nothing; }"),
        read("b", "use super::a::Thing as Renamed;"),
        read("c", "use crate::{a::{self, other}, b};"),
    ]));
    let edges = modules.0.iter().map(|(path, module)| (path.as_str(), modules.used_by(path, module))).collect();
    assert_eq!(circles(&edges), [["a::inner", "b"]]);
}
