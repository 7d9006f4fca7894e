//! Where the keys of a shape stand: in the header of a GGUF file, below the name of its
//! architecture, or in the `config.json` of a Hugging Face model, where families have names of
//! their own for the same thing.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use serde_json::Value;

use super::gguf::{Gguf, LAYERS_MAX};
use super::numbers::Numbers;
use super::shown;
use crate::failure::CliError;

/// Longest `config.json`; usual are some KiB.
pub const CONFIG_BYTES_MAX: u64 = 2 << 20;

/// Something that has keys of a shape.
pub trait Keys {
    /// The name of a key as it stands in the file.
    fn full_name(&self, key: &str) -> String;

    /// What stands there; none if it is not there, or null.
    ///
    /// # Errors
    ///
    /// If it is no whole number and no array of them.
    fn numbers(&self, key: &str) -> Result<Option<Numbers>, CliError>;

    /// Which layers keep keys and values of every token, where the file has a list of them.
    fn attention(&self) -> Option<Vec<bool>>;

    /// What complaints call the file.
    fn file(&self) -> &str;

    /// How keys are called here.
    fn names(&self) -> &'static Names;
}

/// The names of keys; of several the first that is there counts.
#[derive(Debug)]
pub struct Names {
    pub layers: &'static [&'static str],
    pub heads: &'static [&'static str],
    pub kv_heads: &'static [&'static str],
    /// What a token is wide between the layers.
    pub width: &'static [&'static str],
    pub key_length: &'static [&'static str],
    /// That of the layers with the other kind of attention, where there are two.
    pub other_key_length: &'static [&'static str],
    pub value_length: &'static [&'static str],
    pub latent: &'static [&'static str],
    pub rotary: &'static [&'static str],
    /// Further keys, by which tokens are chosen.
    pub indexer: &'static [&'static str],
    pub context: &'static [&'static str],
    pub window: &'static [&'static str],
    /// One layer in so many sees all tokens, the others keep a state of fixed size.
    pub interval: &'static [&'static str],
    /// Layers that use the cache of another.
    pub shared: &'static [&'static str],
    /// Where there is no length of values: that of keys, rather than width / heads.
    pub values_are_like_keys: bool,
}

const GGUF: Names = Names {
    layers: &["block_count"],
    heads: &["attention.head_count"],
    kv_heads: &["attention.head_count_kv"],
    width: &["embedding_length"],
    key_length: &["attention.key_length"],
    other_key_length: &["attention.key_length_swa"],
    value_length: &["attention.value_length"],
    latent: &["attention.kv_lora_rank"],
    rotary: &["rope.dimension_count"],
    indexer: &["attention.indexer.key_length"],
    context: &["context_length"],
    window: &["attention.sliding_window"],
    interval: &["full_attention_interval"],
    shared: &["attention.shared_kv_layers"],
    values_are_like_keys: false,
};

const CONFIG: Names = Names {
    layers: &["num_hidden_layers", "n_layer", "n_layers", "num_layers"],
    heads: &["num_attention_heads", "n_head", "n_heads", "num_query_heads"],
    kv_heads: &[
        "num_key_value_heads",
        "num_kv_heads",
        "n_kv_heads",
        "n_head_kv",
        "multi_query_group_num",
        "attn_config.kv_n_heads",
    ],
    width: &["hidden_size", "n_embd", "d_model", "dim", "model_dim"],
    key_length: &["head_dim", "kv_channels", "attention_head_dim"],
    other_key_length: &["global_head_dim"],
    value_length: &["v_head_dim"],
    latent: &["kv_lora_rank"],
    rotary: &["qk_rope_head_dim"],
    indexer: &["index_head_dim"],
    context: &["max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx"],
    window: &["sliding_window"],
    interval: &["full_attention_interval"],
    shared: &["num_kv_shared_layers"],
    values_are_like_keys: true,
};

/// Keys of a GGUF file.
#[derive(Debug)]
pub struct GgufKeys<'a> {
    pub file: &'a str,
    pub architecture: &'a str,
    pub header: &'a Gguf,
}

impl Keys for GgufKeys<'_> {
    fn full_name(&self, key: &str) -> String {
        format!("{}.{key}", shown(self.architecture))
    }

    fn numbers(&self, key: &str) -> Result<Option<Numbers>, CliError> {
        Ok(self.header.keys.get(&format!("{}.{key}", self.architecture)).cloned())
    }

    fn attention(&self) -> Option<Vec<bool>> {
        None
    }

    fn file(&self) -> &str {
        self.file
    }

    fn names(&self) -> &'static Names {
        &GGUF
    }
}

/// A `config.json`.
#[derive(Debug)]
pub struct Config {
    file: String,
    /// Where the model is one for pictures too, its text has an object of its own.
    prefix: &'static str,
    object: BTreeMap<String, Value>,
}

/// Names of the object of the text.
const TEXTS: [&str; 4] = ["text_config", "llm_config", "language_config", "thinker_config"];
/// Kinds of layers that keep a state of fixed size instead of keys and values.
const STATES: [&str; 7] =
    ["linear_attention", "conv", "mamba", "mamba2", "recurrent", "mlp", "moe"];

impl Config {
    /// Reads a `config.json`; `file` is what complaints call it.
    ///
    /// # Errors
    ///
    /// If it is no JSON object, or too long.
    pub fn read(from: impl Read, file: &str) -> Result<Self, CliError> {
        let fault = |why: String| CliError::new(format!("{file}: {why}"));
        let mut text = Vec::new();
        let mut from = BufReader::new(from.take(CONFIG_BYTES_MAX + 1));
        from.read_to_end(&mut text).map_err(|cause| fault(cause.to_string()))?;
        if text.len() as u64 > CONFIG_BYTES_MAX {
            return Err(fault(format!("is longer than {CONFIG_BYTES_MAX} bytes")));
        }
        let mut object: BTreeMap<String, Value> =
            serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
        let mut prefix = "";
        // One may stand in another.
        while let Some(name) = TEXTS.iter().find(|name| object.get(**name).is_some_and(is_object)) {
            let Some(Value::Object(inner)) = object.remove(*name) else { break };
            (prefix, object) = (name, inner.into_iter().collect());
        }
        Ok(Self { file: file.to_string(), prefix, object })
    }

    fn value(&self, key: &str) -> Option<&Value> {
        let mut words = key.split('.');
        let mut value = self.object.get(words.next()?)?;
        for word in words {
            value = value.get(word)?;
        }
        (!value.is_null()).then_some(value)
    }

    fn is_set(&self, key: &str) -> Option<bool> {
        self.value(key)?.as_bool()
    }

    fn no_number(&self, key: &str, value: &Value) -> CliError {
        CliError::new(format!(
            "{}: `{}` is {}; a whole number is expected, or one for each layer",
            self.file,
            self.full_name(key),
            shown(&value.to_string())
        ))
    }
}

fn is_object(value: &Value) -> bool {
    value.is_object()
}

impl Keys for Config {
    fn full_name(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_string() } else { format!("{}.{key}", self.prefix) }
    }

    fn numbers(&self, key: &str) -> Result<Option<Numbers>, CliError> {
        if key == CONFIG.window[0] && self.is_set("use_sliding_window") == Some(false) {
            return Ok(None);
        }
        let Some(value) = self.value(key) else {
            let is_multi_query = key == CONFIG.kv_heads[0]
                && self.is_set("multi_query") == Some(true)
                && self.is_set("new_decoder_architecture") != Some(true);
            return Ok(is_multi_query.then_some(Numbers::One(1)));
        };
        let number = |value: &Value| value.as_u64().ok_or_else(|| self.no_number(key, value));
        let Value::Array(values) = value else { return Ok(Some(Numbers::One(number(value)?))) };
        if values.len() as u64 > LAYERS_MAX {
            return Err(CliError::new(format!(
                "{}: `{}` has {} elements; at most {LAYERS_MAX}",
                self.file,
                self.full_name(key),
                values.len()
            )));
        }
        Ok(Some(Numbers::Each(values.iter().map(number).collect::<Result<_, _>>()?)))
    }

    fn attention(&self) -> Option<Vec<bool>> {
        let list = self.value("layer_types").or_else(|| self.value("layers_block_type"))?;
        let keeps = |kind: &Value| kind.as_str().is_none_or(|kind| !STATES.contains(&kind));
        Some(list.as_array()?.iter().map(keeps).collect())
    }

    fn file(&self) -> &str {
        &self.file
    }

    fn names(&self) -> &'static Names {
        &CONFIG
    }
}
