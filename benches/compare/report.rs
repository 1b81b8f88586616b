//! What was measured, as a table on the screen, in Markdown and as a chart.

use std::fmt::Write as _;

use super::FLOOR;
use super::measure::Usage;
use super::serve::Seen;
use super::workload::Workload;

/// What several runs of one tool took.
pub struct Row {
    pub name: &'static str,
    pub usage: Usage,
    /// The least and the most CPU seconds.
    pub cpu_seconds: [f64; 2],
    pub seen: Seen,
    pub system_calls: Option<u64>,
    pub is_right: bool,
}

impl Row {
    pub fn new(name: &'static str, runs: &[(Usage, Seen)], system_calls: Option<u64>, is_right: bool) -> Self {
        let usages: Vec<_> = runs.iter().map(|(usage, _)| *usage).collect();
        let cpu = usages.iter().map(|usage| usage.cpu_seconds);
        let cpu_seconds = [cpu.clone().fold(f64::MAX, f64::min), cpu.fold(0.0, f64::max)];
        let seen = runs.last().map(|(_, seen)| *seen).unwrap_or_default();
        Self { name, usage: Usage::median(&usages), cpu_seconds, seen, system_calls, is_right }
    }
}

const HEAD: [&str; 9] =
    ["tool", "CPU s", "least-most", "by floor", "wall s", "by floor", "MiB", "requests", "connections"];

fn cells(row: &Row, floor: Option<&Row>, objects: u64) -> Vec<String> {
    let ratio = |of: fn(&Usage) -> f64| match floor {
        Some(floor) => format!("{:.2}", of(&row.usage) / of(&floor.usage)),
        None => "-".to_owned(),
    };
    let seen = &row.seen;
    let requests = seen.gets + seen.lists + seen.others + seen.bucket_requests;
    vec![
        row.name.to_owned(),
        format!("{:.2}", row.usage.cpu_seconds),
        format!("{:.2}-{:.2}", row.cpu_seconds[0], row.cpu_seconds[1]),
        ratio(|usage| usage.cpu_seconds),
        format!("{:.2}", row.usage.elapsed_seconds),
        ratio(|usage| usage.elapsed_seconds),
        format!("{:.0}", row.usage.memory_mib()),
        requests.to_string(),
        seen.connections.to_string(),
        row.system_calls.map_or("-".to_owned(), |calls| format!("{:.1}", calls as f64 / objects as f64)),
    ]
}

fn table(workload: &Workload, rows: &[Row]) -> Vec<Vec<String>> {
    let floor = rows.iter().find(|row| row.name == FLOOR);
    let objects = workload.small_objects + workload.large_objects;
    let head = HEAD.into_iter().chain(["system calls an object"]).map(str::to_owned).collect();
    std::iter::once(head).chain(rows.iter().map(|row| cells(row, floor, objects))).collect()
}

/// Prints the table of one workload.
pub fn print(workload: &Workload, rows: &[Row]) {
    println!("({}) {}, {:.2} GiB", workload.id, workload.what, workload.bytes() as f64 / f64::from(1 << 30));
    for cells in table(workload, rows) {
        let line: Vec<_> = cells.iter().map(|cell| format!("{cell:>12}")).collect();
        println!("{}", line.join(" "));
    }
    for row in rows.iter().filter(|row| !row.is_right) {
        println!("  WRONG requests of {}: {:?}", row.name, row.seen);
    }
}

/// Writes the tables between the two marks of docs/PERFORMANCE.md, and the chart that it shows.
pub fn write(all: &[(&Workload, Vec<Row>)], repetitions: usize) {
    const MARKS: [&str; 2] = ["<!-- table of benches/compare -->", "<!-- end of the table -->"];
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = docs.join("PERFORMANCE.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    let tables = markdown(all, repetitions);
    std::fs::write(&page, format!("{before}{}\n{tables}\n{}{after}", MARKS[0], MARKS[1])).unwrap();
    std::fs::write(docs.join("performance.svg"), chart(all)).unwrap();
}

fn markdown(all: &[(&Workload, Vec<Row>)], repetitions: usize) -> String {
    let mut text = String::new();
    for (workload, rows) in all {
        let _ = writeln!(
            text,
            "\n**({}) {}**, {:.2} GiB, median of {repetitions}:\n",
            workload.id,
            workload.what,
            workload.bytes() as f64 / f64::from(1 << 30)
        );
        for (number, cells) in table(workload, rows).iter().enumerate() {
            let _ = writeln!(text, "| {} |", cells.join(" | "));
            if number == 0 {
                let _ = writeln!(text, "|---|{}", "---:|".repeat(cells.len() - 1));
            }
        }
    }
    text
}

/// Bars of CPU seconds, those of each workload by its own largest.
fn chart(all: &[(&Workload, Vec<Row>)]) -> String {
    const WIDTH: usize = 760;
    const BAR: usize = 18;
    const LEFT: usize = 110;
    const RIGHT: usize = 90;
    let (mut y, mut bars) = (20, String::new());
    for (workload, rows) in all {
        let most = rows.iter().map(|row| row.usage.cpu_seconds).fold(0.0, f64::max);
        let _ = writeln!(bars, "<text class=\"head\" x=\"0\" y=\"{y}\">({}) {}</text>", workload.id, workload.what);
        y += 8;
        for row in rows {
            let width = (row.usage.cpu_seconds / most * (WIDTH - LEFT - RIGHT) as f64).max(1.0);
            let class = if row.name == "e3sync" { "ours" } else { "bar" };
            let _ = writeln!(
                bars,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\"/><text x=\"{:.1}\" y=\"{}\">{:.2} s</text>",
                LEFT - 8,
                y + 13,
                row.name,
                BAR - 4,
                LEFT as f64 + width + 6.0,
                y + 12,
                row.usage.cpu_seconds
            );
            y += BAR;
        }
        y += 26;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" role=\"img\" aria-label=\"CPU seconds of each tool for each workload\"><style>text{{font:12px sans-serif;fill:#222}}.head{{font-weight:600}}.bar{{fill:#9aa5b1}}.ours{{fill:#1f6feb}}@media(prefers-color-scheme:dark){{text{{fill:#ddd}}.bar{{fill:#5b6673}}.ours{{fill:#58a6ff}}}}</style>\n{bars}</svg>\n"
    )
}
