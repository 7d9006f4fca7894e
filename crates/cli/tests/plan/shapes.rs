//! What is unusual about a shape: layers that differ, names of other families, tensors alone; and
//! what stands in several files.

use serde_json::{Value, json};

use crate::files::{
    F16, F32, Folder, GgufFile, SafetensorsFile, keys_and_values, number, numbers, small_gguf,
};

/// The only model of a plan.
#[track_caller]
fn model(folder: &Folder, words: &str) -> Value {
    let plan = folder.json(&format!("{words} --budget 1TiB"), 0);
    let models = plan["models"].as_array().unwrap();
    assert_eq!(models.len(), 1, "{plan}");
    models[0].clone()
}

/// What a token takes by this `config.json`, beside tensors that say nothing about it.
#[track_caller]
fn by_config(folder: &Folder, config: &Value) -> Value {
    folder.write("c/config.json", config.to_string());
    let fused = SafetensorsFile::default().tensor("model.layers.0.qkv.weight", &[4, 4], "BF16");
    fused.write(folder, "c/model.safetensors");
    model(folder, "c")
}

fn hybrid() -> GgufFile {
    GgufFile::new("jamba")
        .key("jamba.block_count", number(4))
        .key("jamba.embedding_length", number(64))
        .key("jamba.attention.head_count", numbers(&[4, 4, 4, 4]))
        .tensor("output.weight", &[64, 2], F16)
}

#[test]
fn layers_may_differ_and_keys_and_values_too() {
    let folder = Folder::new("layers");
    let each = hybrid()
        .key("jamba.attention.head_count_kv", numbers(&[0, 2, 0, 4]))
        .key("jamba.attention.key_length", number(24))
        .key("jamba.attention.value_length", number(8));
    each.write(&folder, "each.gguf");
    let seen = model(&folder, "each.gguf");
    assert_eq!(seen["kv_bytes_per_token"], (2 + 4) * (24 + 8) * 2);
    assert_eq!((&seen["layers"], &seen["caching_layers"]), (&4.into(), &2.into()));
    assert_eq!(seen["notes"][0], "2 of 4 layers keep a state of fixed size, which comes on top");
    // One in two sees everything; without a length of its own a head is its share of the width.
    let interval = hybrid().key("jamba.full_attention_interval", number(2));
    interval.write(&folder, "interval.gguf");
    let seen = model(&folder, "interval.gguf");
    assert_eq!(seen["kv_bytes_per_token"], 2 * 4 * (16 + 16) * 2);
}

#[test]
fn windows_and_shared_caches_are_upper_bounds_and_said_so() {
    let folder = Folder::new("bounds");
    let bounds = small_gguf()
        .key("llama.attention.sliding_window", number(1024))
        .key("llama.attention.shared_kv_layers", number(1))
        .key("llama.attention.key_length_swa", number(24))
        .key("llama.attention.value_length", number(16));
    bounds.write(&folder, "bounds.gguf");
    let seen = model(&folder, "bounds.gguf");
    // The longer of two lengths, for keys and for values.
    assert_eq!(seen["kv_bytes_per_token"], 2 * (24 + 24) * 2);
    assert_eq!(seen["notes"][0], "a sliding window of 1,024 tokens: upper bound");
    assert_eq!(seen["notes"][1], "1 layers share the cache of others: upper bound");
}

#[test]
fn families_have_names_of_their_own() {
    let folder = Folder::new("families");
    let of = |config: &Value| by_config(&folder, config)["kv_bytes_per_token"].clone();
    let falcon = json!({ "n_layer": 2, "n_head": 8, "hidden_size": 64, "multi_query": true });
    assert_eq!(of(&falcon), 2 * 2 * 8 * 2);
    let gpt2 = json!({ "n_layer": 2, "n_head": 8, "n_embd": 64, "head_dim": null });
    assert_eq!(of(&gpt2), 2 * 8 * 2 * 8 * 2);
    let attention = json!({ "kv_n_heads": 2 });
    let dbrx = json!({ "n_layers": 1, "n_heads": 8, "d_model": 64, "attn_config": attention });
    assert_eq!(of(&dbrx), 2 * 2 * 8 * 2);
    let text = json!({ "num_hidden_layers": 3, "num_attention_heads": 2, "head_dim": 4,
        "v_head_dim": 2, "num_key_value_heads": [1, 2, 1], "max_position_embeddings": 99 });
    let pictures = json!({ "vision_config": { "num_hidden_layers": 9 }, "text_config": text });
    assert_eq!(of(&pictures), (1 + 2 + 1) * (4 + 2) * 2);
    let states = json!({ "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 4,
        "layer_types": ["linear_attention", "full_attention"] });
    assert_eq!(of(&states), 2 * (4 + 4) * 2);
    let indexed = json!({ "num_hidden_layers": 2, "num_attention_heads": 2, "kv_lora_rank": 8,
        "qk_rope_head_dim": 4, "index_head_dim": 3 });
    assert_eq!(of(&indexed), 2 * (8 + 4 + 3) * 2);
    let window = json!({ "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 1,
        "sliding_window": 7, "use_sliding_window": false });
    assert_eq!(by_config(&folder, &window)["sliding_window_tokens"], Value::Null);
}

#[test]
fn tensors_alone_tell_by_their_rows() {
    let folder = Folder::new("alone");
    keys_and_values(3, 256, 128).write(&folder, "plain.safetensors");
    let seen = model(&folder, "plain.safetensors");
    assert_eq!(seen["kv_bytes_per_token"], 3 * (256 + 128) * 2);
    assert_eq!(seen["notes"][0], "told by the rows of its tensors: there is no config.json");
    // Four bits in words of 32 keep the rows; those packed along the rows have scales.
    let name = |matrix: &str, part: &str| format!("model.layers.0.self_attn.{matrix}.{part}");
    SafetensorsFile::default()
        .tensor(&name("k_proj", "weight"), &[256, 8], "U32")
        .tensor(&name("k_proj", "scales"), &[256, 1], "BF16")
        .tensor(&name("v_proj", "qweight"), &[8, 256], "I32")
        .tensor(&name("v_proj", "scales"), &[1, 256], "BF16")
        .write(&folder, "packed.safetensors");
    assert_eq!(model(&folder, "packed.safetensors")["kv_bytes_per_token"], (256 + 256) * 2);
}

#[test]
fn what_no_file_tells_can_be_stated() {
    let folder = Folder::new("stated");
    let fused = SafetensorsFile::default().tensor("h.0.attn.c_attn.weight", &[8, 24], "BF16");
    fused.write(&folder, "fused.safetensors");
    assert_eq!(
        folder.complaint("fused.safetensors --budget 1MiB"),
        "fused.safetensors: there is no config.json beside it, and no tensors with the rows of \
         keys and values, so what a token takes is not known; mend it, or state it: \
         --kv-bytes-per-token 'fused=BYTES'"
    );
    let seen = model(&folder, "fused.safetensors --kv-bytes-per-token 96");
    assert_eq!((&seen["kv_bytes_per_token"], &seen["kv_stated"]), (&96.into(), &true.into()));
    small_gguf().write(&folder, "small.gguf");
    let both = "fused.safetensors small.gguf --budget 1TiB";
    let seen = folder.json(&format!("{both} --kv-bytes-per-token fused=0"), 0);
    assert_eq!(seen["models"][0]["alone"][0]["requests"], Value::Null, "any number");
    assert_eq!(seen["models"][1]["kv_bytes_per_token"], 128);
    let unknown = folder.complaint(&format!("{both} --kv-bytes-per-token chat=1"));
    assert_eq!(
        unknown,
        "--kv-bytes-per-token names the model `chat`, which is not among fused, small"
    );
    let whose = folder.complaint(&format!("{both} --kv-bytes-per-token 1"));
    assert!(whose.ends_with("does not say of which model; write NAME=BYTES"), "{whose}");
}

#[test]
fn any_part_names_all_parts() {
    let folder = Folder::new("parts");
    let first = small_gguf().key("split.count", number(2)).key("split.no", number(0));
    first.key("split.tensors.count", number(3)).write(&folder, "chat-00001-of-00002.gguf");
    let second = GgufFile::default().key("split.count", number(2)).key("split.no", number(1));
    second.tensor("output.weight", &[64, 2], F32).write(&folder, "chat-00002-of-00002.gguf");
    for words in ["chat-00001-of-00002.gguf", "chat-00002-of-00002.gguf", "."] {
        let seen = model(&folder, words);
        assert_eq!((&seen["files"], &seen["tensors"]), (&2.into(), &3.into()), "{words}");
        assert_eq!(seen["weights_bytes"], 8192 + 512, "{words}");
    }
    let both = "chat-00001-of-00002.gguf chat-00002-of-00002.gguf";
    assert_eq!(model(&folder, both)["name"], "chat");
    std::fs::remove_file(folder.path("chat-00002-of-00002.gguf")).unwrap();
    assert_eq!(
        folder.complaint("chat-00001-of-00002.gguf"),
        "chat-00002-of-00002.gguf: part 2 of 2 is missing; fetch it"
    );
}

#[test]
fn a_folder_has_an_index_or_one_model() {
    let folder = Folder::new("folders");
    let parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    keys_and_values(2, 32, 32).write(&folder, &format!("chat/{}", parts[0]));
    let rest = SafetensorsFile::default().tensor("lm_head.weight", &[4, 8], "BF16");
    rest.write(&folder, &format!("chat/{}", parts[1]));
    rest.write(&folder, "chat/consolidated.safetensors");
    let map =
        json!({ "model.layers.0.self_attn.k_proj.weight": parts[0], "lm_head.weight": parts[1] });
    let index = json!({ "metadata": { "total_size": 1 }, "weight_map": map });
    folder.write("chat/model.safetensors.index.json", index.to_string());
    let seen = model(&folder, "chat");
    assert_eq!((&seen["name"], &seen["files"]), (&"chat".into(), &2.into()));
    assert_eq!(seen["weights_bytes"], 2 * 2 * 32 * 8 * 2 + 64);
    std::fs::remove_file(folder.path("chat/model.safetensors.index.json")).unwrap();
    assert_eq!(
        folder.complaint("chat"),
        "chat: has 2 models, chat/consolidated.safetensors among them; name one file"
    );
    assert_eq!(model(&folder, &format!("chat/{}", parts[1]))["name"], "chat");
}

#[test]
fn a_file_of_another_name_is_known_by_how_it_begins() {
    let folder = Folder::new("blobs");
    small_gguf().write(&folder, "sha256-0a1b");
    assert_eq!(model(&folder, "sha256-0a1b")["format"], "gguf");
    // Two of one name have to be told apart.
    small_gguf().write(&folder, "other/sha256-0a1b");
    let plan = folder.json("sha256-0a1b other/sha256-0a1b --budget 1GiB", 0);
    let name = |at: usize| plan["models"][at]["name"].as_str().unwrap().to_string();
    assert_eq!((name(0), name(1)), ("sha256-0a1b".into(), "sha256-0a1b-2".into()));
}
