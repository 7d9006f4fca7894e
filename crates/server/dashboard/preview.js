// What would come of other limits and guarantees, of a tenant or of a group: sentences for the
// dialog that changes them.

import { groupOf, promised, state, whose } from "./store.js";
import { bytes, percent, times } from "./units.js";

// Sentences, each with what it weighs: bad, warn, good, muted, or nothing.
class Says {
  constructor() {
    this.all = [];
  }

  say(sentence, level) {
    this.all.push({ sentence, level });
  }

  // Whether what is held fits within a new limit, and how much more does.
  room(used, top, present, whose) {
    const capacity = state.pool.capacity_bytes;
    if (used > top) {
      this.say(
        `It holds ${bytes(used)}, ${bytes(used - top)} more than the new limit. Nothing is taken ` +
          `back; every further request${whose} is refused until it holds less.`,
        "bad",
      );
    } else {
      this.say(
        `It holds ${bytes(used)}: ${bytes(Math.max(0, Math.min(top, capacity) - used))} more fit ` +
          `within the new limit, ${bytes(Math.max(0, present - used))} within the present ` +
          `${bytes(present)}.`,
      );
    }
    if (top > capacity) this.say(`The pool has ${bytes(capacity)} only.`, "warn");
  }

  // How many of the refusals by the present limit there would not have been.
  refusals(own, limit, by) {
    if (!own.length) return;
    const fits = own.filter((one) => limit === null || limit >= one.limit + one.short_bytes);
    const sum = (some) => some.reduce((total, one) => total + one.times, 0);
    const of = `Of its last ${times(sum(own), "refusal")} by ${by}`;
    const level = fits.length ? "good" : "warn";
    this.say(`${of}, ${sum(fits)} would be within the new one.`, level);
  }

  // What is guaranteed in all, and whether the pool has it.
  guarantees(one, guarantee) {
    const capacity = state.pool.capacity_bytes;
    const sum = promised(one, guarantee);
    if (guarantee === one.guarantee_bytes) {
      const as = `${bytes(sum)} as before, ${percent(sum, capacity)} of the pool.`;
      this.say(`Guarantees add up to ${as}`, "muted");
      return;
    }
    const before = bytes(promised(one, one.guarantee_bytes));
    this.say(
      `Guarantees add up to ${bytes(sum)}, ${percent(sum, capacity)} of the pool (now ${before}).`,
      sum > capacity ? "bad" : null,
    );
    if (sum > capacity) this.say("More than the pool has: the server will refuse it.", "bad");
    const free = capacity - state.pool.claimed_bytes;
    const more = guarantee - Math.max(one.guarantee_bytes, one.claimed_bytes);
    if (more > free) {
      this.say(
        `${bytes(more)} more have to be free for that and ${bytes(Math.max(0, free))} are ` +
          "unclaimed: others may have to release some first.",
        "warn",
      );
    }
  }

  ends(after) {
    if (after.limit_bytes !== null && after.guarantee_bytes > after.limit_bytes) {
      this.say("The guarantee is above the limit: the server will refuse it.", "bad");
    }
    return { says: this.all, after };
  }
}

export function ofTenant(tenant, wish) {
  const says = new Says();
  const after = { ...tenant, ...wish };
  const capacity = state.pool.capacity_bytes;
  const limit = after.limit_bytes;
  if (wish.limit_bytes !== tenant.limit_bytes || wish.burst_bytes !== tenant.burst_bytes) {
    const top = Math.max(limit ?? capacity, limit === null ? 0 : (after.burst_bytes ?? 0));
    says.room(tenant.used_bytes, top, tenant.ceiling, "");
  }
  if (wish.limit_bytes !== tenant.limit_bytes) {
    const own = state.denials.filter((one) => one.reason === "tenant_limit");
    const of = own.filter((one) => whose(one) === tenant);
    says.refusals(of, limit, "its own limit");
  }
  says.guarantees(tenant, after.guarantee_bytes);
  if (after.burst_bytes !== null && limit !== null && after.burst_bytes < limit) {
    says.say("The burst limit is below the limit: the server will refuse it.", "bad");
  }
  return says.ends(after);
}

export function ofGroup(group, wish) {
  const says = new Says();
  const after = { ...group, ...wish };
  const capacity = state.pool.capacity_bytes;
  const limit = after.limit_bytes;
  if (wish.limit_bytes !== group.limit_bytes) {
    const present = Math.min(group.limit_bytes ?? capacity, capacity);
    says.room(group.used_bytes, limit ?? capacity, present, " of its tenants");
    const parent = groupOf(group.parent);
    if (parent && parent.limit_bytes !== null && (limit ?? Infinity) > parent.limit_bytes) {
      const most = bytes(parent.limit_bytes);
      says.say(`It stands in ${parent.name}, which has ${most} for all within.`, "warn");
    }
    const own = state.denials.filter((one) => one.reason === "group_limit");
    const of = own.filter((one) => one.account_name === group.name);
    says.refusals(of, limit, "this limit");
  }
  const inside = promised(null, 0, group.name);
  if (limit !== null && inside > limit) {
    const words = `Within it ${bytes(inside)} are guaranteed, more than the limit lets through:`;
    says.say(`${words} not all of them can be kept.`, "bad");
  }
  says.guarantees(group, after.guarantee_bytes);
  return says.ends(after);
}
