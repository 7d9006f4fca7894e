//! What tokens of published models take: each is written as a GGUF file and as a folder with
//! `config.json`, from its shape alone, and has to come out as published. The figures lie beside
//! the project, not in it; where they are missing, the test says so and passes.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::files::{
    BF16, F16, F32, Folder, GgufFile, SafetensorsFile, keys_and_values, number, text,
};

type Row = HashMap<String, String>;

/// The rows of a published table; none, and a printed line, where it is missing.
fn published(name: &str) -> Option<Vec<Row>> {
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/traces/models");
    let Ok(table) = std::fs::read_to_string(tables.join(name)) else {
        println!("skipped: no published table {name}");
        return None;
    };
    let mut lines = table.lines().map(cells);
    let names = lines.next().unwrap();
    Some(lines.map(|cells| names.iter().cloned().zip(cells).collect()).collect())
}

/// Cells of a line; those in quotes may have commas.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}

fn figure(row: &Row, name: &str) -> u64 {
    row[name].parse().unwrap_or_else(|_| panic!("{name} of {row:?}"))
}

/// The two lengths that stand in the note of latent attention.
fn latent(row: &Row) -> Option<(u64, u64)> {
    let (_, lengths) = row["note"].split_once("values per layer")?.0.split_once(" = ")?;
    let (rank, rotary) = lengths.trim().split_once(" + ")?;
    Some((rank.parse().unwrap(), rotary.parse().unwrap()))
}

/// The shape of a row under the names of GGUF.
fn gguf(row: &Row) -> GgufFile {
    let architecture = row["model_type"].replace('-', "");
    let of = |name: &str| figure(row, name) as u32;
    let key = |name: &str| format!("{architecture}.{name}");
    let mut file = GgufFile::new(&architecture)
        .key("general.name", text(&row["model"]))
        .key(&key("block_count"), number(of("layers")))
        .key(&key("attention.head_count"), number(of("attention_heads")))
        .key(&key("attention.head_count_kv"), number(of("kv_heads")))
        .key(&key("attention.key_length"), number(of("head_dim")))
        .key(&key("attention.value_length"), number(of("head_dim")));
    for (name, column) in
        [("context_length", "max_context"), ("attention.sliding_window", "sliding_window")]
    {
        if !row[column].is_empty() {
            file = file.key(&key(name), number(of(column)));
        }
    }
    let rows = figure(row, "kv_heads") * figure(row, "head_dim");
    if let Some((rank, rotary)) = latent(row) {
        file = file
            .key(&key("attention.kv_lora_rank"), number(rank as u32))
            .key(&key("rope.dimension_count"), number(rotary as u32));
    }
    for layer in 0..figure(row, "layers") {
        file = match latent(row) {
            Some((rank, rotary)) => {
                file.tensor(&format!("blk.{layer}.attn_kv_a_mqa.weight"), &[8, rank + rotary], F16)
            }
            None => file.tensor(&format!("blk.{layer}.attn_k.weight"), &[8, rows], F16).tensor(
                &format!("blk.{layer}.attn_v.weight"),
                &[8, rows],
                F16,
            ),
        };
    }
    file
}

/// The same under the names of Hugging Face, and its tensors.
fn config(row: &Row) -> (Value, SafetensorsFile) {
    let layers = figure(row, "layers");
    let mut config = json!({
        "model_type": row["model_type"],
        "num_hidden_layers": layers,
        "num_attention_heads": figure(row, "attention_heads"),
        "num_key_value_heads": figure(row, "kv_heads"),
    });
    for (name, column) in
        [("max_position_embeddings", "max_context"), ("sliding_window", "sliding_window")]
    {
        let value = row[column].parse::<u64>().map_or(Value::Null, Value::from);
        config[name] = value;
    }
    let Some((rank, rotary)) = latent(row) else {
        config["head_dim"] = figure(row, "head_dim").into();
        let rows = figure(row, "kv_heads") * figure(row, "head_dim");
        return (config, keys_and_values(layers, rows, rows));
    };
    config["kv_lora_rank"] = rank.into();
    config["qk_rope_head_dim"] = rotary.into();
    let name = |layer| format!("model.layers.{layer}.self_attn.kv_a_proj_with_mqa.weight");
    let tensors = (0..layers).fold(SafetensorsFile::default(), |file, layer| {
        file.tensor(&name(layer), &[rank + rotary, 8], "BF16")
    });
    (config, tensors)
}

fn file_name(row: &Row) -> String {
    row["model"].chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Each model of a plan beside its row.
#[track_caller]
fn assert_published(rows: &[Row], plan: &Value, column: &str) {
    let models = plan["models"].as_array().unwrap();
    assert_eq!(models.len(), rows.len());
    for (model, row) in models.iter().zip(rows) {
        let of = |key: &str| model[key].as_u64();
        assert_eq!(of("kv_bytes_per_token"), Some(figure(row, column)), "{row:?}");
        assert_eq!(of("layers"), Some(figure(row, "layers")), "{row:?}");
        assert_eq!(of("heads"), Some(figure(row, "attention_heads")), "{row:?}");
        assert_eq!(of("context_tokens_max"), row["max_context"].parse().ok(), "{row:?}");
        assert_eq!(of("sliding_window_tokens"), row["sliding_window"].parse().ok(), "{row:?}");
        match latent(row) {
            Some((rank, rotary)) => assert_eq!(of("latent_length"), Some(rank + rotary)),
            None => assert_eq!(of("kv_heads"), Some(figure(row, "kv_heads")), "{row:?}"),
        }
    }
}

#[test]
fn tokens_of_published_models_from_both_formats() {
    let Some(rows) = published("kv_bytes_per_token.csv") else { return };
    assert!(rows.len() >= 20 && rows.iter().any(|row| latent(row).is_some()));
    let folder = Folder::new("published");
    let (mut ggufs, mut folders) = (String::new(), String::new());
    for row in &rows {
        let name = file_name(row);
        gguf(row).write(&folder, &format!("{name}.gguf"));
        ggufs += &format!(" {name}.gguf");
        let (config, tensors) = config(row);
        folder.write(&format!("{name}/config.json"), config.to_string());
        tensors.write(&folder, &format!("{name}/model.safetensors"));
        folders += &format!(" {name}");
    }
    for (bits, column) in [(16, "kv_bytes_per_token_fp16"), (8, "kv_bytes_per_token_8bit")] {
        for models in [&ggufs, &folders] {
            let options = format!("{models} --budget 1TiB --kv-bits {bits}");
            assert_published(&rows, &folder.json(&options, 0), column);
        }
    }
    println!("{} models as GGUF and as folders, with 16 and with 8 bits", rows.len());
}

/// A transformer as GGUF has it, with norms in 32 bits; (vocabulary, width of the middle, norms of
/// a layer) are not in the table.
fn whole(row: &Row, kind: u32, vocabulary: u64, middle: u64, norms: u64, width: u64) -> GgufFile {
    let queries = figure(row, "attention_heads") * figure(row, "head_dim");
    let kept = figure(row, "kv_heads") * figure(row, "head_dim");
    let mut file = gguf(row).tensor("token_embd.weight", &[width, vocabulary], kind);
    for layer in 0..figure(row, "layers") {
        let name = |matrix: &str| format!("blk.{layer}.{matrix}.weight");
        // Those of keys and values are there already, eight numbers wide.
        for matrix in ["attn_k", "attn_v"] {
            file = file.tensor(&name(&format!("rest_of_{matrix}")), &[width - 8, kept], kind);
        }
        file = file
            .tensor(&name("attn_q"), &[width, queries], kind)
            .tensor(&name("attn_output"), &[queries, width], kind)
            .tensor(&name("ffn_gate"), &[width, middle], kind)
            .tensor(&name("ffn_up"), &[width, middle], kind)
            .tensor(&name("ffn_down"), &[middle, width], kind);
        for norm in 0..norms {
            file = file.tensor(&name(&format!("norm_{norm}")), &[width], F32);
        }
    }
    file.tensor("output_norm.weight", &[width], F32)
}

fn weights_bytes(file: &GgufFile) -> u64 {
    let header = file.header();
    let file_bytes = header.len() as u64 + file.data_bytes();
    let mut rows = allot_cli::fuzzing::Rows::default();
    let read = allot_cli::fuzzing::read_gguf(&header[..], "whole.gguf", file_bytes, &mut rows);
    read.unwrap().weights_bytes
}

/// Published sizes are those of files: weights, and vocabularies of some MiB before them.
#[test]
fn weights_are_files_less_their_vocabularies() {
    let Some(shapes) = published("kv_bytes_per_token.csv") else { return };
    let Some(sizes) = published("model_file_sizes.csv") else { return };
    let shape = |model: &str| shapes.iter().find(|row| row["model"] == model).unwrap();
    let file_bytes = |model: &str, quantization: &str| {
        let is_it = |row: &&Row| row["model"] == model && row["quantization"] == quantization;
        sizes.iter().find(is_it).unwrap()["size_gb_decimal"].parse::<f64>().unwrap() * 1e9
    };
    // The keys and values above are of 16 bits: BF16 takes as much.
    let (vocabulary, middle, norms, width) = (128_256, 14_336, 2, 4_096);
    let llama = whole(shape("Llama-3.1-8B"), BF16, vocabulary, middle, norms, width).tensor(
        "output.weight",
        &[width, vocabulary],
        BF16,
    );
    let published = file_bytes("Llama-3-8B-Instruct", "BF16");
    let before_bytes = published - weights_bytes(&llama) as f64;
    assert!((0.0..16e6).contains(&before_bytes), "{before_bytes} before the data");
}
