//! What files may say: JSON Schemas and pages, from the types that read them and their comments.

mod metrics;
mod order;
mod page;
mod pages;
mod schema;
mod shape;
mod text;

pub use text::notice;

use order::Order;
use shape::Schema;

/// Every generated file: its path below `docs`, and its text. The page of commands is the program's.
///
/// # Panics
/// Where a kernel's or a term's own example does not fit its type.
pub fn files() -> Vec<(&'static str, String)> {
    let experiment = schema::experiment();
    let model = schema::model();
    let text = |schema: &serde_json::Value| format!("{schema:#}\n");
    let schemas = [
        ("schema/experiment.json", text(&experiment)),
        ("schema/model.json", text(&model)),
    ];
    let (experiment, model) = (Schema(experiment), Schema(model));
    let objective = pages::all_terms();
    let order = Order::known(&objective);
    let pages = [
        ("src/reference/experiment.md", pages::experiment(&experiment, &order)),
        ("src/reference/datasets.md", pages::datasets(&experiment, &order)),
        ("src/reference/kernels.md", pages::kernels(&experiment, &order)),
        (
            "src/reference/objectives.md",
            pages::objectives(&experiment, &order, &objective),
        ),
        ("src/reference/models.md", pages::models(&model, &order)),
        ("src/reference/architecture.md", pages::architecture(&model, &order)),
        ("src/reference/metrics.md", pages::metrics()),
    ];
    schemas.into_iter().chain(pages).collect()
}
