// What is known of the server: a snapshot, and the changes since.

const SECONDS_MAX = 60;
const MINUTES_MAX = 60;
const DENIALS_MAX = 256;
const MINUTE_MS = 60_000;

export const state = {
  boot: null,
  version: "",
  timeMs: 0,
  highPercent: 90,
  hysteresisPercent: 5,
  criticalPercent: 95,
  pool: null,
  groups: [],
  advice: [],
  alerts: [],
  tenants: new Map(),
  byAddress: new Map(),
  seconds: [],
  minutes: [],
  pressure: [],
  denials: [],
  evictions: [],
};

const listeners = new Set();

// Called after every change with the row numbers that changed, or null for all of them.
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(changed) {
  for (const listener of listeners) listener(changed);
}

let columns = { tenant: [], figure: [] };

function merge(into, names, row) {
  for (let place = 0; place < names.length; place += 1) into[names[place]] = row[place];
}

export function derive(tenant) {
  const capacity = state.pool.capacity_bytes;
  // The whole pool is the fair share of everybody as long as all wants fit.
  tenant.fair = tenant.fair_bytes < capacity ? tenant.fair_bytes : null;
  tenant.above = tenant.fair === null ? 0 : Math.max(0, tenant.used_bytes - tenant.fair);
  tenant.idle = Math.max(0, tenant.claimed_bytes - tenant.used_bytes);
  tenant.ceiling = Math.min(tenant.ceiling_bytes ?? capacity, capacity);
  tenant.key = `${tenant.name}\n${tenant.group ?? ""}`.toLowerCase();
}

function enter(row) {
  const tenant = state.tenants.get(row[0]) ?? {};
  forget(tenant);
  merge(tenant, columns.tenant, row);
  // The server tells the id only where others have the same name.
  tenant.address = tenant.id ?? tenant.name;
  state.tenants.set(row[0], tenant);
  state.byAddress.set(tenant.address, tenant);
  return tenant;
}

function forget(tenant) {
  if (state.byAddress.get(tenant?.address) === tenant) state.byAddress.delete(tenant?.address);
}

// The tenant that a refusal, an eviction or a piece of advice is about; none if it is gone.
export function whose(entry) {
  return state.byAddress.get(entry.tenant) ?? state.byAddress.get(entry.name);
}

// When the server took the look that is shown: its clock may differ from this one's, and what is
// shown together is of one time.
export function now() {
  return state.timeMs;
}

function tick(data) {
  state.timeMs = data.time_ms;
  const before = state.pool?.pressure;
  state.pool = data.pool;
  if (before && before !== data.pool.pressure) {
    state.pressure.push([data.time_ms, data.pool.pressure]);
  }
}

function addSeconds(points) {
  for (const point of points) {
    const last = state.seconds.at(-1);
    // Times are told to a ms, and the clocks that they come from drift.
    if (last && Math.abs(last[0] - point[0]) < 500) state.seconds[state.seconds.length - 1] = point;
    else if (!last || point[0] > last[0]) state.seconds.push(point);
  }
  while (state.seconds.length > SECONDS_MAX) state.seconds.shift();
}

function addMinute(point) {
  const last = state.minutes.at(-1);
  if (!last || point[0] - last[0] >= MINUTE_MS) {
    state.minutes.push([point[0], point[1], 0, 0, 0]);
    while (state.minutes.length > MINUTES_MAX) state.minutes.shift();
    return;
  }
  last[1] = Math.max(last[1], point[1]);
}

// Whether two refusals are one entry: the later one has how often.
export function alike(a, b) {
  return (
    a.number === b.number ||
    (a.times !== undefined &&
      a.tenant === b.tenant &&
      a.model === b.model &&
      a.type === b.type &&
      a.reason === b.reason &&
      a.account_name === b.account_name)
  );
}

function addRecent(list, news, max) {
  if (!news) return list;
  const kept = list.filter((old) => !news.some((entry) => alike(old, entry)));
  return [...news, ...kept].sort((a, b) => b.number - a.number).slice(0, max);
}

export function snapshot(data) {
  const restarted = state.boot !== null && state.boot !== data.boot;
  Object.assign(state, {
    boot: data.boot,
    version: data.version,
    highPercent: data.high_percent,
    criticalPercent: data.critical_percent,
    hysteresisPercent: data.hysteresis_percent,
    groups: data.groups,
    advice: data.advice,
    alerts: data.alerts,
    seconds: data.history.seconds,
    minutes: data.history.minutes,
    pressure: data.pressure,
    denials: data.denials,
    evictions: data.evictions,
    pool: null,
  });
  columns = { tenant: data.tenant_columns, figure: data.figure_columns };
  state.tenants.clear();
  state.byAddress.clear();
  tick(data);
  data.tenants.forEach(enter);
  for (const row of data.figures) {
    const tenant = state.tenants.get(row[0]);
    merge(tenant, columns.figure, row);
    derive(tenant);
  }
  tell(null);
  return restarted;
}

export function change(data) {
  const capacity = state.pool.capacity_bytes;
  tick(data);
  const changed = new Set();
  for (const n of data.gone ?? []) {
    forget(state.tenants.get(n));
    state.tenants.delete(n);
    changed.add(n);
  }
  for (const row of data.tenants ?? []) {
    enter(row);
    changed.add(row[0]);
  }
  for (const row of data.figures ?? []) {
    const tenant = state.tenants.get(row[0]);
    if (tenant) {
      merge(tenant, columns.figure, row);
      changed.add(row[0]);
    }
  }
  const all = capacity !== state.pool.capacity_bytes ? state.tenants.keys() : changed;
  for (const n of all) {
    const tenant = state.tenants.get(n);
    if (tenant) derive(tenant);
  }
  if (data.groups) state.groups = data.groups;
  if (data.advice) state.advice = data.advice;
  if (data.alerts) state.alerts = data.alerts;
  addSeconds(data.seconds);
  if (data.seconds.length) addMinute(data.seconds.at(-1));
  state.denials = addRecent(state.denials, data.denials, DENIALS_MAX);
  state.evictions = addRecent(state.evictions, data.evictions, DENIALS_MAX).filter(
    (eviction) => eviction.time_ms >= state.timeMs - MINUTE_MS,
  );
  tell(changed);
}

export function sums() {
  const all = { used: 0, evictable: 0, idle: 0, guarantee: 0, above: 0, holders: 0 };
  for (const tenant of state.tenants.values()) {
    all.used += tenant.used_bytes;
    all.evictable += tenant.evictable_bytes;
    all.idle += tenant.idle;
    all.guarantee += tenant.guarantee_bytes;
    all.above += tenant.above;
    all.holders += tenant.above > 0 ? 1 : 0;
  }
  return all;
}

// What is promised to tenants and groups together, or within a group, if the guarantee of one of
// them were another one.
export function promised(changed, guarantee, within = "") {
  const below = new Map();
  const add = (group, value) => below.set(group, (below.get(group) ?? 0) + value);
  const floor = (one) => (one === changed ? guarantee : one.guarantee_bytes);
  for (const tenant of state.tenants.values()) add(tenant.group ?? "", floor(tenant));
  const inside = (name) => {
    const children = state.groups.filter((group) => (group.parent ?? "") === name);
    const floors = children.map((group) => Math.max(floor(group), inside(group.name)));
    return floors.reduce((total, one) => total + one, below.get(name) ?? 0);
  };
  return inside(within);
}

// A group by its name; none if there is none.
export function groupOf(name) {
  return state.groups.find((group) => group.name === name);
}

// What the tenants of each group, those of the groups below it included, could give back.
export function evictableOfGroups() {
  const sums = new Map();
  const parents = new Map(state.groups.map((group) => [group.name, group.parent]));
  for (const tenant of state.tenants.values()) {
    for (let name = tenant.group; name; name = parents.get(name)) {
      sums.set(name, (sums.get(name) ?? 0) + tenant.evictable_bytes);
    }
  }
  return sums;
}
