//! Making model files, and running the binary on them. Data is not written: files are as long as
//! they should be, and have holes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Map, Value, json};

/// A folder of one test's own, empty at the start.
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of the test of this name.
    pub fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("plan-{test}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }

    /// Writes a file, in a new folder if its name has one.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        self.hollow(name, bytes, 0)
    }

    /// Writes a file that goes on as a hole.
    pub fn hollow(&self, name: &str, bytes: impl AsRef<[u8]>, hole_bytes: u64) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = File::create(&path).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
        file.set_len(bytes.as_ref().len() as u64 + hole_bytes).unwrap();
        self.path(name)
    }

    /// `allot plan` in this folder, with these words, separated by blanks.
    pub fn plan(&self, words: &str) -> Output {
        self.allot(&format!("plan {words}"))
    }

    /// `allot` in this folder.
    pub fn allot(&self, words: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        command.args(words.split_whitespace()).current_dir(&self.0).output().unwrap()
    }

    /// What is printed by a run that has to succeed with this code.
    #[track_caller]
    pub fn printed(&self, words: &str, code: i32) -> String {
        let output = self.plan(words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*complaint), (Some(code), ""), "{words}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The plan for programs.
    #[track_caller]
    pub fn json(&self, words: &str, code: i32) -> Value {
        serde_json::from_str(&self.printed(&format!("{words} --json"), code)).unwrap()
    }

    /// The complaint of a run that has to fail.
    #[track_caller]
    pub fn complaint(&self, words: &str) -> String {
        let output = self.plan(words);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words}: {complaint}");
        assert!(output.stdout.is_empty(), "{words}");
        complaint.trim_end().strip_prefix("allot: ").unwrap_or(&complaint).to_string()
    }
}

/// Types of tensors in GGUF.
pub const F32: u32 = 0;
pub const F16: u32 = 1;
pub const Q4_K: u32 = 12;
pub const BF16: u32 = 30;

/// A value of a GGUF key: its kind and its bytes.
#[derive(Clone)]
pub struct Of(pub u32, pub Vec<u8>);

pub fn number(number: u32) -> Of {
    Of(4, number.to_le_bytes().to_vec())
}

pub fn text(text: &str) -> Of {
    Of(8, counted(text.as_bytes()))
}

/// An array of numbers.
pub fn numbers(numbers: &[u32]) -> Of {
    let mut bytes = 4_u32.to_le_bytes().to_vec();
    bytes.extend((numbers.len() as u64).to_le_bytes());
    numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    Of(9, bytes)
}

pub fn counted(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

/// A GGUF file in the making.
#[derive(Clone, Default)]
pub struct GgufFile {
    keys: Vec<(String, Of)>,
    tensors: Vec<u8>,
    tensors_count: u64,
    data_bytes: u64,
}

impl GgufFile {
    pub fn new(architecture: &str) -> Self {
        Self::default().key("general.architecture", text(architecture))
    }

    pub fn key(mut self, name: &str, value: Of) -> Self {
        self.keys.push((name.to_string(), value));
        self
    }

    /// A tensor behind all others; only of types whose blocks are known here.
    pub fn tensor(mut self, name: &str, sizes: &[u64], kind: u32) -> Self {
        let (block_values, block_bytes) = match kind {
            F32 => (1, 4),
            F16 | BF16 => (1, 2),
            Q4_K => (256, 144),
            _ => panic!("no size of type {kind}"),
        };
        let offset = self.data_bytes.next_multiple_of(32);
        self.data_bytes = offset + sizes.iter().product::<u64>() / block_values * block_bytes;
        self.tensors_count += 1;
        self.tensors.extend(counted(name.as_bytes()));
        self.tensors.extend((sizes.len() as u32).to_le_bytes());
        sizes.iter().for_each(|size| self.tensors.extend(size.to_le_bytes()));
        self.tensors.extend(kind.to_le_bytes());
        self.tensors.extend(offset.to_le_bytes());
        self
    }

    pub fn header(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(self.tensors_count.to_le_bytes());
        bytes.extend((self.keys.len() as u64).to_le_bytes());
        for (name, Of(kind, value)) in &self.keys {
            bytes.extend(counted(name.as_bytes()));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
        }
        bytes.extend(&self.tensors);
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes
    }

    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    pub fn write(&self, folder: &Folder, name: &str) -> String {
        folder.hollow(name, self.header(), self.data_bytes)
    }
}

/// A safetensors file in the making.
#[derive(Clone, Default)]
pub struct SafetensorsFile {
    tensors: Map<String, Value>,
    data_bytes: u64,
}

impl SafetensorsFile {
    /// A tensor behind all others, of bytes, words of 16, or of 32 bits.
    pub fn tensor(mut self, name: &str, shape: &[u64], dtype: &str) -> Self {
        let value_bytes = match dtype {
            "U8" => 1,
            "BF16" => 2,
            "U32" | "I32" => 4,
            _ => panic!("no size of {dtype}"),
        };
        let begin = self.data_bytes;
        self.data_bytes += shape.iter().product::<u64>() * value_bytes;
        let place = [begin, self.data_bytes];
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": place });
        self.tensors.insert(name.to_string(), entry);
        self
    }

    pub fn header(&self) -> Vec<u8> {
        let mut object = self.tensors.clone();
        object.insert("__metadata__".to_string(), json!({ "format": "pt" }));
        counted(Value::Object(object).to_string().as_bytes())
    }

    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    pub fn write(&self, folder: &Folder, name: &str) -> String {
        folder.hollow(name, self.header(), self.data_bytes)
    }
}

/// Keys and values of so many layers, a few numbers wide.
pub fn keys_and_values(layers: u64, keys: u64, values: u64) -> SafetensorsFile {
    let mut file = SafetensorsFile::default();
    for layer in 0..layers {
        let name = |matrix| format!("model.layers.{layer}.self_attn.{matrix}_proj.weight");
        file = file.tensor(&name("k"), &[keys, 8], "BF16").tensor(&name("v"), &[values, 8], "BF16");
    }
    file
}

/// A small model of one layer: 4 heads, 2 of them kept, of 16 numbers, 128 bytes per token.
pub fn small_gguf() -> GgufFile {
    GgufFile::new("llama")
        .key("llama.block_count", number(1))
        .key("llama.context_length", number(4096))
        .key("llama.embedding_length", number(64))
        .key("llama.attention.head_count", number(4))
        .key("llama.attention.head_count_kv", number(2))
        .tensor("blk.0.attn_k.weight", &[64, 32], F16)
        .tensor("blk.0.attn_v.weight", &[64, 32], F16)
}
