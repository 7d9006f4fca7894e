//! The shape of a model as far as its cache goes: how many numbers a token leaves in each layer.
//!
//! ```text
//! a layer with keys and values   KV heads x (key length + value length)
//! a layer of latent attention    latent rank + rotary length, one copy
//! a layer with a state           nothing that grows with the text
//! KV bytes per token             the sum over all layers x bits / 8
//! ```
//!
//! Layers with a sliding window count as if they saw everything: that is an upper bound, and said
//! so. What the keys say is held against the rows of the tensors; without keys these have to do.

use std::collections::BTreeMap;

use super::gguf::LAYERS_MAX;
use super::keys::{Keys, Names};
use super::numbers::Numbers;
use super::rows::Layer;
use crate::failure::CliError;
use crate::report::human::count;

/// Most heads of a layer.
const HEADS_MAX: u64 = 4_096;
/// Most numbers of a head, or of a latent vector.
const HEAD_VALUES_MAX: u64 = 16_384;
/// Most bytes that a token may leave; the largest models in use leave a few MiB.
pub const KV_BYTES_PER_TOKEN_MAX: u64 = 64 << 20;

/// What is known of a model's shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// All layers.
    pub layers: Option<u64>,
    /// Those whose cache grows with the text.
    pub caching_layers: Option<u64>,
    /// Heads that ask.
    pub heads: Option<u64>,
    /// Heads that are kept; the most that a layer has.
    pub kv_heads: Option<u64>,
    /// Numbers of a key of one head.
    pub key_length: Option<u64>,
    /// Numbers of a value of one head.
    pub value_length: Option<u64>,
    /// Numbers of a latent vector, which stands for keys and values of all heads.
    pub latent: Option<u64>,
    /// Numbers that a token leaves in all layers together; none where that was stated in bytes.
    pub values_per_token: Option<u64>,
    /// Tokens that the model was made for.
    pub context_max: Option<u64>,
    /// Tokens that some layers see.
    pub window: Option<u64>,
    /// What has to be known to read the figures.
    pub notes: Vec<String>,
}

impl Shape {
    /// The shape that keys tell, held against what the tensors say.
    ///
    /// # Errors
    ///
    /// Which key is missing, absurd, or not what the tensors say.
    pub fn of(keys: &dyn Keys, rows: &BTreeMap<u64, Layer>) -> Result<Self, CliError> {
        let told = Told { keys, names: keys.names() };
        let layers = told.within(told.needed(told.names.layers)?, told.names.layers, LAYERS_MAX)?;
        let mut shape = Self {
            layers: Some(layers),
            heads: told.numbers(told.names.heads)?.map(|heads| heads.max()),
            // Of no consequence for the sizes, so whatever is wrong with them as well.
            context_max: told.number(told.names.context).ok().flatten(),
            window: told.number(told.names.window).ok().flatten().filter(|tokens| *tokens > 0),
            ..Self::default()
        };
        let keeps = told.attention(layers)?;
        let each = match told.number(told.names.latent)?.filter(|rank| *rank > 0) {
            Some(rank) => shape.latent_layers(&told, rank, layers)?,
            None => shape.layers_of_heads(&told, layers)?,
        };
        let kept = each.iter().zip(&keeps).filter(|(layer, keeps)| **keeps && layer.values() > 0);
        shape.caching_layers = Some(kept.clone().count() as u64);
        let mut values: u64 = kept.map(|(layer, _)| layer.values()).sum();
        if let Some(length) = told.number(told.names.indexer)?.filter(|length| *length > 0) {
            let length = told.within(length, told.names.indexer, HEAD_VALUES_MAX)?;
            values += length * layers;
            shape.notes.push(format!("{length} further numbers in each layer choose tokens"));
        }
        shape.values_per_token = Some(values);
        if told.number(told.names.other_key_length)?.is_none() {
            told.hold_against(&each, &keeps, rows)?;
        }
        shape.note_bounds(&told, layers)?;
        Ok(shape)
    }

    /// The shape that the tensors tell, where there is nothing else.
    pub fn of_rows(rows: &BTreeMap<u64, Layer>) -> Option<Self> {
        let layers = rows.len() as u64;
        let values = rows.values().map(|layer| layer.values()).fold(0, u64::saturating_add);
        let latent = rows.values().find_map(|layer| match layer {
            Layer::Latent(values) => Some(*values),
            Layer::Both(..) => None,
        });
        (layers > 0).then(|| Self {
            layers: Some(layers),
            caching_layers: Some(layers),
            latent,
            values_per_token: Some(values),
            notes: vec!["told by the rows of its tensors: there is no config.json".to_string()],
            ..Self::default()
        })
    }

    /// What a token leaves in the cache, with so many bits for each number.
    pub fn kv_bytes_per_token(&self, bits: u64) -> Option<u64> {
        Some(self.values_per_token?.checked_mul(bits)?.div_ceil(8))
    }

    /// One copy of a latent vector in each layer.
    fn latent_layers(
        &mut self,
        told: &Told<'_>,
        rank: u64,
        layers: u64,
    ) -> Result<Vec<Layer>, CliError> {
        let rank = told.within(rank, told.names.latent, HEAD_VALUES_MAX)?;
        let rotary = told.needed(told.names.rotary)?;
        let rotary = told.within(rotary, told.names.rotary, HEAD_VALUES_MAX)?;
        self.latent = Some(rank + rotary);
        let note = format!("latent attention: one copy of {rank} + {rotary} numbers in a layer");
        self.notes.push(note);
        Ok(vec![Layer::Latent(rank + rotary); layers as usize])
    }

    /// Keys and values of each layer.
    fn layers_of_heads(&mut self, told: &Told<'_>, layers: u64) -> Result<Vec<Layer>, CliError> {
        let names = told.names;
        let heads = told.numbers(names.heads)?;
        let kv_heads = match told.numbers(names.kv_heads)?.or_else(|| heads.clone()) {
            Some(kv_heads) => kv_heads,
            None => return Err(told.missing(names.heads)),
        };
        if let Some(counted) = kv_heads.layers().filter(|counted| *counted as u64 != layers) {
            let name = told.name(names.kv_heads);
            let why = format!("`{name}` has {counted} numbers for {layers} layers");
            return Err(told.fault(&why));
        }
        let most = kv_heads.max();
        if let Some(heads) = heads.as_ref().map(Numbers::max).filter(|heads| most > *heads) {
            let name = told.name(names.kv_heads);
            return Err(told.fault(&format!("`{name}` is {most}, but there are {heads} heads")));
        }
        told.within(most, names.kv_heads, HEADS_MAX)?;
        let (keys, values) = self.lengths(told, heads.as_ref())?;
        self.kv_heads = Some(most);
        let layer = |at| {
            let heads = kv_heads.of(at).unwrap_or(0);
            Layer::Both(heads * keys, heads * values)
        };
        Ok((0..layers as usize).map(layer).collect())
    }

    /// How long a key and a value of one head are.
    fn lengths(
        &mut self,
        told: &Told<'_>,
        heads: Option<&Numbers>,
    ) -> Result<(u64, u64), CliError> {
        let names = told.names;
        let of_width = || {
            let heads = heads.map(Numbers::max).filter(|heads| *heads > 0);
            let heads = heads.ok_or_else(|| told.missing(names.heads))?;
            let width = told.number(names.width)?.ok_or_else(|| told.missing(names.width))?;
            if width.is_multiple_of(heads) {
                return Ok(width / heads);
            }
            let name = told.name(names.width);
            let why = format!("`{name}` is {width}, which {heads} heads do not divide");
            Err(told.fault(&format!("{why}, and there is no `{}`", told.name(names.key_length))))
        };
        let given = told.number(names.key_length)?;
        let keys = given.map_or_else(of_width, Ok)?;
        let other = told.number(names.other_key_length)?.unwrap_or(0);
        let keys = told.within(keys.max(other), names.key_length, HEAD_VALUES_MAX)?;
        let values = match told.number(names.value_length)? {
            Some(values) => values.max(other),
            None if names.values_are_like_keys || given.is_none() => keys,
            None => of_width()?,
        };
        let values = told.within(values, names.value_length, HEAD_VALUES_MAX)?;
        (self.key_length, self.value_length) = (Some(keys), Some(values));
        Ok((keys, values))
    }

    /// What makes the figure a bound rather than the thing itself.
    fn note_bounds(&mut self, told: &Told<'_>, layers: u64) -> Result<(), CliError> {
        if let Some(window) = self.window {
            let tokens = count(window);
            self.notes.push(format!("a sliding window of {tokens} tokens: upper bound"));
        }
        if let Some(shared) = told.number(told.names.shared)?.filter(|shared| *shared > 0) {
            self.notes.push(format!("{shared} layers share the cache of others: upper bound"));
        }
        let states = layers - self.caching_layers.unwrap_or(layers);
        if states > 0 {
            let note = "layers keep a state of fixed size, which comes on top";
            self.notes.push(format!("{states} of {layers} {note}"));
        }
        Ok(())
    }
}

/// Keys by their meaning.
struct Told<'a> {
    keys: &'a dyn Keys,
    names: &'static Names,
}

impl Told<'_> {
    fn fault(&self, why: &str) -> CliError {
        CliError::new(format!("{}: {why}", self.keys.file()))
    }

    /// The name as it stands in the file: the first that is there.
    fn name(&self, names: &[&str]) -> String {
        let there = names.iter().find(|name| matches!(self.keys.numbers(name), Ok(Some(_))));
        self.keys.full_name(there.unwrap_or(&names[0]))
    }

    fn missing(&self, names: &[&str]) -> CliError {
        let why = format!("there is no `{}`, so what a token takes is not known", self.name(names));
        self.fault(&why)
    }

    fn numbers(&self, names: &[&str]) -> Result<Option<Numbers>, CliError> {
        for name in names {
            if let Some(numbers) = self.keys.numbers(name)? {
                return Ok(Some(numbers));
            }
        }
        Ok(None)
    }

    fn number(&self, names: &[&str]) -> Result<Option<u64>, CliError> {
        match self.numbers(names)? {
            None => Ok(None),
            Some(Numbers::One(number)) => Ok(Some(number)),
            Some(each) => {
                let why = format!("`{}` is {each}; one number is expected", self.name(names));
                Err(self.fault(&why))
            }
        }
    }

    fn needed(&self, names: &[&str]) -> Result<u64, CliError> {
        self.number(names)?.ok_or_else(|| self.missing(names))
    }

    fn within(&self, number: u64, names: &[&str], most: u64) -> Result<u64, CliError> {
        if (1..=most).contains(&number) {
            return Ok(number);
        }
        let name = self.name(names);
        Err(self.fault(&format!("`{name}` is {number}; it must be 1 to {most}")))
    }

    /// Which layers have a cache that grows with the text.
    fn attention(&self, layers: u64) -> Result<Vec<bool>, CliError> {
        if let Some(list) = self.keys.attention() {
            if list.len() as u64 == layers {
                return Ok(list);
            }
            let why = format!("lists {} kinds of layers for {layers} layers", list.len());
            return Err(self.fault(&why));
        }
        let interval = self.number(self.names.interval)?.unwrap_or(1).max(1);
        Ok((1..=layers).map(|layer| layer.is_multiple_of(interval)).collect())
    }

    /// Every layer whose tensors say something says the same.
    fn hold_against(
        &self,
        each: &[Layer],
        keeps: &[bool],
        rows: &BTreeMap<u64, Layer>,
    ) -> Result<(), CliError> {
        for (at, told) in each.iter().enumerate().filter(|(at, _)| keeps[*at]) {
            let Some(seen) = rows.get(&(at as u64)).filter(|seen| *seen != told) else { continue };
            let words = |layer: &Layer| match layer {
                Layer::Both(keys, values) => {
                    format!("{keys} numbers of keys and {values} of values")
                }
                Layer::Latent(values) => format!("a latent vector of {values} numbers"),
            };
            let why = format!(
                "tells {} in layer {at}, but its tensors have rows for {}",
                words(told),
                words(seen)
            );
            return Err(self.fault(&why));
        }
        Ok(())
    }
}
