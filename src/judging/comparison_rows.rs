//! Figures of scores against sets, as a table, as CSV and as records.

use serde::Serialize;

use crate::eval::{Detection, Score};
use crate::report;
use crate::report::quoted;

/// One score against one set.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What is out of distribution.
    pub set: String,
    /// What tells the images of both sides apart.
    pub score: Score,
    /// How well it does.
    #[serde(flatten)]
    pub figures: Detection,
    /// What is in distribution.
    #[serde(rename = "in")]
    pub inside: String,
    /// How many images are in distribution.
    pub images_in: i64,
    /// How many are in the set.
    pub images_out: i64,
    /// Standard deviation of the noise that was added to the images of both sides.
    pub noise: f64,
    /// Of the score `energy`.
    pub temperature: f64,
    /// Of the checkpoint.
    pub step: u64,
}

/// The table for people, a line a set and score.
pub fn table(rows: &[Row]) -> String {
    let cells = |row: &Row| {
        let f = &row.figures;
        let auroc = match &f.intervals {
            Some(i) => format!("{:.4} [{:.4}, {:.4}]", f.auroc, i.auroc[0], i.auroc[1]),
            None => format!("{:.4}", f.auroc),
        };
        vec![
            row.set.clone(),
            row.score.to_string(),
            row.images_out.to_string(),
            auroc,
            format!("{:.4}", f.aupr_in),
            format!("{:.4}", f.aupr_out),
            format!("{:.4}", f.fpr95_in),
            format!("{:.4}", f.fpr95_out),
        ]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let header = [
        "against",
        "score",
        "images",
        "AUROC",
        "AUPR in",
        "AUPR out",
        "FPR95 in",
        "FPR95 out",
    ];
    report::table(&header, &rows)
}

/// The least and the mean AUROC of each score over the sets: what a score is chosen by.
pub fn summary(rows: &[Row], scores: &[Score]) -> String {
    let of = |score: &Score| {
        let own: Vec<&Row> = rows.iter().filter(|r| r.score == *score).collect();
        let least = own.iter().min_by(|a, b| a.figures.auroc.total_cmp(&b.figures.auroc));
        let mean = own.iter().map(|r| r.figures.auroc).sum::<f64>() / own.len() as f64;
        let (set, auroc) = least.map_or(("", f64::NAN), |r| (r.set.as_str(), r.figures.auroc));
        vec![
            score.to_string(),
            format!("{auroc:.4}"),
            set.to_owned(),
            format!("{mean:.4}"),
        ]
    };
    let rows: Vec<Vec<String>> = scores.iter().map(of).collect();
    report::table(&["score", "least AUROC", "against", "mean AUROC"], &rows)
}

/// What the columns mean.
pub fn legend(bootstrap: usize) -> String {
    let mut text = "\
AUROC: the chance that an image of the set scores higher than one in distribution; 1 is perfect, 0.5 is chance.
AUPR in, out: average precision with the images in distribution, or those of the set, as the positive side; it depends
on how many images either side has.
FPR95 in: the images in distribution are the positive side: the share of the set that is accepted where at least 95 % of
them are. FPR95 out: the set is the positive side: the share of the images in distribution that is rejected where at
least 95 % of the set are. Papers use either; 0 is perfect.
"
    .to_owned();
    if bootstrap > 0 {
        text += &format!("In brackets: 95 % of {bootstrap} resamples of the images of both sides lie there.\n");
    }
    text
}

/// The figures as CSV with a header; ends of intervals are empty where there are none.
pub fn csv(rows: &[Row]) -> String {
    let mut out =
        "set,score,in,images_in,images_out,auroc,auroc_low,auroc_high,aupr_in,aupr_out,fpr95_in,fpr95_out,noise,temperature,step\n"
            .to_owned();
    for row in rows {
        let f = &row.figures;
        let [low, high] = match &f.intervals {
            Some(i) => i.auroc.map(|end| end.to_string()),
            None => Default::default(),
        };
        let cells = [
            quoted(&row.set),
            row.score.word().into(),
            quoted(&row.inside),
            row.images_in.to_string(),
            row.images_out.to_string(),
            f.auroc.to_string(),
            low,
            high,
            f.aupr_in.to_string(),
            f.aupr_out.to_string(),
            f.fpr95_in.to_string(),
            f.fpr95_out.to_string(),
            row.noise.to_string(),
            row.temperature.to_string(),
            row.step.to_string(),
        ];
        out += &cells.join(",");
        out.push('\n');
    }
    out
}
