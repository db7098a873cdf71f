//! The only place that prints. Data goes to stdout, talk to stderr; colours go only where they are wanted (`NO_COLOR`, no
//! terminal), and a reader who has seen enough (`| head`) ends the command without a word.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use anstream::ColorChoice;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use crate::{
    escape,
    views::{
        Detail, Style, View,
        done::{DoneListView, DoneView},
    },
};

/// How often the time beside a bar moves.
const BAR_INTERVAL: Duration = Duration::from_secs(1);

/// Form of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For people with wide screens: everything
    Wide,
    /// For programs: stable fields, RFC 3339
    Json,
    /// The same fields, in YAML
    Yaml,
    /// Names only, one a line
    Name,
}

impl Format {
    /// Whether people read it, and want to know what is done as it is.
    pub(crate) fn is_for_people(self) -> bool {
        match self {
            Self::Table | Self::Wide => true,
            Self::Json | Self::Yaml | Self::Name => false,
        }
    }
}

/// What is done one after the other: people are told at once, programs get all of it in the end.
pub(crate) struct Several {
    output: Output,
    format: Format,
    done: DoneListView,
}

impl Several {
    /// Takes in what is done now.
    pub(crate) fn tell(&mut self, done: DoneView) -> anyhow::Result<()> {
        if self.format.is_for_people() {
            return self.output.show(&done, self.format);
        }
        self.done.0.push(done);
        Ok(())
    }

    /// Shows what was done, whether or not all of it could be.
    pub(crate) fn end(self, result: anyhow::Result<()>) -> anyhow::Result<()> {
        if !self.format.is_for_people() {
            self.output.show(&self.done, self.format)?;
        }
        result
    }
}

/// Option of every command that shows data.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct FormatArgs {
    /// Form of the output
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub format: Format,
}

/// Nobody reads the output any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(crate) struct Closed;

/// What reads stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// A program or a file.
    None,
    /// A terminal without colours.
    Plain,
    /// A terminal with colours, or what is said to be one.
    Coloured,
}

/// A bar on stderr, if that is a terminal; else nothing but what is said beside it.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Shows how far it is.
    pub(crate) fn set(&self, done: usize, total: usize, text: &str) {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
        self.0.set_message(text.to_owned());
    }

    /// Whether there is nobody to show it to.
    pub(crate) fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// A line above the bar.
    pub(crate) fn say(&self, line: &str) {
        // Where there is no bar, the lines are all that there is.
        if self.0.is_hidden() { Output.talk(line) } else { self.0.println(line) }
    }

    /// Takes the bar away.
    pub(crate) fn end(self) {
        self.0.finish_and_clear();
    }
}

/// Both streams.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Output;

impl Output {
    /// A line of data.
    pub(crate) fn line(&self, text: &str) -> anyhow::Result<()> {
        self.write(text, "\n")
    }

    /// Bytes of data as they are, whatever they are, on their way at once.
    pub(crate) fn raw(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        check(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Clears the terminal, if stdout is one. Elsewhere what follows is only set off.
    pub(crate) fn clear_screen(&self) -> anyhow::Result<()> {
        if io::stdout().is_terminal() { self.write("\u{1b}[2J\u{1b}[H", "") } else { self.line("") }
    }

    /// Everything written so far is on its way.
    pub(crate) fn flush(&self) -> anyhow::Result<()> {
        check(anstream::stdout().lock().flush())
    }

    /// What [`Self::raw`] writes to.
    pub(crate) fn screen(&self) -> Screen {
        match (io::stdout().is_terminal(), anstream::AutoStream::choice(&io::stdout())) {
            (_, ColorChoice::Always | ColorChoice::AlwaysAnsi) => Screen::Coloured,
            (true, ColorChoice::Auto | ColorChoice::Never) => Screen::Plain,
            (false, ColorChoice::Auto | ColorChoice::Never) => Screen::None,
        }
    }

    /// Data in the form that was asked for.
    pub(crate) fn show<V: View>(&self, view: &V, format: Format) -> anyhow::Result<()> {
        self.show_at(view, format, Timestamp::now())
    }

    /// Shows data whose times are those of another clock, which says that it is `now`.
    pub(crate) fn show_at<V: View>(&self, view: &V, format: Format, now: Timestamp) -> anyhow::Result<()> {
        match format {
            Format::Table => self.text(&view.text(&Style { detail: Detail::Normal, now })),
            Format::Wide => self.text(&view.text(&Style { detail: Detail::Wide, now })),
            Format::Json => self.line(&serde_json::to_string_pretty(view)?),
            Format::Yaml => self.text(&serde_saphyr::to_string(view)?),
            Format::Name => view.names().iter().try_for_each(|name| self.line(&escape::text(name))),
        }
    }

    /// Begins to show what is done one after the other.
    pub(crate) fn several(&self, format: Format) -> Several {
        Several { output: *self, format, done: DoneListView::default() }
    }

    /// Text that others have written: as it is for programs, harmless on a terminal.
    pub(crate) fn foreign(&self, text: &str) -> anyhow::Result<()> {
        let text = text.trim_end_matches('\n');
        match self.screen() {
            Screen::None => self.line(text),
            Screen::Plain | Screen::Coloured => self.line(&escape::lines(text)),
        }
    }

    /// A line of talk. That nobody reads it is no reason to stop.
    pub(crate) fn talk(&self, text: &str) {
        let _unread = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// A bar for something that consists of so many parts.
    pub(crate) fn bar(&self, total: usize) -> Bar {
        let style = ProgressStyle::with_template("{msg}  [{bar:30}] {pos}/{len}  {elapsed}");
        let bar = ProgressBar::new(total as u64);
        let bar = style.map_or(bar.clone(), |style| bar.with_style(style.progress_chars("=> ")));
        // It counts the seconds also while nothing happens.
        bar.enable_steady_tick(BAR_INTERVAL);
        Bar(bar)
    }

    /// A whole text, with or without its last newline.
    fn text(&self, text: &str) -> anyhow::Result<()> {
        if text.is_empty() { Ok(()) } else { self.line(text.trim_end_matches('\n')) }
    }

    fn write(&self, text: &str, end: &str) -> anyhow::Result<()> {
        let mut stdout = anstream::stdout().lock();
        check(stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(end.as_bytes())))
    }
}

fn check(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
        Err(error) => Err(anyhow::Error::new(error).context("failed to write to stdout")),
    }
}
