//! The page's plot: a bar for each day.

use e3sync::export::TypeName;
use e3sync::status::Day;

use super::calendar::{Measure, sentence};
use super::scroll_box;
use super::writer::Html;
use crate::cli::units::{Bytes, Count, Counted};

/// The height of the area that bars stand in, in pixels.
const PLOT_HEIGHT: f64 = 150.0;

/// What is above it.
const TOP: f64 = 10.0;

/// What is below it, for the dates.
const BOTTOM: f64 = 24.0;

/// What is at its right, for the numbers.
const RIGHT: f64 = 84.0;

/// What the bars of all days may take before there is need to scroll.
const BARS_WIDTH: usize = 900;

/// The least distance between two dates on the axis.
const DATE_WIDTH: f64 = 76.0;

/// Bytes and rows per day as plots. What they show stands in the table of days as well.
pub fn section(html: &mut Html, name: &TypeName, days: &[Day]) {
    for measure in [Measure::Bytes, Measure::Rows] {
        if days.iter().any(|day| measure.of(day) > 0) {
            html.element("h3", &[], format!("{} of {name} per day", capitalised(measure)));
            let label = format!("{} of {name} per day", capitalised(measure));
            scroll_box(html, "scroll newest", &label, |html| Plot::of(days, measure).draw(html, &label));
        }
    }
}

fn capitalised(measure: Measure) -> &'static str {
    match measure {
        Measure::Bytes => "Bytes",
        Measure::Rows => "Rows",
    }
}

struct Plot<'a> {
    days: &'a [Day],
    measure: Measure,
    /// The distance between two days, in pixels.
    step: f64,
    /// The distance between two lines of the axis, in bytes or rows.
    tick: u128,
    ticks: u128,
}

impl<'a> Plot<'a> {
    fn of(days: &'a [Day], measure: Measure) -> Self {
        let most = days.iter().map(|day| measure.of(day)).max().unwrap_or(0).max(1);
        let tick = round_tick(u128::from(most));
        let step = (BARS_WIDTH / days.len().max(1)).clamp(2, 24) as f64;
        Self { days, measure, step, tick, ticks: u128::from(most).div_ceil(tick) }
    }

    fn width(&self) -> f64 {
        self.days.len() as f64 * self.step
    }

    /// How far up a number stands.
    fn height(&self, number: u128) -> f64 {
        number as f64 / (self.tick * self.ticks) as f64 * PLOT_HEIGHT
    }

    fn draw(&self, html: &mut Html, label: &str) {
        let (width, height) = (pixels(self.width() + RIGHT), pixels(TOP + PLOT_HEIGHT + BOTTOM));
        let view_box = format!("0 0 {width} {height}");
        let label = format!("{label}; {}. The table below has every number.", self.extremes());
        let attributes =
            [("role", "img"), ("aria-label", &label), ("width", &width), ("height", &height), ("viewBox", &view_box)];
        html.open("svg", &attributes);
        self.numbers(html);
        self.dates(html);
        self.days.iter().enumerate().for_each(|(index, day)| self.bar(html, index, day));
        html.close("svg");
    }

    fn extremes(&self) -> String {
        let most = self.days.iter().max_by_key(|day| self.measure.of(day));
        most.map_or_else(String::new, |day| {
            format!("the most, {}, on {}", self.told(self.measure.of(day).into()), day.date)
        })
    }

    fn told(&self, number: u128) -> String {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        match self.measure {
            Measure::Bytes => Bytes(number).to_string(),
            Measure::Rows => Counted(number, "row", "rows").to_string(),
        }
    }

    /// The axis of numbers stands at the right, where the newest days are.
    fn numbers(&self, html: &mut Html) {
        for tick in 0..=self.ticks {
            let y = TOP + PLOT_HEIGHT - self.height(tick * self.tick);
            let (y_line, right) = (pixels(y), pixels(self.width()));
            html.open("path", &[("class", "grid"), ("d", &format!("M0 {y_line}H{right}"))]);
            html.close("path");
            let (x, y) = (pixels(self.width() + 6.0), pixels(y + 4.0));
            let number = if tick == 0 { "0".to_owned() } else { self.short(tick * self.tick) };
            html.element("text", &[("x", &x), ("y", &y)], number);
        }
    }

    /// A number for the axis.
    fn short(&self, number: u128) -> String {
        if self.measure == Measure::Bytes {
            return self.told(number);
        }
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        match number {
            0..10_000 => Count(number).to_string(),
            10_000..1_000_000 => format!("{} k", number as f64 / 1e3),
            1_000_000..1_000_000_000 => format!("{} million", number as f64 / 1e6),
            _ => format!("{} billion", Count(number / 1_000_000_000)),
        }
    }

    fn dates(&self, html: &mut Html) {
        let mut free_from = 0.0;
        for (index, day) in self.days.iter().enumerate() {
            let x = index as f64 * self.step;
            let is_marked = if self.days.len() <= 62 { index % 7 == 0 } else { day.date.day() == 1 };
            if !is_marked || x < free_from || x + DATE_WIDTH > self.width() + RIGHT {
                continue;
            }
            free_from = x + DATE_WIDTH;
            let y = pixels(TOP + PLOT_HEIGHT + 17.0);
            let line = format!("M{} {}v5", pixels(x + 0.5), pixels(TOP + PLOT_HEIGHT));
            html.open("path", &[("class", "axis"), ("d", &line)]);
            html.close("path");
            html.element("text", &[("x", &pixels(x)), ("y", &y)], day.date);
        }
    }

    fn bar(&self, html: &mut Html, index: usize, day: &Day) {
        let number = self.measure.of(day);
        // What is there is to be seen, however little it is; what is not there is a dash below the line.
        let height = if number == 0 { 3.0 } else { self.height(number.into()).max(1.0) };
        let x = index as f64 * self.step;
        let width = if self.step > 3.0 { self.step - 1.0 } else { self.step };
        let y = TOP + PLOT_HEIGHT - if number == 0 { 0.0 } else { height };
        let class = format!("bar {}", day.state.name());
        let (x, y, width, height) = (pixels(x), pixels(y), pixels(width), pixels(height));
        html.open("rect", &[("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)]);
        html.element("title", &[], sentence(day));
        html.close("rect");
    }
}

/// Pixels with one decimal at most: the same on every machine.
fn pixels(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The smallest of 1, 2, 5, 10, 20, 50 and so on that four lines of the axis reach the number with.
fn round_tick(most: u128) -> u128 {
    let mut power: u128 = 1;
    loop {
        if let Some(factor) = [1, 2, 5].into_iter().find(|factor| factor * power * 4 >= most) {
            return factor * power;
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_round_numbers() {
        assert_eq!([1, 4, 5, 17, 40, 41, 1_234_567].map(round_tick), [1, 1, 2, 5, 10, 20, 500_000]);
        assert!(round_tick(u64::MAX.into()) * 4 >= u64::MAX.into());
    }

    #[test]
    fn pixels_are_short() {
        assert_eq!([0.0, 1.25, 10.0].map(pixels), ["0", "1.2", "10"]);
    }
}
