//! What building a client costs, compared with building the bare one.

use ctc_bench::Failure;
use ctc_bench::build::PAIRS;
use ctc_bench::rounds::{median, time};

use crate::table::Row;

/// The bar, in units of the bare client's time.
const BAR: f64 = 1.25;
const ROUNDS: usize = 200;

pub(crate) fn measure() -> Result<Vec<Row>, Failure> {
    PAIRS.iter().map(|pair| row(*pair)).collect()
}

fn row([(_, bare), (name, ours)]: [ctc_bench::build::Built; 2]) -> Result<Row, Failure> {
    let (mut ratios, mut differences) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (ours, bare) = (time(ours)?, time(bare)?);
        ratios.push(ours / bare);
        differences.push(ours - bare);
    }
    let (ratio, more) = (median(ratios), median(differences) * 1e6);
    Ok(Row::new(
        format!("{name}, against a bare one"),
        format!("{ratio:.2} × ({more:+.0} µs)"),
        format!("≤ {BAR} ×"),
        ratio <= BAR,
    ))
}
