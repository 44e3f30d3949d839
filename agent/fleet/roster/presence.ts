import type { SeenStatus } from './read.ts';

/** What is remembered of a device to tell a late will, a restart and a copied card apart. */
export interface Presence {
  /** The newest status that counts. */
  readonly status: SeenStatus | null;
  /** The machine's boots that have spoken, the current one last. */
  readonly boots: readonly Boot[];
  /** When sessions went backwards the last two times, newest last. */
  readonly backwardsMs: readonly number[];
  readonly clonedAtMs: number | null;
}

interface Boot {
  readonly bootId: string;
  readonly session: number;
  readonly since: string;
}

export const NO_PRESENCE: Presence = {
  status: null,
  boots: [],
  backwardsMs: [],
  clonedAtMs: null,
};

const MAX_BOOTS = 4;
/** Two backward steps within this time are no repair of one machine. */
const BACKWARDS_MS = 600_000;
/** A copy that has been switched off is forgotten after this time. */
const CLONED_MS = 3_600_000;

/**
 * The presence after a status, or null when that is history: a will of an older connection that came
 * late, or a status that has been overtaken.
 */
export function withStatus(before: Presence, status: SeenStatus, nowMs: number): Presence | null {
  const { status: last } = before;
  if (last !== null && isHistory(last, status)) return null;
  const isBackwards = last !== null && status.session < last.session;
  const backwardsMs = isBackwards
    ? [...before.backwardsMs.filter((ms) => nowMs - ms < BACKWARDS_MS), nowMs].slice(-2)
    : before.backwardsMs;
  const isClone = cameBack(before.boots, status) || backwardsMs.length > 1;
  return {
    status,
    boots: status.state === 'offline' ? before.boots : withBoot(before.boots, status),
    backwardsMs,
    clonedAtMs: isClone ? nowMs : before.clonedAtMs,
  };
}

/** Whether two machines have taken turns under one id not long ago. */
export function isCloned({ clonedAtMs }: Presence, nowMs: number): boolean {
  return clonedAtMs !== null && nowMs - clonedAtMs < CLONED_MS;
}

function isHistory(last: SeenStatus, next: SeenStatus): boolean {
  if (next.session >= last.session) return false;
  if (next.state === 'offline') return true;
  // A device whose state was erased counts anew, and so does a copy: each in a session of its own.
  return next.since <= last.since;
}

/** A boot id that was there before the current one: no machine boots into an old boot. */
function cameBack(boots: readonly Boot[], { state, bootId, session, since }: SeenStatus): boolean {
  if (state === 'offline' || bootId === null) return false;
  const earlier = boots.slice(0, -1).find((boot) => boot.bootId === bootId);
  // The very same status again is one that was read twice.
  return earlier !== undefined && (earlier.session !== session || earlier.since !== since);
}

function withBoot(boots: readonly Boot[], { bootId, session, since }: SeenStatus): readonly Boot[] {
  if (bootId === null) return boots;
  const others = boots.filter((boot) => boot.bootId !== bootId);
  return [...others, { bootId, session, since }].slice(-MAX_BOOTS);
}
