//! What the tensors themselves say of keys and values: the matrices that make them have a row for
//! each number that a token leaves in the cache. Packed weights keep their rows, or the columns of
//! the scales beside them.
//!
//! ```text
//! model.layers.0.self_attn.k_proj.weight        rows = KV heads x head size
//! model.layers.0.self_attn.kv_a_proj_with_mqa.weight   rows = latent + rotary: one copy of both
//! model.layers.0.self_attn.k_proj.qweight       packed along its rows: .scales has them as columns
//! blk.0.attn_k.weight                           the same in GGUF
//! ```
//!
//! A model may have several stacks of layers. Towers for pictures and sound have no cache that
//! grows with the text, and are left out.

use std::collections::BTreeMap;

use super::gguf::LAYERS_MAX;

/// Most stacks of layers; usual are one to three.
const STACKS_MAX: usize = 64;
/// Words before a number of a layer.
const LAYERS: [&str; 4] = ["layers", "h", "blocks", "blk"];
/// What holds the matrices of keys and values.
const ATTENTION: [&str; 5] = ["self_attn", "attn", "attention", "self_attention", "mixer"];
/// What stands in names of stacks that are not of the text.
const OTHER_STACKS: [&str; 5] = ["vision", "visual", "audio", "encoder", "mtp"];

/// A matrix as far as its rows tell something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// What it puts out, unless it is packed along them.
    pub rows: u64,
    /// What it takes in, or the other way round where it is packed along its rows.
    pub columns: u64,
    /// How its values stand.
    pub kind: Kind,
}

/// How the values of a matrix stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A row for each output.
    Plain,
    /// Bytes: with one column they are packed without any shape.
    Bytes,
}

/// What a layer adds to the cache for each token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Keys and values.
    Both(u64, u64),
    /// One latent vector, from which both are made.
    Latent(u64),
}

impl Layer {
    /// How many numbers.
    pub fn values(self) -> u64 {
        match self {
            Self::Both(keys, values) => keys.saturating_add(values),
            Self::Latent(values) => values,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Output {
    rows: Option<u64>,
    columns_of_scales: Option<u64>,
    is_packed: bool,
}

impl Output {
    fn values(self) -> Option<u64> {
        self.rows.or(self.columns_of_scales.filter(|_| self.is_packed))
    }
}

/// Of each layer: keys, values, latent vector.
type Outputs = [Output; 3];

/// What was seen of all stacks.
#[derive(Debug, Default)]
pub struct Rows {
    stacks: BTreeMap<String, BTreeMap<u64, Outputs>>,
}

impl Rows {
    /// Takes a matrix into account.
    ///
    /// # Errors
    ///
    /// In words that follow the name: of a layer, or of a stack, beyond what is read.
    pub fn add(&mut self, name: &str, matrix: Matrix) -> Result<(), String> {
        let Some((stack, layer, which, part)) = place(name) else { return Ok(()) };
        if OTHER_STACKS.iter().any(|other| stack.contains(other)) {
            return Ok(());
        }
        if layer >= LAYERS_MAX {
            return Err(format!("is of layer {layer}; at most {LAYERS_MAX} layers are read"));
        }
        if !self.stacks.contains_key(stack) && self.stacks.len() == STACKS_MAX {
            return Err(format!("is of one stack of layers too many; at most {STACKS_MAX}"));
        }
        let layers = self.stacks.entry(stack.to_string()).or_default();
        let output = &mut layers.entry(layer).or_default()[which];
        match part {
            "weight" | "weight_packed" if matrix.kind == Kind::Bytes && matrix.columns == 1 => {}
            "weight" | "weight_packed" => output.rows = Some(matrix.rows),
            "scales" => output.columns_of_scales = Some(matrix.columns),
            "qweight" => output.is_packed = true,
            _ => {}
        }
        Ok(())
    }

    /// What each layer of the text adds; nothing where the tensors do not say, or where there are
    /// several stacks.
    pub fn layers(&self) -> BTreeMap<u64, Layer> {
        let mut told = self.stacks.values().map(of_stack).filter(|layers| !layers.is_empty());
        match (told.next(), told.next()) {
            (Some(layers), None) => layers,
            _ => BTreeMap::new(),
        }
    }
}

fn of_stack(layers: &BTreeMap<u64, Outputs>) -> BTreeMap<u64, Layer> {
    let layer = |[keys, values, latent]: &Outputs| {
        let both = || {
            let keys = keys.values()?;
            // Where values are made from the keys, they are as many.
            Some(Layer::Both(keys, values.values().unwrap_or(keys)))
        };
        latent.values().map(Layer::Latent).or_else(both)
    };
    layers.iter().filter_map(|(number, outputs)| Some((*number, layer(outputs)?))).collect()
}

/// The stack, the layer, which output it is, and what part of the matrix.
fn place(name: &str) -> Option<(&str, u64, usize, &str)> {
    let (path, part) = name.rsplit_once('.')?;
    let (path, matrix) = path.rsplit_once('.')?;
    let (which, path) = match matrix {
        "attn_k" => (0, path),
        "attn_v" => (1, path),
        "attn_kv_a_mqa" => (2, path),
        _ => {
            let (path, attention) = path.rsplit_once('.')?;
            let which = match matrix {
                "k_proj" | "wk" => 0,
                "v_proj" | "wv" => 1,
                "kv_a_proj_with_mqa" | "wkv_a" => 2,
                _ => return None,
            };
            ATTENTION.contains(&attention).then_some((which, path))?
        }
    };
    let (path, layer) = path.rsplit_once('.')?;
    let layer = layer.parse().ok()?;
    let (stack, word) = path.rsplit_once('.').unwrap_or(("", path));
    LAYERS.contains(&word).then_some((stack, layer, which, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(rows: u64, columns: u64) -> Matrix {
        Matrix { rows, columns, kind: Kind::Plain }
    }

    fn layers(matrices: &[(&str, Matrix)]) -> Vec<(u64, Layer)> {
        let mut rows = Rows::default();
        matrices.iter().for_each(|(name, matrix)| rows.add(name, *matrix).unwrap());
        rows.layers().into_iter().collect()
    }

    #[test]
    fn rows_of_plain_and_packed_weights() {
        let k = "model.layers.3.self_attn.k_proj";
        let v = "model.layers.3.self_attn.v_proj";
        let both = [(3, Layer::Both(1024, 512))];
        let name = |matrix: &str, part: &str| format!("{matrix}.{part}");
        // Four bits in words of 32: the rows stay.
        let seen = layers(&[
            (&name(k, "weight"), plain(1024, 512)),
            (&name(k, "scales"), plain(1024, 64)),
            (&name(v, "weight"), plain(512, 512)),
        ]);
        assert_eq!(seen, both);
        // Packed along the rows: the scales have them as columns.
        let seen = layers(&[
            (&name(k, "scales"), plain(32, 1024)),
            (&name(k, "qweight"), plain(512, 1024)),
            (&name(v, "qweight"), plain(512, 512)),
            (&name(v, "scales"), plain(32, 512)),
        ]);
        assert_eq!(seen, both);
        // Bytes in one column have lost their shape.
        let lost = Matrix { rows: 1 << 21, columns: 1, kind: Kind::Bytes };
        assert_eq!(layers(&[(&name(k, "weight"), lost)]), []);
    }

    #[test]
    fn latent_attention_is_one_copy_and_shared_values_are_as_many_as_keys() {
        let latent = "model.layers.0.self_attn.kv_a_proj_with_mqa.weight";
        assert_eq!(layers(&[(latent, plain(576, 2048))]), [(0, Layer::Latent(576))]);
        let keys_alone = [("blk.7.attn_k.weight", plain(256, 2048))];
        assert_eq!(layers(&keys_alone), [(7, Layer::Both(256, 256))]);
    }

    #[test]
    fn other_stacks_and_other_matrices_do_not_count() {
        let text = "language_model.model.layers.0.self_attn.k_proj.weight";
        let seen = layers(&[
            (text, plain(1024, 4096)),
            ("vision_tower.encoder.layers.0.self_attn.k_proj.weight", plain(1152, 1152)),
            ("model.layers.0.encoder_attn.k_proj.weight", plain(77, 77)),
            ("model.layers.0.self_attn.indexer.wk.weight", plain(128, 128)),
            ("model.layers.0.self_attn.k_proj.lora_A.weight", plain(8, 4096)),
            ("model.layers.x.self_attn.k_proj.weight", plain(9, 9)),
            ("k_proj.weight", plain(9, 9)),
        ]);
        assert_eq!(seen, [(0, Layer::Both(1024, 1024))]);
        let two = [(text, plain(1, 1)), ("other.layers.0.attn.k_proj.weight", plain(1, 1))];
        assert_eq!(layers(&two), [], "two stacks, and nobody says which");
        let far = "model.layers.1024.self_attn.k_proj.weight";
        let refused = Rows::default().add(far, plain(1, 1)).unwrap_err();
        assert_eq!(refused, "is of layer 1024; at most 1024 layers are read");
    }
}
