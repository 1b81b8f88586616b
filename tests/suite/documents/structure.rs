//! The layers of docs/ARCHITECTURE.md are those of the source.

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

/// The modules that a source uses outside of its tests, as paths: the file where there is one.
fn used(source: &str) -> Vec<String> {
    let product =
        source.find("#[cfg(test)]").or_else(|| source.find("#[cfg(all(test")).map_or(source, |end| &source[..end]);
    let paths = product.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_' || c == ':')).unwrap_or(rest.len());
        format!("src/{}", rest[..end].trim_end_matches(':').replace("::", "/"))
    });
    let is_file = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists();
    paths.map(|path| if is_file(&format!("{path}.rs")) { format!("{path}.rs") } else { path }).collect()
}

#[test]
fn a_file_uses_only_what_stands_above_it_in_the_list() {
    let layers = layers();
    assert!(layers.len() > 20, "{layers:?}");
    let files = crate::harness::files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut compared = 0;
    for file in files.into_keys().filter(|path| path.ends_with(".rs") && !path.contains("tests") && path != "lib.rs") {
        let path = format!("src/{file}");
        let own = layer_of(&layers, &path).unwrap_or_else(|| panic!("{path} has no place in docs/ARCHITECTURE.md"));
        for used in used(&read(&path).text) {
            let Some(layer) = layer_of(&layers, &used) else { continue };
            assert!(layer <= own, "{path} uses {used}, which stands below it in docs/ARCHITECTURE.md");
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
}
