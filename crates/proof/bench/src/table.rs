//! The table of all bars, with their figures and whether they are met.

use serde_json::{Value, json};

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) figure: String,
    pub(crate) bar: String,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// A figure without a bar.
    Shown,
    /// A tool for this figure is missing.
    Skipped,
}

impl Row {
    pub(crate) fn new(
        what: impl Into<String>,
        figure: impl Into<String>,
        bar: impl Into<String>,
        met: bool,
    ) -> Self {
        let verdict = if met { Verdict::Met } else { Verdict::Missed };
        Self {
            what: what.into(),
            figure: figure.into(),
            bar: bar.into(),
            verdict,
        }
    }

    pub(crate) fn shown(what: impl Into<String>, figure: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            figure: figure.into(),
            bar: String::new(),
            verdict: Verdict::Shown,
        }
    }

    pub(crate) fn skipped(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            figure: why.into(),
            bar: String::new(),
            verdict: Verdict::Skipped,
        }
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "NOT MET",
            Self::Shown => "",
            Self::Skipped => "skipped",
        }
    }
}

/// Returns the table as text, with aligned columns.
pub(crate) fn text(rows: &[Row]) -> String {
    let width = |cell: fn(&Row) -> &str| {
        rows.iter()
            .map(|row| cell(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (what, figure, bar) = (
        width(|row| &row.what),
        width(|row| &row.figure),
        width(|row| &row.bar),
    );
    let line = |row: &Row| {
        let (a, b, c, d) = (&row.what, &row.figure, &row.bar, row.verdict.word());
        format!("{a:what$}  {b:figure$}  {c:bar$}  {d}")
            .trim_end()
            .to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the table as JSON.
pub(crate) fn json(rows: &[Row], machine: &Value) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let verdict = row.verdict.word();
            json!({"what": row.what, "figure": row.figure, "bar": row.bar, "verdict": verdict})
        })
        .collect();
    json!({"machine": machine, "rows": rows})
}
