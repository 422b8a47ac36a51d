//! The pages of the reference.

use std::path::Path;

use serde_json::Value;
use tch::Device;

use super::metrics::{OF_LOOKS, OF_STEPS, of_terms};
use super::order::Order;
use super::page::Page;
use super::shape::{Kind, Schema, Shape};
use super::text::{cell, flow, notice};
use crate::config::yaml;
use crate::models::ModelConfig;
use crate::objective::{Asks, ObjectiveConfig};
use crate::sampling::{Facts, KernelConfig, Needs};

/// An architecture with most of what there is.
const EXAMPLE: &str = include_str!("architecture.yaml");

/// Keys of experiment files.
pub(super) fn experiment(schema: &Schema, order: &Order) -> String {
    let mut page = Page::new(schema, order);
    page.add(&notice("The experiment file"));
    page.add(
        "All keys. An unknown key is an error, and the error names the nearest known one. Lengths in a chain are \
         in the units of states: [-1, 1] of images. `null` may stand wherever a default is `null`.",
    );
    page.add(
        "`--set KEY=VALUE` takes any key by its path, such as `--set train.steps=100` or \
         `--set sampler.kernel.langevin.step_size=5`; a value is YAML. Files of earlier versions run as they are, \
         and `ebm check OLD.yaml --upgrade` prints them in these keys. The JSON Schema \
         `docs/schema/experiment.json` serves editors: a first line `# yaml-language-server: $schema=PATH` names it.",
    );
    page.section("", &schema.0);
    page.text.trim_end().to_owned() + "\n"
}

/// Kinds of data.
pub(super) fn datasets(schema: &Schema, order: &Order) -> String {
    let mut page = Page::new(schema, order);
    page.add(&notice("Data sets"));
    page.add(
        "What stands at `data.dataset`, and at `data` in `evaluate.ood` and in `--against`. Named sets lie below \
         `data.root`, as `./download_data.sh` puts them.",
    );
    kinds(&mut page, schema.shape(schema.named("Dataset")));
    page.text.trim_end().to_owned() + "\n"
}

/// Kinds in tables: words alone first, then each that has keys under its own heading.
fn kinds<'a>(page: &mut Page<'a>, shape: Shape<'a>) {
    let Shape::Choice(all) = shape else { return };
    let (words, others): (Vec<Kind>, Vec<Kind>) = all.into_iter().partition(|kind| kind.holds.is_none());
    let row = |kind: &Kind| format!("| `{}` | {} |\n", kind.word, cell(kind.about));
    let rows: String = words.iter().map(row).collect();
    page.add(&format!("| word | meaning |\n|---|---|\n{rows}"));
    for kind in others {
        page.add(&format!("## {}", kind.word));
        page.say(kind.about);
        page.kind(&kind);
    }
}

/// Kernels.
pub(super) fn kernels(schema: &Schema, order: &Order) -> String {
    let mut page = Page::new(schema, order);
    page.add(&notice("Kernels"));
    page.add("What stands at `sampler.kernel`: how a chain makes a step.");
    let examples = KernelConfig::examples();
    let rows: String = examples.iter().map(fact_row).collect();
    page.add(&format!(
        "| kernel | leaves exp(-E/T) as it is | asks of the energy | `sampler.warm_up` | differentiable step |\n\
         |---|---|---|---|---|\n{rows}"
    ));
    let Shape::Choice(all) = schema.shape(schema.named("KernelConfig")) else {
        unreachable!("a kernel is one of several kinds")
    };
    for kind in &all {
        page.add(&format!("## {}", kind.word));
        page.say(kind.about);
        page.kind(kind);
        let example = examples.iter().find(|example| example.word() == kind.word);
        let properties = &schema.resolved(kind.holds.unwrap_or(&Value::Null))["properties"];
        let tree = example.map(|example| yaml::to_value(example)[kind.word.as_str()].clone());
        let numbers = spoken(properties, &tree.unwrap_or_default());
        let beside = example.map(beside).unwrap_or_default();
        page.add(&format!(
            "```yaml\nsampler:\n  kernel:\n    {}: {{{numbers}}}\n  n_steps: 100\n{beside}```",
            kind.word
        ));
    }
    page.text.trim_end().to_owned() + "\n"
}

/// What a file says beside such a kernel, where most files say something else.
fn beside(kernel: &KernelConfig) -> String {
    let built = kernel.build(1);
    let mut lines = String::new();
    if let KernelConfig::Recovery(recovery) = kernel {
        lines += &format!(
            "  start: noise\nobjective: {{recovery: {{levels: {:?}}}}}\n",
            recovery.levels
        );
    }
    if let Some([low, high]) = built.facts().levels {
        lines += &format!(
            "model:\n  name: small\n  input: [1, 16, 16]\n  levels: {{low: {low}, high: {high}, form: divided}}\n  \
             layers: [flatten, linear: {{out: 32}}, silu, linear: {{out: 1}}]\n"
        );
    }
    lines
}

/// The keys of an example that are not at their defaults.
fn spoken(properties: &Value, example: &serde_yaml::Value) -> String {
    let pair = |(key, value): (&serde_yaml::Value, &serde_yaml::Value)| {
        let (key, value) = (key.as_str()?, serde_json::to_value(value).ok()?);
        (properties[key].get("default") != Some(&value)).then(|| format!("{key}: {}", flow(&value)))
    };
    let pairs = example.as_mapping().into_iter().flatten();
    pairs.filter_map(pair).collect::<Vec<_>>().join(", ")
}

fn fact_row(kernel: &KernelConfig) -> String {
    let built = kernel.build(1);
    let Facts { exact, needs, .. } = built.facts();
    let needs = match needs {
        Needs::Energies => "values",
        Needs::Gradients => "gradients",
        Needs::Stages => "its first layer apart",
        Needs::Levels => "gradients at levels of noise",
    };
    let yes = |is: bool| if is { "yes" } else { "no" };
    format!(
        "| [`{0}`](#{0}) | {1} | {needs} | {2} | {3} |\n",
        kernel.word(),
        yes(exact),
        yes(built.step_size().is_some()),
        yes(built.with_graph().is_some())
    )
}

/// An objective of all terms, each as in its example.
pub(super) fn all_terms() -> ObjectiveConfig {
    let mut all = serde_yaml::Mapping::new();
    for (key, example) in ObjectiveConfig::examples() {
        all.insert(key.as_str().into(), yaml::to_value(&example)[key.as_str()].clone());
    }
    yaml::typed(all.into(), Path::new("the reference")).expect("examples of terms are valid")
}

/// Terms of the objective.
pub(super) fn objectives(schema: &Schema, order: &Order, all: &ObjectiveConfig) -> String {
    let mut page = Page::new(schema, order);
    page.add(&notice("Objectives"));
    page.add(
        "What stands at `objective`: the terms that are named, each with a weight. Training minimises their weighted \
         sum. Without the section it is `{contrastive: {}}`.",
    );
    let terms = all.build(Device::Cpu);
    for term in &terms.0 {
        let property = &schema.named("ObjectiveConfig")["properties"][&term.key];
        let node = schema.resolved(property);
        page.add(&format!("## {}", term.key));
        page.say(property["description"].as_str().unwrap_or_default());
        page.say(node["description"].as_str().unwrap_or_default());
        page.add(&format!("It asks for {}.", asked(&term.asks)));
        let names = term.objective.quantities().into_iter().map(|q| format!("`{}`", q.name));
        page.add(&format!("It reports {}.", names.collect::<Vec<_>>().join(", ")));
        let numbers = spoken(&node["properties"], &yaml::to_value(all)[term.key.as_str()]);
        page.add(&format!("For example `objective: {{{}: {{{numbers}}}}}`.", term.key));
        page.section(&term.key, node);
    }
    page.text.trim_end().to_owned() + "\n"
}

fn asked(asks: &Asks) -> String {
    let chains = match asks.chain_classes {
        Some(classes) => format!("chains with `sampler.classes: {}`", yaml::to_text(&classes).trim()),
        None => "chains".into(),
    };
    let all = [
        (asks.data, "a batch of data".to_owned()),
        (asks.labels, "a batch of labelled states".into()),
        (asks.chains, chains),
        (asks.chain_end, "a kernel whose step can be differentiated".into()),
        (asks.neighbours, "a replay buffer".into()),
        (asks.own_chains, "`sampler.start: noise`".into()),
        (asks.levels.is_some(), "a model with `levels`".into()),
    ];
    let said: Vec<String> = all
        .into_iter()
        .filter(|(asked, _)| *asked)
        .map(|(_, words)| words)
        .collect();
    said.join(", ")
}

/// Models that are no networks.
pub(super) fn models(schema: &Schema, order: &Order) -> String {
    let mut page = Page::new(schema, order);
    page.add(&notice("Models"));
    page.add(
        "What stands at `model` of an experiment, or in the file that it names. A network stands there as its \
         [architecture file](architecture.md) has it; any other model by the word of its kind, with its keys.",
    );
    let Shape::Choice(all) = schema.shape(schema.named("OtherModel")) else {
        unreachable!("a model is one of several kinds")
    };
    let examples = ModelConfig::examples();
    for kind in &all {
        page.add(&format!("## {}", kind.word));
        page.say(kind.about);
        page.kind(kind);
        let properties = &schema.resolved(kind.holds.unwrap_or(&Value::Null))["properties"];
        let of_kind = |model: &ModelConfig| yaml::to_value(model).get(kind.word.as_str()).cloned();
        let example = examples.iter().find_map(of_kind).unwrap_or_default();
        page.add(&format!(
            "```yaml\n{}: {{{}}}\n```",
            kind.word,
            spoken(properties, &example)
        ));
    }
    page.text.trim_end().to_owned() + "\n"
}

/// Keys and layers of architecture files.
pub(super) fn architecture(schema: &Schema, order: &Order) -> String {
    let mut page = Page::new(schema, order);
    page.add(&notice("The architecture file"));
    page.add(
        "A network is a list of layers that ends in one number a state, or in a number a class. `ebm check FILE` prints \
         the layers with their output shapes, parameters and multiply-accumulates. The JSON \
         Schema `docs/schema/model.json` serves editors.",
    );
    page.add(&format!("```yaml\n{EXAMPLE}```"));
    page.section("", schema.named("NetworkConfig"));
    page.text.trim_end().to_owned() + "\n"
}

/// Numbers of metrics.jsonl.
pub(super) fn metrics() -> String {
    let table = |rows: &[(&str, &str)]| {
        let row = |(name, meaning): &(&str, &str)| format!("| `{name}` | {} |\n", cell(meaning));
        format!(
            "| name | meaning |\n|---|---|\n{}",
            rows.iter().map(row).collect::<String>()
        )
    };
    format!(
        "{}A line of `metrics.jsonl` holds means over the steps since the line before. [Reading a run]\
         (../guides/reading-a-run.md) says what they tell.\n\n{}\nThe quality monitor adds these every `evaluate.every` \
         steps, with the averaged weights, on validation images:\n\n{}",
        notice("Metrics"),
        table(&[&of_terms(), OF_STEPS].concat()),
        table(OF_LOOKS)
    )
}
