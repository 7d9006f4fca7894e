//! Logs by hand: who is there, what happens, and when.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use allotment::audit::*;
use allotment::{
    AllocationType, AuditMode, Event, EventKind, GovernorConfig, GroupConfig, GroupHandle,
    TenantConfig, TenantHandle, TenantId,
};

/// 2023-11-14T22:00:00Z.
pub const START_S: u64 = 1_699_999_200;
pub const SECOND_NS: u64 = 1_000_000_000;
pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

pub const CHAT: u128 = 0x11;
pub const CODER: u128 = 0x22;

/// A folder of one test, deleted when it ends, with a key and a log in it.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: Mutex<u64> = Mutex::new(0);
        let number = {
            let mut count = COUNT.lock().unwrap();
            *count += 1;
            *count
        };
        let name = format!("audit-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("key"), format!("{}\n", "5a".repeat(32))).unwrap();
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn log(&self) -> PathBuf {
        self.path("log")
    }

    /// `--key FILE`.
    pub fn key_option(&self) -> String {
        format!("--key {}", self.path("key").display())
    }

    pub fn key(&self) -> Key {
        Key::load(&self.path("key")).unwrap()
    }

    pub fn segment(&self, number: u64) -> PathBuf {
        self.log().join(format!("{number:020}.audit"))
    }

    /// What is printed, without the names of folders.
    pub fn plain(&self, text: &str) -> String {
        text.replace(self.0.to_str().unwrap(), "PLACE")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A writer that knows what is held, so that what it writes is right.
pub struct Scribe {
    pub journal: Journal,
    /// The governor's clock now, and the time of day at which it was 0.
    pub clock_ns: u64,
    pub start_unix_ns: u64,
    used: std::collections::BTreeMap<u32, u64>,
    grants: u64,
    texts: u64,
}

pub fn options() -> JournalOptions {
    JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() }
}

impl Scribe {
    pub fn open(scratch: &Scratch, options: JournalOptions) -> Self {
        Self::open_at(scratch, options, START_S * SECOND_NS)
    }

    /// A sitting that begins at this time of day, with the clock at 0.
    pub fn open_at(scratch: &Scratch, options: JournalOptions, unix_ns: u64) -> Self {
        let now = Moment { unix_ns, clock_ns: 0 };
        let journal = Journal::open(&scratch.log(), &scratch.key(), options, now).unwrap();
        let used = std::collections::BTreeMap::new();
        Self { journal, clock_ns: 0, start_unix_ns: unix_ns, used, grants: 0, texts: 0 }
    }

    pub fn moment(&self) -> Moment {
        Moment { unix_ns: self.start_unix_ns + self.clock_ns, clock_ns: self.clock_ns }
    }

    /// Time passes.
    pub fn wait_s(&mut self, seconds: u64) {
        self.clock_ns += seconds * SECOND_NS;
    }

    pub fn governor(&mut self, audit: AuditMode) {
        let config = GovernorConfig { audit, ..GovernorConfig::new(24 * GIB) };
        self.text(CONFIGURED_TOPIC, 0, &Configured::Governor(config));
    }

    fn text(&mut self, topic: u8, id: u64, configured: &Configured) {
        self.journal.append_text(topic, id, &configured.text()).unwrap();
    }

    /// A tenant is registered under the number of an account.
    pub fn tenant(
        &mut self,
        account: u32,
        generation: u32,
        id: u128,
        name: &str,
        in_: Option<u32>,
    ) {
        let configured = tenant(account, generation, id, name, in_);
        self.registered(account, &configured);
    }

    pub fn group(&mut self, account: u32, name: &str, above: Option<u32>) {
        self.registered(account, &group(account, name, above));
    }

    fn registered(&mut self, account: u32, configured: &Configured) {
        self.texts += 1;
        self.text(CONFIGURED_TOPIC, self.texts, configured);
        self.event(Event {
            account,
            detail: self.texts,
            ..Event::new(EventKind::Registered, self.clock_ns)
        });
        self.used.insert(account, 0);
    }

    /// A tenant that stood registered before this sitting was written.
    pub fn stated(&mut self, account: u32, id: u128, name: &str) {
        self.text(STATED_TOPIC, 0, &tenant(account, 1, id, name, None));
    }

    /// What an account uses now, whatever was written.
    pub fn set_used(&mut self, account: u32, bytes: u64) {
        self.used.insert(account, bytes);
    }

    pub fn event(&mut self, event: Event) {
        self.journal.append_body(&Body::Event(event)).unwrap();
    }

    fn of(
        &self,
        kind: EventKind,
        account: u32,
        of: AllocationType,
        grant: u64,
        bytes: u64,
    ) -> Event {
        let used_bytes = self.used.get(&account).copied().unwrap_or(0);
        let allocation_type = of as u8;
        let event = Event::new(kind, self.clock_ns);
        Event { account, allocation_type, grant, bytes, used_bytes, ..event }
    }

    /// A grant; answers its id.
    pub fn grant(&mut self, account: u32, of: AllocationType, bytes: u64) -> u64 {
        self.grants += 1;
        let grant = handle(self.grants as u32, 1);
        *self.used.entry(account).or_default() += bytes;
        self.event(self.of(EventKind::Granted, account, of, grant, bytes));
        grant
    }

    pub fn grow(&mut self, account: u32, of: AllocationType, grant: u64, bytes: u64) {
        *self.used.entry(account).or_default() += bytes;
        self.event(self.of(EventKind::Grown, account, of, grant, bytes));
    }

    /// Bytes go: shrunk, released, evicted or expired.
    pub fn less(
        &mut self,
        kind: EventKind,
        account: u32,
        of: AllocationType,
        grant: u64,
        bytes: u64,
    ) {
        let used = self.used.entry(account).or_default();
        *used = used.saturating_sub(bytes);
        self.event(self.of(kind, account, of, grant, bytes));
    }

    pub fn deny(&mut self, account: u32, of: AllocationType, bytes: u64, reason: u8, short: u64) {
        let event = self.of(EventKind::Denied, account, of, 0, bytes);
        self.event(Event { reason, detail: short, ..event });
    }

    pub fn gap(&mut self, count: u64) {
        let body = Body::Gap { clock_ns: self.clock_ns, first: 100, count };
        self.journal.append_body(&body).unwrap();
    }

    pub fn seal(self) -> Head {
        let now = self.moment();
        self.journal.seal(now).unwrap()
    }
}

pub fn tenant(account: u32, generation: u32, id: u128, name: &str, in_: Option<u32>) -> Configured {
    let parent = in_.map(|group| GroupHandle::from_u64(handle(group, 1)));
    let config = TenantConfig { parent, ..TenantConfig::new(TenantId::from_u128(id), name) };
    Configured::Tenant(TenantHandle::from_u64(handle(account, generation)), config)
}

pub fn group(account: u32, name: &str, above: Option<u32>) -> Configured {
    let parent = above.map(|above| GroupHandle::from_u64(handle(above, 1)));
    let config = GroupConfig { parent, ..GroupConfig::new(name) };
    Configured::Group(GroupHandle::from_u64(handle(account, 1)), config)
}

/// What a segment begins with, of a tenant.
pub fn tenant_preamble(
    account: u32,
    generation: u32,
    id: u64,
    name: &str,
    in_: Option<u32>,
) -> Vec<Body> {
    stated(&tenant(account, generation, id.into(), name, in_))
}

/// The same of a group.
pub fn group_preamble(account: u32, name: &str, above: Option<u32>) -> Vec<Body> {
    stated(&group(account, name, above))
}

fn stated(configured: &Configured) -> Vec<Body> {
    TextPart::cut(STATED_TOPIC, 0, &configured.text()).map(Body::from).collect()
}

/// A handle as a governor with tag 1 makes it.
pub fn handle(index: u32, generation: u32) -> u64 {
    1 << 56 | u64::from(generation) << 24 | u64::from(index)
}

/// Ten minutes of two tenants, sealed. Every figure can be worked out by hand.
pub fn ten_minutes(scratch: &Scratch, options: JournalOptions) -> Head {
    use AllocationType::{Cache, Inference, ModelLoad};
    let mut scribe = Scribe::open(scratch, options);
    scribe.governor(AuditMode::FailClosed);
    scribe.tenant(1, 1, CHAT, "chat", None);
    scribe.tenant(2, 1, CODER, "coder", None);
    scribe.grant(1, ModelLoad, 8 * GIB);
    scribe.wait_s(60);
    let block = scribe.grant(1, Cache, 64 * MIB);
    let other = scribe.grant(2, Inference, 2 * GIB);
    scribe.wait_s(60);
    scribe.grow(2, Inference, other, GIB);
    scribe.deny(2, Inference, 20 * GIB, 3, 7 * GIB);
    scribe.wait_s(180);
    scribe.less(EventKind::Evicted, 1, Cache, block, 64 * MIB);
    scribe.less(EventKind::Shrunk, 2, Inference, other, GIB);
    scribe.wait_s(240);
    scribe.less(EventKind::Released, 2, Inference, other, 2 * GIB);
    scribe.wait_s(60);
    scribe.seal()
}
