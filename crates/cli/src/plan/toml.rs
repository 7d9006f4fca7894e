//! The configuration that grants a plan: a tenant for each model, guaranteed its weights and
//! limited to these and the caches of its requests. Nobody is promised what another needs, so all
//! of it can be held at the same time, and not a byte more by any of them.

use std::fmt::Write;

use allotment::Isolation;
use allotment_config::{CacheSettings, Pressure, Setup, Tenant};

use super::Plan;
use crate::report::human::{bytes, count, plural};

/// The library's own number of grants: more have to be asked for.
const GRANTS: u64 = 1 << 20;

/// The text of the file, ending in a new line.
pub fn toml(plan: &Plan) -> String {
    let (models, fit) = (&plan.models, plan.longest());
    let requests = plan.requests();
    let mut out = format!(
        "# allot plan: {} under {}, each with {} of {} tokens\n",
        plural(models.len() as u64, "model"),
        bytes(plan.asked.budget_bytes),
        plural(requests, "request"),
        count(fit.context)
    );
    for model in models {
        let _ = writeln!(
            out,
            "# {}: weights of {}, {} of {}",
            model.name,
            bytes(model.weights_bytes),
            plural(requests, "request"),
            bytes(model.kv_bytes_per_token * fit.context)
        );
    }
    out.push_str(&allotment_config::write(&setup(plan)));
    out
}

fn setup(plan: &Plan) -> Setup {
    let (context, requests) = (plan.longest().context, plan.requests());
    let tenant = |model: &super::Model| Tenant {
        guarantee_bytes: model.weights_bytes,
        limit_bytes: Some(model.weights_bytes + requests * context * model.kv_bytes_per_token),
        // What was planned is to be had under pressure too.
        isolation: Isolation::Hard,
        ..Tenant::named(&model.name)
    };
    let grants = plan.models.len() as u64 * (requests + 1);
    Setup {
        capacity_bytes: plan.asked.budget_bytes,
        grants_max: (grants > GRANTS).then_some(grants as u32),
        pressure: Pressure::default(),
        cache: CacheSettings::default(),
        groups: Vec::new(),
        tenants: plan.models.iter().map(tenant).collect(),
        defaults: None,
    }
}
