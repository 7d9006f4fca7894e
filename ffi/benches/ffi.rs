//! What the C ABI costs: the same calls in Rust, through the functions of the header, and through
//! those of the built shared library as a C program finds them.
//!
//! `cargo bench -p allotment-ffi --bench ffi`
//!
//! The sides take turns in small batches, so that a machine that slows down slows all of them. What
//! counts are the ratios at the end. How much of the Rust side is compiled into its caller changes
//! its figure by a third, either way: all that is compared runs in the same compiled loops.

use allot::denial::allot_denial;
use allot::governor::{allot_config, allot_governor, allot_governor_free, allot_governor_new};
use allot::grant::{allot_grant_grow, allot_grant_release, allot_grant_shrink};
use allot::request::{allot_request, allot_request_spec, allot_try_request};
use allot::status::{ALLOT_OK, allot_status};
use allot::tenant::{allot_tenant_config, allot_tenant_register};
use allotment::{
    AllocationType, Governor, GovernorConfig, Grant, GrantId, Refusal, Request, TenantConfig,
    TenantHandle, TenantId,
};
use criterion::Criterion;
use std::ffi::CString;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const CAPACITY: u64 = 1 << 40;
const BYTES: u64 = 4_096;
/// A tenant that has used so much before has claim at hand.
const USED_BEFORE: u64 = 64 << 20;
const ROUNDS: usize = 200;
const PAIRS: usize = 20_000;
/// What the C side may cost of what the Rust side costs.
const RATIO_MAX: f64 = 1.15;

type New = unsafe extern "C" fn(*const allot_config, *mut *mut allot_governor) -> allot_status;
type Free = unsafe extern "C" fn(*mut allot_governor);
type Register =
    unsafe extern "C" fn(*mut allot_governor, *const allot_tenant_config, *mut u64) -> allot_status;
type Ask = unsafe extern "C" fn(
    *mut allot_governor,
    *const allot_request_spec,
    *mut u64,
    *mut allot_denial,
) -> allot_status;
type Release = unsafe extern "C" fn(*mut allot_governor, u64, u64) -> allot_status;
type Grow =
    unsafe extern "C" fn(*mut allot_governor, u64, u64, u64, *mut allot_denial) -> allot_status;
type Shrink = unsafe extern "C" fn(*mut allot_governor, u64, u64, u64) -> allot_status;

/// The functions of the header that are measured, and those that these need.
struct Functions {
    new: New,
    free: Free,
    register: Register,
    try_request: Ask,
    request: Ask,
    release: Release,
    grow: Grow,
    shrink: Shrink,
}

impl Functions {
    fn linked() -> Self {
        Self {
            new: allot_governor_new,
            free: allot_governor_free,
            register: allot_tenant_register,
            try_request: allot_try_request,
            request: allot_request,
            release: allot_grant_release,
            grow: allot_grant_grow,
            shrink: allot_grant_shrink,
        }
    }

    /// Those of the shared library at `path`, which stays loaded.
    fn loaded(path: &Path) -> Self {
        let name = CString::new(path.to_str().expect("a path in UTF-8")).expect("no NUL");
        // SAFETY: the library is the one of this workspace: what runs when it is loaded is std's.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!library.is_null(), "{} cannot be loaded", path.display());
        macro_rules! function {
            ($name:literal, $type:ty) => {{
                // SAFETY: the library stays loaded, and the name ends with a NUL.
                let address = unsafe { libc::dlsym(library, $name.as_ptr()) };
                assert!(!address.is_null(), "{:?} is not in the library", $name);
                // SAFETY: the header declares it with this type.
                unsafe { std::mem::transmute::<*mut libc::c_void, $type>(address) }
            }};
        }
        Self {
            new: function!(c"allot_governor_new", New),
            free: function!(c"allot_governor_free", Free),
            register: function!(c"allot_tenant_register", Register),
            try_request: function!(c"allot_try_request", Ask),
            request: function!(c"allot_request", Ask),
            release: function!(c"allot_grant_release", Release),
            grow: function!(c"allot_grant_grow", Grow),
            shrink: function!(c"allot_grant_shrink", Shrink),
        }
    }
}

/// The shared library beside this program or in the folder above it.
fn shared_library() -> Option<PathBuf> {
    let name = format!("liballot{}", std::env::consts::DLL_SUFFIX);
    let program = std::env::current_exe().expect("a program has a path");
    let folders = program.ancestors().skip(1).take(2);
    folders.map(|folder| folder.join(&name)).find(|path| path.exists())
}

struct Rust {
    governor: Governor,
    tenant: TenantHandle,
    request: Request,
    grant: GrantId,
}

impl Rust {
    fn new() -> Self {
        let governor = Governor::new(GovernorConfig::new(CAPACITY)).expect("a capacity in range");
        let config = TenantConfig::new(TenantId::from_u128(1), "bench");
        let tenant = governor.register_tenant(config).expect("room for a tenant");
        let ask = |bytes| Request::new(tenant, AllocationType::Cache, bytes);
        drop(governor.try_request(&ask(USED_BEFORE)));
        let request = ask(BYTES);
        let grant = governor.try_request(&request).expect("room").into_id();
        Self { governor, tenant, request, grant }
    }
}

impl Rust {
    #[inline(always)]
    fn release(&self, granted: Result<Grant<'_>, Refusal>) {
        if let Ok(grant) = granted {
            let id = black_box(grant.into_id());
            black_box(self.governor.release(self.tenant, id).is_ok());
        }
    }

    #[inline(always)]
    fn try_request_release(&mut self) {
        self.release(self.governor.try_request(black_box(&self.request)));
    }

    #[inline(always)]
    fn request_release(&mut self) {
        self.release(self.governor.request(black_box(&self.request)));
    }

    #[inline(always)]
    fn grow_shrink(&mut self) {
        let grant = black_box(self.grant);
        black_box(self.governor.grow(self.tenant, grant, black_box(BYTES)).is_ok());
        black_box(self.governor.shrink(self.tenant, grant, black_box(BYTES)).is_ok());
    }
}

impl Drop for Rust {
    fn drop(&mut self) {
        self.governor.release(self.tenant, self.grant).expect("a live grant");
    }
}

struct C {
    functions: Functions,
    governor: *mut allot_governor,
    spec: allot_request_spec,
    denial: allot_denial,
    grant: u64,
}

impl C {
    fn new(functions: Functions) -> Self {
        let config = allot_config { capacity_bytes: CAPACITY, ..allot_config::default() };
        let mut governor = std::ptr::null_mut();
        let name = c"bench";
        let tenant = allot_tenant_config {
            id: 1_u128.to_be_bytes(),
            name: name.as_ptr(),
            name_length: 5,
            ..allot_tenant_config::default()
        };
        let mut denial = allot_denial::default();
        let mut spec = allot_request_spec { allocation_type: 2, ..allot_request_spec::default() };
        let mut grant = 0;
        // SAFETY: all pointers are to structs of this function; the governor is freed by `drop`.
        unsafe {
            assert_eq!((functions.new)(&config, &mut governor), ALLOT_OK);
            assert_eq!((functions.register)(governor, &tenant, &mut spec.tenant), ALLOT_OK);
            for bytes in [USED_BEFORE, BYTES] {
                spec.bytes = bytes;
                let asked = (functions.try_request)(governor, &spec, &mut grant, &mut denial);
                assert_eq!(asked, ALLOT_OK);
                if bytes == USED_BEFORE {
                    assert_eq!((functions.release)(governor, spec.tenant, grant), ALLOT_OK);
                }
            }
        }
        Self { functions, governor, spec, denial, grant }
    }

    #[inline(always)]
    fn ask_release(&mut self, ask: Ask) {
        let mut grant = 0;
        let tenant = self.spec.tenant;
        // SAFETY: the governor lives as long as `self`, and the structs are its own.
        unsafe {
            let asked = ask(
                black_box(self.governor),
                black_box(&raw const self.spec),
                &raw mut grant,
                &raw mut self.denial,
            );
            if black_box(asked) == ALLOT_OK {
                black_box((black_box(self.functions.release))(self.governor, tenant, grant));
            }
        }
    }

    #[inline(always)]
    fn try_request_release(&mut self) {
        self.ask_release(black_box(self.functions.try_request));
    }

    #[inline(always)]
    fn request_release(&mut self) {
        self.ask_release(black_box(self.functions.request));
    }

    #[inline(always)]
    fn grow_shrink(&mut self) {
        let (governor, tenant) = (black_box(self.governor), self.spec.tenant);
        let (grant, by) = (black_box(self.grant), black_box(BYTES));
        let (grow, shrink) = (black_box(self.functions.grow), black_box(self.functions.shrink));
        // SAFETY: as above.
        unsafe {
            black_box(grow(governor, tenant, grant, by, &raw mut self.denial));
            black_box(shrink(governor, tenant, grant, by));
        }
    }
}

impl Drop for C {
    fn drop(&mut self) {
        // SAFETY: the governor is alive until here, and this is the one reference to it.
        unsafe {
            (self.functions.release)(self.governor, self.spec.tenant, self.grant);
            (self.functions.free)(self.governor);
        }
    }
}

/// Seconds for a batch of `pairs`.
fn batch<S>(side: &mut S, pairs: usize, pair: impl Fn(&mut S)) -> f64 {
    let begin = Instant::now();
    for _ in 0..pairs {
        pair(side);
    }
    begin.elapsed().as_secs_f64()
}

/// A verb on each side. The calls are compiled into loops of their own, as in a program.
struct Verb {
    name: &'static str,
    rust: fn(&mut Rust, usize) -> f64,
    c: fn(&mut C, usize) -> f64,
}

const VERBS: [Verb; 3] = [
    Verb {
        name: "try_request + release",
        rust: |side, pairs| batch(side, pairs, Rust::try_request_release),
        c: |side, pairs| batch(side, pairs, C::try_request_release),
    },
    Verb {
        name: "request + release",
        rust: |side, pairs| batch(side, pairs, Rust::request_release),
        c: |side, pairs| batch(side, pairs, C::request_release),
    },
    Verb {
        name: "grow + shrink",
        rust: |side, pairs| batch(side, pairs, Rust::grow_shrink),
        c: |side, pairs| batch(side, pairs, C::grow_shrink),
    },
];

/// The quartiles of `values`.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[quarter * (values.len() - 1) / 4])
}

/// Prints what each C side costs beside Rust; says whether all medians are within the bar.
fn compare(verb: &Verb, rust: &mut Rust, sides: &mut [(&str, C)], rounds: usize) -> bool {
    let mut times = vec![Vec::with_capacity(rounds); sides.len() + 1];
    for round in 0..rounds {
        // Who begins changes, so that nobody always runs after the same one.
        for turn in 0..=sides.len() {
            let place = (round + turn) % (sides.len() + 1);
            times[place].push(match place {
                0 => (verb.rust)(rust, PAIRS),
                place => (verb.c)(&mut sides[place - 1].1, PAIRS),
            });
        }
    }
    let ns = |times: &[f64]| quartiles(times.to_vec())[1] * 1e9 / PAIRS as f64;
    println!("{}: Rust {:.1} ns", verb.name, ns(&times[0]));
    let mut within = true;
    for (place, (name, _)) in sides.iter().enumerate() {
        let times_here = &times[place + 1];
        let ratios = times_here.iter().zip(&times[0]).map(|(c, rust)| c / rust).collect();
        let [low, median, high] = quartiles(ratios);
        within &= median <= RATIO_MAX;
        let ns = ns(times_here);
        println!("    {name:<16} {ns:6.1} ns, ratio {median:.3} (quartiles {low:.3} to {high:.3})");
    }
    within
}

fn ratios(rounds: usize) {
    let mut rust = Rust::new();
    let mut sides = vec![("linked", C::new(Functions::linked()))];
    match shared_library() {
        Some(path) => sides.push(("shared library", C::new(Functions::loaded(&path)))),
        None => println!("skipped: the shared library is not built"),
    }
    println!("{rounds} rounds of {PAIRS} pairs, the sides in turns; a ratio is that of one round");
    let mut within = true;
    for verb in &VERBS {
        within &= compare(verb, &mut rust, &mut sides, rounds);
    }
    println!("all medians within {RATIO_MAX}: {}", if within { "yes" } else { "NO" });
}

/// The same loops, measured one after the other.
fn each_alone(criterion: &mut Criterion) {
    let (mut rust, mut linked) = (Rust::new(), C::new(Functions::linked()));
    let mut loaded = shared_library().map(|path| C::new(Functions::loaded(&path)));
    let time = |seconds| Duration::from_secs_f64(seconds);
    for verb in &VERBS {
        criterion.bench_function(&format!("{}, Rust", verb.name), |bencher| {
            bencher.iter_custom(|pairs| time((verb.rust)(&mut rust, pairs as usize)));
        });
        criterion.bench_function(&format!("{}, linked", verb.name), |bencher| {
            bencher.iter_custom(|pairs| time((verb.c)(&mut linked, pairs as usize)));
        });
        let Some(loaded) = &mut loaded else { continue };
        criterion.bench_function(&format!("{}, shared library", verb.name), |bencher| {
            bencher.iter_custom(|pairs| time((verb.c)(loaded, pairs as usize)));
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    each_alone(&mut criterion);
    criterion.final_summary();
    // A test of the benches runs each once.
    let tested = std::env::args().any(|argument| argument == "--test");
    ratios(if tested { 1 } else { ROUNDS });
}
