//! `allot serve --replay`: a recorded trace, played by its tenants against the server's own
//! governor, in scaled time. The loop is that of `allot replay`; whom it asks is the server, so
//! records, refusals, evictions and figures are those of anybody who asks over HTTP.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use allotment::{
    AllocationAsk, AllocationType, Governor, GrantId, MemoryError, TenantHandle, TenantId,
};
use allotment_server::State;

use crate::args::{PlayArgs, TraceArgs};
use crate::failure::CliError;
use crate::replay::books::{Books, Found};
use crate::replay::memory::{Answer, Memory};
use crate::replay::progress::Progress;
use crate::replay::roster::Roster;
use crate::replay::time::{Pace, Time};
use crate::replay::worker::{Floor, Worker};
use crate::report::human::{count, plural};
use crate::trace::workload::{Job, Workload};
use crate::trace::{self, Format};

/// What is to be played.
pub struct Score {
    workload: Workload,
    speed: u32,
}

/// Somebody who plays, until the trace or the server is over.
pub struct Player {
    pace: Arc<Pace>,
    thread: JoinHandle<()>,
}

impl Score {
    /// The trace that the options name, if they name one.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(args: &PlayArgs) -> Result<Option<Self>, CliError> {
        let (Some(format), false) = (args.format, args.replay.is_empty()) else { return Ok(None) };
        if format == Format::Audit {
            return Err(CliError::new(
                "--format audit is a log of another governor's answers; play a trace of requests",
            ));
        }
        if args.replay.len() > 1 && format != Format::AzureLlm {
            return Err(CliError::new(format!(
                "{} traces of --format {}: only files of azure-llm are played together; give one",
                args.replay.len(),
                format.name()
            )));
        }
        let scale = TraceArgs::scaled(format, &args.scale);
        let progress = Progress::on_terminal();
        let (workload, _) = trace::decode(format, &args.replay, &scale, None, &progress)?;
        Ok(Some(Self { workload, speed: args.speed }))
    }

    /// Begins to play: registers those tenants of the trace that are not there, and asks for what
    /// they asked for, in a thread of its own.
    ///
    /// # Errors
    ///
    /// What the governor refuses of the tenants.
    pub fn play(self, state: &Arc<State>) -> Result<Player, CliError> {
        let Self { workload, speed } = self;
        let failed = |error: MemoryError| CliError::new(format!("--replay: {error}"));
        let tenants = workload.tenants.iter().map(|name| state.enroll(name));
        let tenants = tenants.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let governor = state.manager.governor();
        let handles: Option<Vec<_>> = tenants.iter().map(|id| governor.find(*id)).collect();
        let handles = handles.ok_or_else(|| CliError::new("--replay: a tenant has left"))?;
        eprintln!(
            "allot: plays {}: {} of {}, {} times as fast",
            workload.name,
            plural(workload.requests_len() as u64, "request"),
            plural(tenants.len() as u64, "tenant"),
            count(speed.into())
        );
        let pace = Arc::new(Pace::new(speed));
        let hosted = Hosted { state: Arc::clone(state), tenants };
        let (roster, playing) = (Roster::registered(handles), Arc::clone(&pace));
        let thread = thread::Builder::new().name("replay".to_string());
        let thread = thread.spawn(move || play(&workload, &hosted, &roster, &playing));
        let thread = thread.map_err(|error| CliError::new(format!("--replay: {error}")))?;
        Ok(Player { pace, thread })
    }
}

impl Player {
    /// What ends it; may be called from anywhere.
    pub fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }

    /// Waits until it has ended, which it was told to.
    pub fn end(self) {
        self.pace.end();
        // A panic has told of itself.
        let _ = self.thread.join();
    }
}

fn play(workload: &Workload, hosted: &Hosted, roster: &Roster, pace: &Pace) {
    let floor = Floor {
        workload,
        governor: hosted,
        roster,
        time: Time::Paced(pace),
        with_jobs: true,
        balance_every_ns: None,
        workers: 1,
        recorder: None,
    };
    let mut worker = Worker::new(&floor, 0, Residents(vec![None; workload.items.len()]));
    let played = worker
        .run(None)
        .and_then(|()| if floor.time.is_over() { Ok(()) } else { worker.release_rest() });
    let name = &workload.name;
    match played {
        Err(error) => eprintln!("allot: {name} is not played any further: {error}"),
        Ok(()) if floor.time.is_over() => {}
        Ok(()) => {
            let requests = plural(workload.requests_len() as u64, "request");
            eprintln!("allot: {name} is over: {requests} were played; what is cached stays");
        }
    }
}

/// The server as who is asked.
struct Hosted {
    state: Arc<State>,
    /// By their numbers in the trace.
    tenants: Vec<TenantId>,
}

/// A grant as answers call it.
fn id_of(grant: GrantId) -> String {
    format!("{:016x}", grant.as_u64())
}

impl Hosted {
    fn ask(&self, tenant: u32, kind: AllocationType, bytes: u64) -> Result<Answer, CliError> {
        let ask = AllocationAsk {
            tenant_id: self.tenants[tenant as usize],
            bytes,
            model_name: String::new(),
            allocation_type: kind,
        };
        match self.state.hold_bytes(&ask) {
            Ok(Some(id)) => {
                let number = u64::from_str_radix(&id, 16);
                let number = number.map_err(|_| CliError::new(format!("{id} is no grant")))?;
                Ok(Answer::Granted(GrantId::from_u64(number)))
            }
            Ok(None) => Ok(Answer::Denied),
            // An operator has removed it.
            Err(MemoryError::UnknownTenant(_)) => Ok(Answer::Denied),
            Err(error) => Err(CliError::new(error.to_string())),
        }
    }
}

impl Memory for Hosted {
    const IS_OWN: bool = false;

    fn governor(&self) -> &Governor {
        self.state.manager.governor()
    }

    fn touch(&self, _: TenantHandle, grant: GrantId) -> bool {
        self.state.used_again(&id_of(grant))
    }

    fn fetch(
        &self,
        workload: &Workload,
        item: u32,
        _: TenantHandle,
        bytes: u64,
    ) -> Result<Answer, CliError> {
        self.ask(workload.items.tenant(item), workload.items.allocation(item), bytes)
    }

    fn start(&self, tenant: u32, _: TenantHandle, job: &Job) -> Result<Answer, CliError> {
        self.ask(tenant, job.allocation, job.bytes)
    }

    fn grow(&self, _: TenantHandle, grant: GrantId, bytes: u64) -> Result<bool, CliError> {
        Ok(self.state.hold_more(&id_of(grant), bytes))
    }

    fn give_back(&self, _: TenantHandle, grant: GrantId) -> Result<bool, CliError> {
        Ok(self.state.hold_no_more(&id_of(grant)))
    }
}

/// Which items are resident, as far as the player knows: the server's books have everything else.
struct Residents(Vec<Option<GrantId>>);

impl Books for Residents {
    fn find(&mut self, item: u32) -> Found {
        self.0[item as usize].map_or(Found::Absent, Found::Resident)
    }

    /// It was evicted.
    fn stale(&mut self, item: u32) -> Result<(), CliError> {
        self.0[item as usize] = None;
        Ok(())
    }

    fn asks(&mut self, _: u32) {}

    fn item_granted(&mut self, item: u32, grant: GrantId, _: u32, _: u64) {
        self.0[item as usize] = Some(grant);
    }

    fn item_denied(&mut self, _: u32, _: u32, _: u64) {}

    fn waits(&mut self, _: u32) {}

    fn take_out(&mut self, item: u32) -> Option<GrantId> {
        self.0[item as usize].take()
    }

    fn granted(&mut self, _: u32, _: u64) {}

    fn denied(&mut self, _: u32, _: u64) {}

    fn grown(&mut self, _: u32, _: u64) {}

    fn release(
        &mut self,
        _: u32,
        _: u64,
        give_back: impl FnOnce() -> Result<bool, CliError>,
    ) -> Result<(), CliError> {
        give_back().map(|_| ())
    }

    fn balance<T>(&mut self, step: impl FnOnce() -> T) {
        step();
    }

    fn pause(&mut self) {}

    fn state(&self, used_bytes: &mut Vec<u64>) -> (u64, u64) {
        used_bytes.clear();
        (0, 0)
    }
}
