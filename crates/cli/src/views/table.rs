//! Tables as docker and kubectl print them: capitals on top, columns two blanks apart, no lines.

use std::fmt;

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, Color, presets};
use tickmesh_client::views::Tone;

use crate::escape;

/// Blanks between two columns.
const GAP: u16 = 2;

/// `text` in a tone. Nothing in it drives the terminal, whoever wrote it.
pub(crate) fn paint(tone: Tone, text: &str) -> String {
    let style = match tone {
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
        Tone::Unsure => AnsiColor::Yellow.on_default(),
        Tone::Busy => AnsiColor::Cyan.on_default(),
        Tone::Plain => Style::new(),
        Tone::Dim => Style::new().dimmed(),
    };
    format!("{style}{}{style:#}", escape::text(text))
}

fn colour(tone: Tone) -> Option<Color> {
    match tone {
        Tone::Good => Some(Color::DarkGreen),
        Tone::Bad => Some(Color::DarkRed),
        Tone::Unsure => Some(Color::DarkYellow),
        Tone::Busy => Some(Color::DarkCyan),
        Tone::Dim => Some(Color::DarkGrey),
        Tone::Plain => None,
    }
}

/// A cell in a tone. Nothing in it drives the terminal: names, reasons and who did something are others' text.
pub(crate) fn cell(text: impl fmt::Display, tone: Tone) -> Cell {
    let cell = painted(escape::text(&text.to_string()));
    match colour(tone) {
        Some(colour) => cell.fg(colour),
        None => cell,
    }
}

/// A cell of text that is painted already. Only for the last column: colours would disturb those that follow.
pub(crate) fn painted(text: String) -> Cell {
    Cell::new(text)
}

/// A table in the making.
#[derive(Debug)]
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// A table with these headings.
    pub(crate) fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = comfy_table::Table::new();
        // The stream it is written to removes what it does not want.
        table.load_style(presets::NOTHING).enforce_styling().set_header(headings.into_iter().collect::<Vec<_>>());
        Self(table)
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.0.add_row(cells);
    }

    /// The whole table, without blanks at the ends of lines.
    pub(crate) fn into_text(mut self) -> String {
        for column in self.0.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        self.0.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_where_their_text_ends() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(vec![cell("nightly", Tone::Plain), cell("waiting", Tone::Plain)]);
        table.row(vec![cell("a", Tone::Plain), cell("", Tone::Plain)]);
        assert_eq!(table.into_text(), "NAME     STATE\nnightly  waiting\na\n");
    }

    #[test]
    fn what_others_have_written_drives_no_terminal() {
        let mut table = Table::new(["BY"]);
        table.row(vec![cell("me\u{1b}[2J@here", Tone::Plain)]);
        assert_eq!(table.into_text(), "BY\nme\\u{1b}[2J@here\n");
        let text = paint(Tone::Bad, "no \u{1b}[2Jimage");
        assert!(text.contains("no \\u{1b}[2Jimage"), "{text}");
    }

    #[test]
    fn colours_do_not_disturb_the_columns() {
        let mut table = Table::new(["A", "B"]);
        table.row(vec![cell("x", Tone::Bad), painted(paint(Tone::Good, "y"))]);
        let plain = anstream::adapter::strip_str(&table.into_text()).to_string();
        assert_eq!(plain.trim_end(), "A  B\nx  y");
    }
}
