//! What fits under a budget: how many requests each model serves alone, and how many all serve at
//! the same time, each as many as the others.
//!
//! ```text
//! a request takes   tokens of its context x KV bytes per token
//! left for KV     = budget - weights (of one model, or of all)
//! requests        = left for KV / what one of each takes
//! ```
//!
//! What else a program keeps (activations, buffers of its libraries, the program itself) is not
//! known here, and is what the budget leaves out.

use super::model::Model;

/// Most requests that are planned for, asked for or not.
pub const REQUESTS_MAX: u64 = 65_536;
/// Longest context.
pub const CONTEXT_MAX: u64 = 1 << 24;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What may be used.
    pub budget_bytes: u64,
    /// Tokens of a request; several are several questions.
    pub contexts: Vec<u64>,
    /// Requests at the same time, of each model; none: as many as fit.
    pub requests: Option<u64>,
}

/// What fits of one model or of all, at one context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Tokens of a request.
    pub context: u64,
    /// What one request of each takes.
    pub request_bytes: u128,
    /// What the weights take.
    pub weights_bytes: u128,
    /// Requests at the same time, of each; none: they take nothing.
    pub requests: Option<u64>,
    /// What stays free then; of the weights alone where no request fits.
    pub free_bytes: u128,
    /// What is short for what was asked for: one request of each where no number was given.
    pub short_bytes: u128,
}

impl Fit {
    fn new(asked: &Asked, context: u64, weights_bytes: u128, request_bytes: u128) -> Self {
        let budget_bytes = u128::from(asked.budget_bytes);
        let left_bytes = budget_bytes.saturating_sub(weights_bytes);
        let requests = left_bytes.checked_div(request_bytes);
        let taken_bytes = requests.unwrap_or(0) * request_bytes;
        let wanted = u128::from(asked.requests.unwrap_or(1));
        let needed_bytes = weights_bytes + wanted * request_bytes;
        Self {
            context,
            request_bytes,
            weights_bytes,
            // The quotient of two numbers below 2^64 and above 0, or of 0.
            requests: requests.map(|requests| requests as u64),
            free_bytes: left_bytes - taken_bytes,
            short_bytes: needed_bytes.saturating_sub(budget_bytes),
        }
    }

    /// Whether what was asked for fits.
    pub fn fits(&self) -> bool {
        self.short_bytes == 0
    }
}

/// What fits of a model that has the budget for itself, at each context.
pub fn alone(model: &Model, asked: &Asked) -> Vec<Fit> {
    together(std::slice::from_ref(model), asked)
}

/// What fits of all models at the same time, at each context.
pub fn together(models: &[Model], asked: &Asked) -> Vec<Fit> {
    let sum = |bytes: fn(&Model) -> u64| models.iter().map(|m| u128::from(bytes(m))).sum::<u128>();
    let weights_bytes = sum(|model| model.weights_bytes);
    let token_bytes = sum(|model| model.kv_bytes_per_token);
    let fit = |context: &u64| {
        Fit::new(asked, *context, weights_bytes, token_bytes * u128::from(*context))
    };
    asked.contexts.iter().map(fit).collect()
}
