//! Files that are torn, hostile or absurd: each is refused with one message, which names the file,
//! the place, the value and the bound.

use allot_cli::fuzzing::{Rows, files_of_index, read_gguf, read_safetensors};
use serde_json::{Value, json};

use crate::files::{
    F16, F32, Folder, GgufFile, Of, Q4_K, SafetensorsFile, counted, keys_and_values, number,
    numbers, small_gguf, text,
};

/// A file, and why it is refused.
type Case = (Vec<u8>, &'static str);

/// A small GGUF file with other bytes at a place.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut header = small_gguf().header();
    header[at..at + bytes.len()].copy_from_slice(bytes);
    header
}

fn with_key(name: &str, value: Of) -> Vec<u8> {
    small_gguf().key(name, value).header()
}

fn with_tensor(name: &str, sizes: &[u64], kind: u32) -> Vec<u8> {
    GgufFile::new("llama").tensor(name, sizes, kind).header()
}

/// A tensor of 256 bytes with another type and offset.
fn with_last_tensor(kind: u32, offset: u64) -> Vec<u8> {
    let mut header = with_tensor("the.last", &[32, 2], F32);
    let name = counted(b"the.last");
    let name_at = header.windows(name.len()).position(|window| window == name).unwrap();
    let kind_at = name_at + name.len() + 4 + 2 * 8;
    header[kind_at..kind_at + 4].copy_from_slice(&kind.to_le_bytes());
    header[kind_at + 4..kind_at + 12].copy_from_slice(&offset.to_le_bytes());
    header
}

/// An array that claims a length.
fn array(kind: u32, length: u64) -> Of {
    Of(9, [&kind.to_le_bytes()[..], &length.to_le_bytes()].concat())
}

/// Arrays of one array each, so deep.
fn nested(depth: usize) -> Of {
    let Of(_, inner) = array(0, 0);
    let outer = |inner: Vec<u8>, _| [&array(9, 1).1[..], &inner].concat();
    Of(9, (1..depth).fold(inner, outer))
}

fn headers() -> Vec<Case> {
    vec![
        (Vec::new(), "0: the file became shorter while the word `GGUF` was read"),
        (patched(0, b"ggml"), "0: begins with `ggml`, not with `GGUF`"),
        (patched(4, &1_u32.to_le_bytes()), "4: is of version 1; versions 2 and 3 are read"),
        (patched(4, &3_u32.to_be_bytes()), "4: is a file for big-endian machines; convert it"),
        (patched(8, &65_537_u64.to_le_bytes()), "8: has 65537 tensors; at most 65536"),
        (patched(16, &4_097_u64.to_le_bytes()), "16: has 4097 keys; at most 4096"),
        (
            patched(16, &0_u64.to_le_bytes()),
            "52: tensor `general.architecture` has 8 dimensions; at most 4",
        ),
        (
            patched(24, &u64::MAX.to_le_bytes()),
            "24: a key has a length of 18446744073709551615; at most 1024",
        ),
        (
            patched(24, &1_024_u64.to_le_bytes()),
            "32: the file ends within a key: it takes 1024 bytes, there are 608",
        ),
        (patched(32, &[0xff]), "32: a key is `\u{fffd}eneral.architecture`, which is not UTF-8"),
        (
            with_key("general.architecture", text("other")),
            "291: key `general.architecture` is there twice",
        ),
        (with_key("llama.block_count", number(2)), "292: key `llama.block_count` is there twice"),
        (
            GgufFile::default().key("general.architecture", number(1)).header(),
            "52: key `general.architecture` is of kind 4 (u32); a text is expected",
        ),
        (
            GgufFile::new(&"x".repeat(65)).header(),
            "56: the architecture has a length of 65; at most 64",
        ),
    ]
}

fn values() -> Vec<Case> {
    let length = |value| with_key("llama.attention.key_length", value);
    vec![
        (
            length(text("16")),
            "297: key `llama.attention.key_length` is of kind 8 (text); a whole number is expected",
        ),
        (
            length(Of(5, (-16_i32).to_le_bytes().to_vec())),
            "301: key `llama.attention.key_length` is -16; it must not be below 0",
        ),
        (
            length(array(4, 1_025)),
            "305: key `llama.attention.key_length` has a length of 1025; at most 1024",
        ),
        (
            with_key("x", Of(13, Vec::new())),
            "272: key `x` is of kind 13 (unknown); one from 0 to 12 is expected",
        ),
        (
            with_key("x", Of(8, 16_777_217_u64.to_le_bytes().to_vec())),
            "276: the value of key `x` has a length of 16777217; at most 16777216",
        ),
        (
            with_key("x", Of(8, 16_777_216_u64.to_le_bytes().to_vec())),
            "284: the file ends within the value of key `x`: it takes 16777216 bytes, there \
             are 388",
        ),
        (
            with_key("x", array(10, u64::MAX)),
            "280: the value of key `x` has a length of 18446744073709551615; at most 16777216",
        ),
        (
            with_key("x", array(0, 1 << 24)),
            "288: the file ends within the value of key `x`: it takes 16777216 bytes, there \
             are 384",
        ),
        (with_key("x", nested(6)), "316: key `x` has arrays in arrays, more than 4 deep"),
        (too_many(), "2011: has more than 64 keys that tell a shape"),
        (
            with_key("general.alignment", number(48)),
            "292: key `general.alignment` is 48; it must be a power of two, 65536 at most",
        ),
    ]
}

/// More keys that tell a shape than any model has.
fn too_many() -> Vec<u8> {
    let key = |file: GgufFile, at| file.key(&format!("{at}.block_count"), number(1));
    (10..75).fold(GgufFile::new("a"), key).header()
}

fn tensors() -> Vec<Case> {
    vec![
        (with_tensor("a", &[1; 5], F16), "78: tensor `a` has 5 dimensions; at most 4"),
        (
            with_tensor("a", &[100], Q4_K),
            "90: tensor `a` has rows of 100 values; Q4_K has 256 in a block",
        ),
        (
            with_last_tensor(4, 0),
            "105: tensor `the.last` is of type 4, whose size is not known here",
        ),
        (
            with_last_tensor(F32, 8),
            "109: tensor `the.last` begins at offset 8, which is no multiple of 32",
        ),
        (
            with_last_tensor(F32, u64::MAX - 31),
            "109: tensor `the.last` of [32, 2, 1, 1] values at offset 18446744073709551584 ends \
             beyond 2^64 bytes",
        ),
        (
            with_last_tensor(F32, 32),
            "109: tensor `the.last` ends 288 bytes into the data, of which the file has 256; it is \
             torn: fetch it again",
        ),
        (
            overlapping(),
            "127: the tensors take 512 bytes together, but there are 256 bytes of data",
        ),
        (
            with_tensor("blk.1024.attn_k.weight", &[1, 1], F16),
            "123: tensor `blk.1024.attn_k.weight` is of layer 1024; at most 1024 layers are read",
        ),
    ]
}

/// Two tensors of 256 bytes at the same place.
fn overlapping() -> Vec<u8> {
    let file = GgufFile::new("llama").tensor("a", &[64], F32).tensor("b", &[64], F32);
    let mut header = file.header();
    let offset = header.windows(8).rposition(|window| window == 256_u64.to_le_bytes()).unwrap();
    header[offset..offset + 8].fill(0);
    header
}

#[test]
fn gguf() {
    let cases = [headers(), values(), tensors()].concat();
    for (bytes, expected) in &cases {
        let file_bytes = bytes.len() as u64 + 256;
        let read = read_gguf(&bytes[..], "x.gguf", file_bytes, &mut Rows::default());
        assert_eq!(read.unwrap_err().to_string(), format!("x.gguf: at byte {expected}"));
    }
    println!("{} GGUF files refused", cases.len());
}

fn json_header(json: &str) -> Vec<u8> {
    counted(json.as_bytes())
}

fn entry(dtype: &str, shape: &Value, begin: u64, end: u64) -> Vec<u8> {
    let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [begin, end] });
    json_header(&json!({ "a": entry }).to_string())
}

fn json_headers() -> Vec<Case> {
    let no_offsets = "{\"a\": {\"dtype\": \"U8\", \"shape\": [16]}}";
    let below_0 = "{\"a\": {\"dtype\": \"U8\", \"shape\": [-16], \"data_offsets\": [0, 16]}}";
    let long = format!("{{\"{}\": 1}}", "x".repeat(1_025));
    vec![
        (
            u64::MAX.to_le_bytes().to_vec(),
            "at byte 0: the header has 18446744073709551615 bytes; at most 100000000",
        ),
        (
            [&1_000_u64.to_le_bytes()[..], b"{}"].concat(),
            "at byte 8: the header has 1000 bytes, but the file ends after 18; it is torn: fetch \
             it again",
        ),
        (json_header("{"), "the header at byte 8: EOF while parsing an object at line 1 column 1"),
        (
            json_header("[]"),
            "the header at byte 8: invalid type: sequence, expected an object of tensors at line \
             1 column 1",
        ),
        (json_header("{} x"), "the header at byte 8: trailing characters at line 1 column 4"),
        (json_header(no_offsets), "tensor `a`: missing field `data_offsets` at line 1 column 36"),
        (
            json_header(below_0),
            "tensor `a`: invalid value: integer `-16`, expected u64 at line 1 column 36",
        ),
        (
            json_header(&long),
            "tensor `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
             xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...` has a name of 1025 bytes; at most 1024",
        ),
    ]
}

fn entries() -> Vec<Case> {
    let bytes = |begin, end| json!({ "dtype": "U8", "shape": [8], "data_offsets": [begin, end] });
    let overlapping = json!({ "a": bytes(0, 8), "b": bytes(4, 12) });
    vec![
        (
            entry("F5", &json!([16]), 0, 16),
            "tensor `a` is of type `F5`, whose size is not known here",
        ),
        (entry("F4", &json!([3]), 0, 16), "tensor `a` of shape [3] has no whole number of bytes"),
        (
            entry("F64", &json!([1_u64 << 32, 1_u64 << 32]), 0, 16),
            "tensor `a` of shape [4294967296, 4294967296] has no whole number of bytes",
        ),
        (
            entry("U8", &json!([1, 1, 1, 1, 1, 1, 1, 1, 16]), 0, 16),
            "tensor `a`: invalid length 9, expected at most 8 whole numbers at line 1 column 69",
        ),
        (
            entry("U8", &json!([8]), 0, 16),
            "tensor `a` has the bytes from 0 to 16; those of its shape [8] are 8",
        ),
        (
            entry("U8", &json!([16]), 16, 0),
            "tensor `a` has the bytes from 16 to 0; those of its shape [16] are 16",
        ),
        (
            entry("U8", &json!([8]), 0, 8),
            "the tensors end at byte 8 of the data, of which the file has 16; it is torn: fetch it \
             again",
        ),
        (
            entry("U8", &json!([8]), 8, 16),
            "a tensor begins at byte 8 of the data, where the one before ends at 0",
        ),
        (
            json_header(&overlapping.to_string()),
            "a tensor begins at byte 4 of the data, where the one before ends at 8",
        ),
    ]
}

#[test]
fn safetensors() {
    let cases = [json_headers(), entries()].concat();
    for (bytes, expected) in &cases {
        let file_bytes = bytes.len() as u64 + 16;
        let read = read_safetensors(&bytes[..], "x.safetensors", file_bytes, &mut Rows::default());
        assert_eq!(read.unwrap_err().to_string(), format!("x.safetensors: {expected}"));
    }
    println!("{} safetensors files refused", cases.len());
}

#[test]
fn indexes() {
    let of = |name: &str| json!({ "weight_map": { "a": name } }).to_string();
    let why = "which is no .safetensors file in the same folder";
    let cases = [
        ("{}".to_string(), "missing field `weight_map` at line 1 column 2".to_string()),
        ("{\"weight_map\": {}}".to_string(), "`weight_map` names no files".to_string()),
        (of("../a.safetensors"), format!("`weight_map` names `../a.safetensors`, {why}")),
        (of("/etc/a.safetensors"), format!("`weight_map` names `/etc/a.safetensors`, {why}")),
        (of("model.bin"), format!("`weight_map` names `model.bin`, {why}")),
    ];
    for (text, expected) in cases {
        let refused = files_of_index(text.as_bytes(), "x.json").unwrap_err();
        assert_eq!(refused.to_string(), format!("x.json: {expected}"));
    }
}

/// A complaint that says how to go on all the same.
#[track_caller]
fn assert_unknown(complaint: &str, file: &str, name: &str, expected: &str) {
    let way = format!("mend it, or state it: --kv-bytes-per-token '{name}=BYTES'");
    assert_eq!(complaint, format!("{file}: {expected}; {way}"));
}

#[test]
fn shapes_of_gguf() {
    let folder = Folder::new("refused-shapes");
    let usual = [
        ("llama.block_count", number(1)),
        ("llama.embedding_length", number(64)),
        ("llama.attention.head_count", number(4)),
        ("llama.attention.head_count_kv", number(2)),
    ];
    let unknown = "so what a token takes is not known";
    let no_rotary = format!("there is no `llama.rope.dimension_count`, {unknown}");
    for (key, value, expected) in [
        ("block_count", number(0), "`llama.block_count` is 0; it must be 1 to 1024"),
        ("block_count", number(1_025), "`llama.block_count` is 1025; it must be 1 to 1024"),
        (
            "attention.head_count_kv",
            number(3),
            "tells 48 numbers of keys and 48 of values in layer 0, but its tensors have rows for \
             32 numbers of keys and 32 of values",
        ),
        (
            "attention.head_count_kv",
            number(5),
            "`llama.attention.head_count_kv` is 5, but there are 4 heads",
        ),
        (
            "attention.head_count_kv",
            numbers(&[2, 2]),
            "`llama.attention.head_count_kv` has 2 numbers for 1 layers",
        ),
        (
            "embedding_length",
            number(65),
            "`llama.embedding_length` is 65, which 4 heads do not divide, and there is no \
             `llama.attention.key_length`",
        ),
        (
            "embedding_length",
            numbers(&[64]),
            "`llama.embedding_length` is an array of 1 numbers; one number is expected",
        ),
        (
            "attention.key_length",
            number(1 << 20),
            "`llama.attention.key_length` is 1048576; it must be 1 to 16384",
        ),
        ("attention.kv_lora_rank", number(512), &no_rotary),
    ] {
        let key = format!("llama.{key}");
        let file = GgufFile::new("llama").tensor("blk.0.attn_k.weight", &[64, 32], F16);
        let others = usual.iter().filter(|(name, _)| *name != key);
        let file = others.fold(file, |file, (name, value)| file.key(name, value.clone()));
        file.key(&key, value).write(&folder, "x.gguf");
        assert_unknown(&folder.complaint("x.gguf --budget 1GiB"), "x.gguf", "x", expected);
    }
}

#[test]
fn models_of_gguf() {
    let folder = Folder::new("refused-models");
    let complaint = |file: GgufFile| {
        file.write(&folder, "x.gguf");
        folder.complaint("x.gguf --budget 1GiB")
    };
    let one = |architecture: &str| GgufFile::new(architecture).tensor("a", &[1], F32);
    let expected = "there is no `llama.block_count`, so what a token takes is not known";
    assert_unknown(&complaint(one("llama")), "x.gguf", "x", expected);
    let nameless = GgufFile::default().tensor("a", &[1], F32);
    let expected = "there is no `general.architecture`";
    assert_unknown(&complaint(nameless), "x.gguf", "x", expected);
    assert_eq!(
        complaint(GgufFile::new("llama")),
        "x.gguf: has no tensors; name the file of a model"
    );
    assert_eq!(
        complaint(small_gguf().key("split.count", number(2))),
        "x.gguf: `split.count` is 2, but by its name it is one of 1"
    );
    assert_eq!(
        complaint(small_gguf().key("split.tensors.count", number(9))),
        "x.gguf: `split.tensors.count` is 9, but its parts have 2 tensors"
    );
    let huge = one("llama")
        .key("llama.block_count", number(1_024))
        .key("llama.attention.head_count", number(4_096))
        .key("llama.attention.key_length", number(16_384))
        .key("llama.attention.value_length", number(16_384));
    assert_eq!(
        complaint(huge),
        "x.gguf: a token takes 274877906944 bytes in the cache; at most 67108864"
    );
}

#[test]
fn configs() {
    let folder = Folder::new("refused-configs");
    keys_and_values(1, 8, 8).write(&folder, "c/model.safetensors");
    let refused = |text: &str| {
        folder.write("c/config.json", text);
        folder.complaint("c --budget 1GiB")
    };
    let file = "c/config.json";
    let number = "a whole number is expected, or one for each layer";
    for (config, expected) in [
        ("{}", "there is no `num_hidden_layers`, so what a token takes is not known".to_string()),
        ("{\"num_hidden_layers\": -1}", format!("`num_hidden_layers` is -1; {number}")),
        (
            "{\"num_hidden_layers\": 1, \"num_attention_heads\": 2.5}",
            format!("`num_attention_heads` is 2.5; {number}"),
        ),
        (
            "{\"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"head_dim\": 8}",
            "tells 16 numbers of keys and 16 of values in layer 0, but its tensors have rows for 8 \
             numbers of keys and 8 of values"
                .to_string(),
        ),
        (
            "{\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"layer_types\": [\"conv\"]}",
            "lists 1 kinds of layers for 2 layers".to_string(),
        ),
    ] {
        assert_unknown(&refused(config), file, "c", &expected);
    }
    assert_eq!(refused("{"), format!("{file}: EOF while parsing an object at line 1 column 1"));
    let not_an_object = "invalid type: sequence, expected a map at line 1 column 0";
    assert_eq!(refused("[]"), format!("{file}: {not_an_object}"));
    let long = format!("{{\"x\": \"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(refused(&long), format!("{file}: is longer than 2097152 bytes"));
}

#[test]
fn files_that_are_no_models() {
    let folder = Folder::new("refused-files");
    folder.write("notes.txt", "no model");
    folder.write("empty/readme", "");
    let index = json!({ "weight_map": { "a": "b.safetensors" } });
    folder.write("index/model.safetensors.index.json", index.to_string());
    SafetensorsFile::default().write(&folder, "none.safetensors");
    let part = SafetensorsFile::default().tensor("a", &[2, 2], "U8");
    part.write(&folder, "part-00001-of-09999.safetensors");
    for (words, expected) in [
        ("nowhere.gguf", "nowhere.gguf: no such file; check the path"),
        (
            "notes.txt",
            "notes.txt: is no model; name a .gguf or .safetensors file, or the folder of a model",
        ),
        ("empty", "empty: has no .safetensors or .gguf file; name the folder of a model"),
        (
            "index",
            "index/b.safetensors: is missing, which model.safetensors.index.json names; fetch it",
        ),
        ("none.safetensors", "none.safetensors: has no tensors; name the file of a model"),
        ("part-00001-of-09999.safetensors", "part: is one of 9999 parts; at most 4096"),
        (&"notes.txt ".repeat(65), "65 models; plan at most 64"),
        #[cfg(unix)]
        ("/dev/null", "/dev/null: is no regular file"),
    ] {
        assert_eq!(folder.complaint(words), expected, "{words}");
    }
}
