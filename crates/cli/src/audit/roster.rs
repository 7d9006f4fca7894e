//! Who stands behind the number of an account. Numbers are used again by later tenants, and by the
//! next governor: what was said last holds.

use std::collections::BTreeMap;

use allotment::TenantId;
use allotment::audit::{Configured, TRIED_TOPIC, TextPart, Texts};

/// An account that was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// What people call it.
    pub name: String,
    /// Of a tenant; none: a group.
    pub id: Option<TenantId>,
    /// The group above.
    pub parent: Option<u32>,
    /// Tells it from others that had the same number.
    pub handle: u64,
}

/// A text of the log, once it is whole.
#[derive(Debug)]
pub struct Told {
    /// Its topic.
    pub topic: u8,
    /// Its id.
    pub id: u64,
    /// Its words.
    pub text: String,
    /// Whether they say something new of their account.
    pub is_new: bool,
    /// What they mean, if they are a configuration that is in force.
    pub configured: Option<Configured>,
}

/// See the top of this file.
#[derive(Debug, Default)]
pub struct Roster {
    parties: BTreeMap<u32, Party>,
    texts: Texts,
}

impl Roster {
    /// A writer begins: what was said before is about another governor.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes a part of a text, and answers the text with its last part.
    pub fn take(&mut self, part: &TextPart) -> Option<Told> {
        let (topic, id, text) = self.texts.push(part)?;
        let configured = (topic != TRIED_TOPIC).then(|| Configured::parse(&text)).flatten();
        let mut is_new = false;
        if let Some((account, party)) = configured.as_ref().and_then(party) {
            is_new = self.parties.get(&account) != Some(&party);
            self.parties.insert(account, party);
        }
        Some(Told { topic, id, text, is_new, configured })
    }

    /// Who has this number, if that was said.
    pub fn get(&self, account: u32) -> Option<&Party> {
        self.parties.get(&account)
    }

    /// The name of whoever has this number.
    pub fn name(&self, account: u32) -> String {
        match self.get(account) {
            Some(party) => party.name.clone(),
            None if account == 0 => "the pool".to_string(),
            None => format!("account {account}"),
        }
    }

    /// The groups above an account as paths, `research/vision` and `research`, innermost first.
    pub fn groups(&self, account: u32) -> Vec<String> {
        let above = |at: &u32| self.get(*at).and_then(|party| party.parent);
        // A damaged log may tell of a circle; real trees are not so deep.
        const DEPTH_MAX: usize = 64;
        let chain = std::iter::successors(above(&account), above).take(DEPTH_MAX);
        let names: Vec<String> = chain.map(|group| self.name(group)).collect();
        let path = |at| names[at..].iter().rev().cloned().collect::<Vec<_>>().join("/");
        (0..names.len()).map(path).collect()
    }
}

/// The account that a configuration is about, and who that is.
fn party(configured: &Configured) -> Option<(u32, Party)> {
    let party = match configured {
        Configured::Tenant(handle, config) => Party {
            name: config.name.clone(),
            id: Some(config.id),
            parent: config.parent.map(|group| group.index()),
            handle: handle.as_u64(),
        },
        Configured::Group(handle, config) => Party {
            name: config.name.clone(),
            id: None,
            parent: config.parent.map(|group| group.index()),
            handle: handle.as_u64(),
        },
        _ => return None,
    };
    Some((configured.account(), party))
}
