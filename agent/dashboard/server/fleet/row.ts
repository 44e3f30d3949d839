import type { DeviceRow } from '../../../contracts/dashboard.ts';
import type { DeviceRow as RosterRow } from '../../../fleet/roster/row.ts';

/**
 * Rows of the roster as the API shows them. Neither is ever changed in place, so one is made for each
 * state of the other, and goes with it.
 */
export class ApiRows {
  readonly #rows = new WeakMap<RosterRow, DeviceRow>();

  of(row: RosterRow): DeviceRow {
    const known = this.#rows.get(row);
    if (known !== undefined) return known;
    const made = apiRow(row);
    this.#rows.set(row, made);
    return made;
  }
}

/** The roster has '' for what it does not know yet. */
const known = (text: string): string | null => (text === '' ? null : text);

function apiRow(row: RosterRow): DeviceRow {
  const { deviceId, state, lastSeenMs, tags, model, p90Ms, accuracy, celsius } = row;
  const { throttled, job, cloned } = row;
  return {
    deviceId,
    state,
    lastSeenMs,
    class: known(row.class),
    board: known(row.board),
    tags: [...tags],
    agent: known(row.agent),
    model,
    p90Ms,
    accuracy,
    celsius,
    throttled,
    job,
    cloned,
  };
}
