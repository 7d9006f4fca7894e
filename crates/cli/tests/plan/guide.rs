//! `docs/PLAN.md` shows what the commands print: they are run again, on models and a machine made
//! here.

use serde_json::json;

use crate::files::{Folder, GgufFile, Q4_K, SafetensorsFile, number};

const GUIDE: &str = include_str!("../../../../docs/PLAN.md");

/// A model of 8 billion values in 4.5 bits each: 32 layers, 8 KV heads of 128.
fn chat() -> GgufFile {
    let mut file = GgufFile::new("llama")
        .key("llama.block_count", number(32))
        .key("llama.context_length", number(131_072))
        .key("llama.embedding_length", number(4_096))
        .key("llama.attention.head_count", number(32))
        .key("llama.attention.head_count_kv", number(8))
        .tensor("token_embd.weight", &[4_096, 128_256], Q4_K)
        .tensor("output.weight", &[4_096, 128_256], Q4_K);
    for layer in 0..32 {
        let matrices = [
            ("attn_q", [4_096, 4_096]),
            ("attn_k", [4_096, 1_024]),
            ("attn_v", [4_096, 1_024]),
            ("attn_output", [4_096, 4_096]),
            ("ffn_gate", [4_096, 14_336]),
            ("ffn_up", [4_096, 14_336]),
            ("ffn_down", [14_336, 4_096]),
        ];
        for (matrix, sizes) in matrices {
            file = file.tensor(&format!("blk.{layer}.{matrix}.weight"), &sizes, Q4_K);
        }
    }
    file
}

/// A model of 1.5 billion values of 16 bits, in two files: 28 layers, 2 KV heads of 128.
fn coder(folder: &Folder) {
    let files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let mut first = SafetensorsFile::default();
    for layer in 0..28 {
        let name = |matrix: &str| format!("model.layers.{layer}.{matrix}.weight");
        first = first
            .tensor(&name("self_attn.q_proj"), &[1_536, 1_536], "BF16")
            .tensor(&name("self_attn.k_proj"), &[256, 1_536], "BF16")
            .tensor(&name("self_attn.v_proj"), &[256, 1_536], "BF16")
            .tensor(&name("self_attn.o_proj"), &[1_536, 1_536], "BF16")
            .tensor(&name("mlp.gate_proj"), &[8_960, 1_536], "BF16")
            .tensor(&name("mlp.up_proj"), &[8_960, 1_536], "BF16")
            .tensor(&name("mlp.down_proj"), &[1_536, 8_960], "BF16");
    }
    first.write(folder, &format!("coder/{}", files[0]));
    let embedding = "model.embed_tokens.weight";
    let second = SafetensorsFile::default().tensor(embedding, &[151_936, 1_536], "BF16");
    second.write(folder, &format!("coder/{}", files[1]));
    let map = json!({ embedding: files[1], "model.layers.0.self_attn.q_proj.weight": files[0] });
    let index = json!({ "metadata": {}, "weight_map": map });
    folder.write("coder/model.safetensors.index.json", index.to_string());
    let config = json!({ "num_hidden_layers": 28, "num_attention_heads": 12,
        "num_key_value_heads": 2, "hidden_size": 1_536, "max_position_embeddings": 32_768,
        "sliding_window": 32_768 });
    folder.write("coder/config.json", config.to_string());
}

/// 16 GiB, and a cgroup with 6 of them.
fn machine(folder: &Folder) {
    let meminfo = "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\nSwapTotal: 0 kB\n\
        SwapFree: 0 kB\nCommitLimit: 8388608 kB\nCommitted_AS: 4194304 kB\n\
        HugePages_Total: 0\nHugePages_Free: 0\nHugepagesize: 2048 kB\n";
    let stalls = "some avg10=0.00 avg60=0.10 avg300=0.00 total=9\n\
        full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
    for (file, text) in [
        ("proc/meminfo", meminfo),
        ("proc/pressure/memory", stalls),
        ("proc/sys/vm/overcommit_memory", "0\n"),
        ("proc/4711/status", "Name:\tllm-server\nVmRSS:\t 1048576 kB\n"),
        ("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
        ("proc/self/cgroup", "0::/llm.service\n"),
        ("sys/fs/cgroup/llm.service/memory.max", "6442450944\n"),
        ("sys/fs/cgroup/llm.service/memory.current", "1073741824\n"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
    ] {
        folder.write(&format!("box/{file}"), text);
    }
}

#[test]
fn the_guide_shows_what_is_printed() {
    let folder = Folder::new("guide");
    chat().write(&folder, "chat.gguf");
    coder(&folder);
    machine(&folder);
    let blocks = GUIDE.split("```text\n$ allot ").skip(1);
    let examples: Vec<&str> = blocks.map(|block| block.split_once("\n```").unwrap().0).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let (words, expected) = example.split_once('\n').unwrap();
        if words.starts_with("doctor") && !cfg!(target_os = "linux") {
            println!("skipped: {words} reads the files of a Linux machine");
            continue;
        }
        let output = folder.allot(words);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed.trim_end(), expected, "{words}");
        // What one command writes, the next one reads.
        if words.ends_with("--toml") {
            folder.write("allot.toml", &printed);
        }
    }
}
